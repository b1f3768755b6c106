package kernel_test

import (
	"fmt"
	"math"
	"testing"

	"gotune/internal/kernel"
)

// sgdTwin is SGD in float64, an element at a time.
func sgdTwin(p, g, m []float32, lr, momentum, decay, gscale float64, nesterov bool) {
	for i := range p {
		grad := float64(g[i])*gscale + decay*float64(p[i])
		u := grad
		if m != nil {
			u += momentum * float64(m[i])
			m[i] = float32(u)
			if nesterov {
				u = grad + momentum*u
			}
		}
		p[i] = float32(float64(p[i]) - lr*u)
	}
}

func TestSGD(t *testing.T) {
	everywhere(t, func(b *bench) {
		b.level = kernel.Generic // every level runs the same Go, which is the twin but for rounding
		for _, n := range sizes() {
			for mode := range 3 {
				p, g, m := b.normal(n), b.wild(n), b.normal(n)
				wp, wm := clone(p), clone(m)
				what := fmt.Sprint(n, " ", mode)
				if mode == 0 {
					sgdTwin(wp, g, nil, .1, 0, .01, .7, false)
					kernel.SGD(b.team, b.out("p", n, p), g, nil, .1, 0, .01, .7, false)
					b.want(what, wp)
					continue
				}
				sgdTwin(wp, g, wm, .1, .9, .01, .7, mode == 2)
				kernel.SGD(b.team, b.out("p", n, p), g, b.out("m", n, m), .1, .9, .01, .7, mode == 2)
				b.want(what, wp, wm)
			}
		}
	})
}

// lionTwin is Lion in float64, an element at a time.
func lionTwin(p, g, m []float32, lr, beta1, beta2, decay, gscale float64) {
	for i := range p {
		grad, old := float64(g[i])*gscale, float64(m[i])
		c, x := beta1*old+(1-beta1)*grad, float64(p[i])*(1-lr*decay)
		switch {
		case c > 0:
			x -= lr
		case c < 0:
			x += lr
		}
		p[i], m[i] = float32(x), float32(beta2*old+(1-beta2)*grad)
	}
}

func TestLion(t *testing.T) {
	everywhere(t, func(b *bench) {
		b.level = kernel.Generic // every level runs the same Go, which is the twin but for rounding
		for _, n := range sizes() {
			p, g, m := b.normal(n), b.normal(n), b.normal(n)
			for i := range g {
				if i%5 == 0 {
					g[i], m[i] = 0, 0 // no step but decay
				}
			}
			wp, wm := clone(p), clone(m)
			lionTwin(wp, g, wm, 1e-3, .9, .99, .01, .7)
			kernel.Lion(b.team, b.out("p", n, p), g, b.out("m", n, m), 1e-3, .9, .99, .01, .7)
			b.want(fmt.Sprint(n), wp, wm)
		}
	})
}

func TestOptimizersNeedEqualLengths(t *testing.T) {
	x := make([]float32, 4)
	for name, f := range map[string]func(){
		"SGD gradients": func() { kernel.SGD(nil, x, x[:3], x, 1, 0, 0, 1, false) },
		"SGD velocity":  func() { kernel.SGD(nil, x, x, x[:3], 1, 0, 0, 1, false) },
		"Lion":          func() { kernel.Lion(nil, x, x, x[:3], 1, 0, 0, 0, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkOptimizers(b *testing.B) {
	const n = 1 << 22
	p, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range g {
		g[i] = float32(math.Sin(float64(i)))
	}
	for name, f := range map[string]func(){
		"AdamW": func() { kernel.AdamW(nil, p, g, m, v, 1e-3, .9, .999, 1e-8, .1, 1, 1, 1) },
		"SGD":   func() { kernel.SGD(nil, p, g, m, 1e-3, .9, .1, 1, false) },
		"Lion":  func() { kernel.Lion(nil, p, g, m, 1e-3, .9, .99, .1, 1) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
		})
	}
}
