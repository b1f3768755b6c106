package kernel_test

import (
	"fmt"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

func TestGeGLU(t *testing.T) {
	for _, form := range []kernel.GELUForm{kernel.GELUTanh, kernel.GELUExact} {
		exact := form == kernel.GELUExact
		everywhere(t, func(b *bench) {
			for _, n := range sizes() {
				gate, up, dy := extremes(b.normal(n)), b.normal(n), b.normal(n)
				if b.level == kernel.Generic {
					gate = b.normal(n)
				}
				want := make([]float32, n)
				ref.GeGLU(want, gate, up, exact)
				kernel.GeGLU(b.team, b.out("y", n, nil), gate, up, form)
				overGate, overUp := b.out("y in place of gate", n, gate), b.out("y in place of up", n, up)
				kernel.GeGLU(b.team, overGate, overGate, up, form)
				kernel.GeGLU(b.team, overUp, gate, overUp, form)
				b.want(fmt.Sprint(form, n), want, want, want)
				for flags := range 4 {
					addG, addU := flags&1 != 0, flags&2 != 0
					oldG, oldU := b.normal(n), b.normal(n)
					dg, du := clone(oldG), clone(oldU)
					ref.GeGLUBackward(dg, du, dy, gate, up, exact, addG, addU)
					kernel.GeGLUBackward(b.team, b.out("dgate", n, oldG), b.out("dup", n, oldU), dy, gate, up, form, addG, addU)
					b.want(fmt.Sprint(form, n, flags), dg, du)
				}
				dg, du := make([]float32, n), make([]float32, n)
				ref.GeGLUBackward(dg, du, dy, gate, up, exact, false, false)
				inPlaceG, inPlaceU := b.out("dgate in place", n, gate), b.out("dup in place", n, up)
				kernel.GeGLUBackward(b.team, inPlaceG, inPlaceU, dy, inPlaceG, inPlaceU, form, false, false)
				b.want(fmt.Sprint(form, n), dg, du)
			}
		})
	}
}

// The quotient of polynomials has the bits of the twin at the pure-Go level too, but
// for subnormal numbers.
func TestSoftCap(t *testing.T) {
	everywhere(t, func(b *bench) {
		generic := b.level == kernel.Generic
		b.level = -1
		for _, n := range sizes() {
			x := b.normal(n)
			for i := range x {
				x[i] *= []float32{1, 20, 0.001, 300}[i%4]
			}
			if !generic {
				x = extremes(x)
			}
			want, slopes := make([]float32, n), make([]float32, n)
			ref.SoftCap(want, slopes, x, 1, 30)
			kernel.SoftCap(b.team, b.out("y", n, nil), b.out("slopes", n, nil), x, 30)
			inPlace := b.out("y in place", n, x)
			kernel.SoftCap(b.team, inPlace, nil, inPlace, 30)
			b.want(fmt.Sprint(n), want, slopes, want)

			y, factors := b.normal(n), b.normal(n)
			for i := range want {
				want[i] = y[i] * factors[i]
			}
			kernel.Multiply(b.team, b.out("product", n, nil), y, factors)
			b.want(fmt.Sprint(n), want)
		}
	})
}
