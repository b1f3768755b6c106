package kernel_test

import (
	"fmt"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

func TestLayerNorm(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, s := range [][2]int{{1, 3}, {3, 8}, {5, 33}, {70, 128}, {9, 576}, {2, 17}} {
			n, c := s[0], s[1]
			x, w, bias, y, stats := b.normal(n*c), b.normal(c), b.normal(c), make([]float32, n*c), make([]float32, 2*n)
			ref.LayerNorm(y, stats, x, w, bias, n, c, 1e-5)
			kernel.LayerNorm(b.team, b.out("y", n*c, nil), b.out("stats", 2*n, nil), x, w, bias, n, c, 1e-5)
			b.want(fmt.Sprint(s), y, stats)
			inPlace := b.out("y in place", n*c, x)
			kernel.LayerNorm(b.team, inPlace, make([]float32, 2*n), inPlace, w, bias, n, c, 1e-5)
			b.want(fmt.Sprint(s), y)

			for _, add := range []bool{false, true} {
				dy, oldX, oldW, oldB := b.normal(n*c), b.normal(n*c), b.normal(c), b.normal(c)
				dx, dw, db := clone(oldX), clone(oldW), clone(oldB)
				ref.LayerNormBackward(dx, dw, db, dy, x, w, stats, n, c, add, add, add)
				kernel.LayerNormBackward(b.team, b.out("dx", n*c, oldX), b.out("dw", c, oldW), b.out("dbias", c, oldB),
					dy, x, w, stats, n, c, add, add, add)
				b.want(fmt.Sprint(s, add), dx, dw, db)
				kernel.LayerNormBackward(b.team, nil, b.out("dw alone", c, oldW), nil, dy, x, w, stats, n, c, add, add, add)
				kernel.LayerNormBackward(b.team, nil, nil, b.out("dbias alone", c, oldB), dy, x, w, stats, n, c, add, add, add)
				b.want(fmt.Sprint(s, add), dw, db)
				if !add {
					inPlace := b.out("dx in place of dy", n*c, dy)
					kernel.LayerNormBackward(b.team, inPlace, nil, nil, inPlace, x, w, stats, n, c, false, false, false)
					b.want(fmt.Sprint(s), dx)
				}
			}
		}
	})
}

func TestGELU(t *testing.T) {
	for form, twin := range map[kernel.GELUForm]struct {
		values func(y, x []float32)
		back   func(dx, dy, x []float32, add bool)
	}{
		kernel.GELUTanh:  {ref.GELU, ref.GELUBackward},
		kernel.GELUExact: {ref.GELUExact, ref.GELUExactBackward},
	} {
		everywhere(t, func(b *bench) {
			for _, n := range sizes() {
				x, dy := extremes(b.normal(n)), b.normal(n)
				if b.level == kernel.Generic {
					x = b.normal(n) // rounding apart, an infinity and a huge number differ
				}
				want := make([]float32, n)
				twin.values(want, x)
				kernel.GELU(b.team, b.out("y", n, nil), x, form)
				inPlace := b.out("y in place", n, x)
				kernel.GELU(b.team, inPlace, inPlace, form)
				b.want(fmt.Sprint(n), want, want)
				for _, add := range []bool{false, true} {
					old := b.normal(n)
					dx := clone(old)
					twin.back(dx, dy, x, add)
					kernel.GELUBackward(b.team, b.out("dx", n, old), dy, x, form, add)
					b.want(fmt.Sprint(n, add), dx)
				}
				dx := make([]float32, n)
				twin.back(dx, dy, x, false)
				overDy, overX := b.out("dx in place of dy", n, dy), b.out("dx in place of x", n, x)
				kernel.GELUBackward(b.team, overDy, overDy, x, form, false)
				kernel.GELUBackward(b.team, overX, dy, overX, form, false)
				b.want(fmt.Sprint(n), dx, dx)
			}
		})
	}
}

func TestColumns(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, s := range [][4]int{{1, 3, 5, 3}, {7, 4, 4, 4}, {70, 200, 300, 199}} {
			n, dr, sr, c := s[0], s[1], s[2], s[3]
			for _, add := range []bool{false, true} {
				src, old := b.normal(n*sr), b.normal(n*dr)
				want := clone(old)
				for i := range n {
					for j := range c {
						if !add {
							want[i*dr+j] = 0
						}
						want[i*dr+j] += src[i*sr+j]
					}
				}
				kernel.Columns(b.team, b.out("dst", n*dr, old), dr, src, sr, n, c, add)
				b.want(fmt.Sprint(s, add), want)
			}
		}
	})
}
