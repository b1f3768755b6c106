package kernel

import "testing"

// RoundedBytes is what a team has for a left factor after a product in bf16, to the
// last cache lines.
func TestRoundedBytes(t *testing.T) {
	const m, k, n = 50, 71, 20
	team := NewTeam(1)
	defer team.Close()
	a, c := Matrix{make([]float32, m*k), m, k, k}, Matrix{make([]float32, m*n), m, n, n}
	ProductNT(team, BF16, c, a, Dense(make([]float32, n*k), n, k), false)
	if got, want := 4*int64(cap(team.left)), RoundedBytes(m, k); got < want || got > want+4*cacheLine {
		t.Errorf("%d bytes are kept, want %d", got, want)
	}
}
