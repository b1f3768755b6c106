package kernel

import (
	"math"
	"testing"
)

// The table of a code book finds what looking at every value finds: around each value,
// around the middles, and at sizes of every order.
func TestCodebookFindsTheNearest(t *testing.T) {
	slow := func(b *codebook, v float32) byte {
		best := 0
		for c := range b.values {
			if math.Abs(float64(b.values[c]-v)) < math.Abs(float64(b.values[best]-v)) {
				best = c
			}
		}
		return byte(best)
	}
	for name, b := range map[string]*codebook{"signed": signed8, "unsigned": unsigned8} {
		look := func(v float32) {
			if v < -1 || v > 1 || name == "unsigned" && v < 0 {
				return
			}
			if got, want := b.nearest(v), slow(b, v); got != want {
				t.Errorf("%s: %v has code %d (%v), want %d (%v)", name, v, got, b.values[got], want, b.values[want])
			}
		}
		for c := range 255 {
			middle := (b.values[c] + b.values[c+1]) / 2
			for _, v := range []float32{b.values[c], b.values[c+1], middle} {
				look(v)
				look(math.Nextafter32(v, 2))
				look(math.Nextafter32(v, -2))
			}
		}
		for v := float32(1); v > 1e-30; v *= 0.93 {
			look(v)
			look(-v)
		}
		look(0)
		look(float32(math.Copysign(0, -1)))
	}
}
