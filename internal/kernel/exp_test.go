package kernel

import (
	"math"
	"testing"

	"gotune/internal/ref"
)

// TestExp compares exp with the twin over numbers of every size, and at the ends
// of its range. The pure-Go level may differ in the last two bits.
func TestExp(t *testing.T) {
	var x []float32
	step := uint32(40_009)
	if testing.Short() {
		step *= 50
	}
	for bits := uint32(0); bits < 0x7f800000-step; bits += step {
		x = append(x, math.Float32frombits(bits), -math.Float32frombits(bits))
	}
	for _, end := range []float32{expMax, expMin, 88.72284, 0} {
		below := float32(math.Nextafter32(end, -200))
		x = append(x, below, end, math.Nextafter32(end, 200))
	}
	x = append(x, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()))
	for _, level := range Levels() {
		t.Run(level.String(), func(t *testing.T) {
			defer SetLevel(level)()
			got := make([]float32, len(x))
			old := enter()
			code.exp(got, x)
			leave(old)
			for i, v := range x {
				want := ref.Exp32(v)
				g, w := math.Float32bits(got[i]), math.Float32bits(want)
				if g == w || got[i] != got[i] && want != want || level == Generic && max(g, w)-min(g, w) <= 2 {
					continue
				}
				t.Fatalf("exp(%x) = %x, the twin says %x", v, got[i], want)
			}
		})
	}
}
