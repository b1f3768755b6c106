package train

import "testing"

// Checkpoints that are there already take no new room, and what they hold is free
// once they give way.
func TestRoomForCheckpoints(t *testing.T) {
	for _, c := range []struct {
		name                              string
		size, limit, count, bytes, expect uint64
	}{
		{"a new run holds the limit and the one being written", 10, 2, 0, 0, 30},
		{"of a run that goes on two are there", 10, 2, 2, 20, 10},
		{"one is there", 10, 2, 1, 10, 20},
		{"smaller ones of the stage before give way to larger ones", 10, 2, 2, 2, 28},
		{"larger ones of the stage before", 10, 2, 2, 200, 10},
		{"more are there than will be kept", 10, 1, 3, 30, 10},
	} {
		if got := roomForCheckpoints(c.size, c.limit, c.count, c.bytes); got != c.expect {
			t.Errorf("%s: %d, want %d", c.name, got, c.expect)
		}
	}
}
