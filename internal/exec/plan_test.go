package exec

import (
	"math/rand/v2"
	"testing"
)

// TestArrange: buffers that live at the same time never overlap, and every one
// starts at a multiple of 64 bytes.
func TestArrange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var all []*buffer
		for range 1 + r.IntN(40) {
			start := r.IntN(30)
			all = append(all, &buffer{size: 1 + r.IntN(100), start: start, end: start + r.IntN(10)})
		}
		need := arrange(all)
		for i, a := range all {
			if a.offset%align != 0 || a.offset < 0 || a.offset+a.size > need {
				t.Fatalf("offset %d of size %d in an arena of %d", a.offset, a.size, need)
			}
			for _, b := range all[:i] {
				if a.start <= b.end && b.start <= a.end && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Fatalf("%+v and %+v overlap", a, b)
				}
			}
		}
	}
}
