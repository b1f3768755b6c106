package op_test

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/op"
	"gotune/internal/ref"
)

// A weight of the width of a head normalises each head, and a unit norm multiplies by
// 1 + weight.
func TestRMSNorm(t *testing.T) {
	for name, f := range map[string]struct {
		make     func(x, weight *gorgonia.Node, eps float64) (*gorgonia.Node, error)
		forward  func(x, w []float64, n, c int, eps float64) []float64
		backward func(dy, x, w []float64, n, c int, eps float64) (dx, dw []float64)
	}{
		"plain": {op.RMSNorm, ref.RMSNorm64, ref.RMSNormBackward64},
		"unit":  {op.UnitRMSNorm, ref.UnitRMSNorm64, ref.UnitRMSNormBackward64},
	} {
		for _, width := range []int{24, 8, 6} {
			t.Run(fmt.Sprintf("%s/%d", name, width), func(t *testing.T) {
				b := newBench(t)
				x, xw := b.floats("x", 4, 24)
				w, ww := b.floats("w", width)
				r, rw := b.floats("r", 4, 24)
				n := 4 * 24 / width
				dx, dw := f.backward(rw, xw, ww, n, width, 1e-5)
				b.gradients(must(f.make(x, w, 1e-5)), f.forward(xw, ww, n, width, 1e-5), r, want{x, dx}, want{w, dw})
			})
		}
	}
}

func TestLayerNorm(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 24)
	w, ww := b.floats("w", 24)
	bias, bw := b.floats("bias", 24)
	r, rw := b.floats("r", 4, 24)
	dx, dw, db := ref.LayerNormBackward64(rw, xw, ww, 4, 24, 1e-5)
	y := must(op.LayerNorm(x, w, bias, 1e-5))
	b.gradients(y, ref.LayerNorm64(xw, ww, bw, 4, 24, 1e-5), r, want{x, dx}, want{w, dw}, want{bias, db})
}
