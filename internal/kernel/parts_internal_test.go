package kernel

import "testing"

// TestPartsOf: threads that all run at the same speed should be done at about the
// same time, with several parts each where that costs nothing.
func TestPartsOf(t *testing.T) {
	for _, c := range []struct{ threads, units, want int }{
		{2, 1000, 8},
		{2, 96, 8},
		{2, 18, 6}, // 9 and 9; 8 parts of 2 or 3 would take 10 or more
		{2, 6, 6},
		{2, 11, 6},
		{2, 2, 2},
		{3, 2, 2},
		{4, 18, 4},
	} {
		team := Team{threads: c.threads}
		if got := team.partsOf(c.units); got != c.want {
			t.Errorf("%d units on %d threads: %d parts, want %d", c.units, c.threads, got, c.want)
		}
	}
}

// TestRowParts: a product of one row starts once on every thread, unless it is long.
func TestRowParts(t *testing.T) {
	for _, c := range []struct{ threads, rows, k, want int }{
		{1, 49152, 576, 1},
		{2, 576, 576, 2},
		{2, 192, 576, 2},
		{2, 32, 576, 1},
		{2, 49152, 576, 8},
	} {
		team := Team{threads: c.threads}
		if _, got := team.rowParts(c.rows, c.k); got != c.want {
			t.Errorf("%d×%d on %d threads: %d parts, want %d", c.rows, c.k, c.threads, got, c.want)
		}
	}
}
