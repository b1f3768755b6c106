package kernel_test

import (
	"fmt"
	"math"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

func TestAdd(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, n := range sizes() {
			x, y := b.wild(n), b.wild(n)
			want := make([]float32, n)
			ref.Add(want, x, y)
			kernel.Add(b.team, b.out("dst", n, nil), x, y)
			kernel.AddTo(b.team, b.out("dst of AddTo", n, x), y)
			b.want(fmt.Sprint(n), want, want)
		}
	})
}

func TestScale(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, n := range sizes() {
			for _, add := range []bool{false, true} {
				x, old := b.wild(n), b.wild(n)
				want := clone(old)
				ref.Scale(want, x, 0.3, add)
				kernel.Scale(b.team, b.out("dst", n, old), x, 0.3, add)
				b.want(fmt.Sprint(n, add), want)
			}
		}
	})
}

func TestSumSquares(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, n := range append(sizes(), 3*16384, 3*16384+5) {
			x := b.wild(n)
			got, want := kernel.SumSquares(b.team, x), ref.SumSquares(x)
			if same := got == want; !same && (b.level != kernel.Generic || math.Abs(got-want) > 1e-12*want) {
				b.Errorf("%d: %v, the twin says %v", n, got, want)
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, s := range [][2]int{{1, 3}, {3, 8}, {5, 33}, {70, 128}, {9, 576}} {
			n, c := s[0], s[1]
			x, w, y, inv := b.normal(n*c), b.normal(c), make([]float32, n*c), make([]float32, n)
			ref.RMSNorm(y, inv, x, w, n, c, 1e-5)
			kernel.RMSNorm(b.team, b.out("y", n*c, nil), b.out("inv", n, nil), x, w, n, c, 1e-5)
			b.want(fmt.Sprint(s), y, inv)

			for _, add := range []bool{false, true} {
				dy, oldX, oldW := b.normal(n*c), b.normal(n*c), b.normal(c)
				dx, dw := clone(oldX), clone(oldW)
				ref.RMSNormBackward(dx, dw, dy, x, w, inv, n, c, add, add)
				kernel.RMSNormBackward(b.team, b.out("dx", n*c, oldX), b.out("dw", c, oldW), dy, x, w, inv, n, c, add, add, nil)
				b.want(fmt.Sprint(s, add), dx, dw)
			}
		}
	})
}

func TestRoPE(t *testing.T) {
	type rope = func(y, x []float32, positions []int32, cos, sin []float32, n, heads, d, turned int, inverse, add bool)
	type kernelRoPE = func(t *kernel.Team, y, x []float32, positions []int32, cos, sin []float32, n, heads, d, turned int, inverse, add bool)
	for _, order := range []struct {
		kernel kernelRoPE
		twin   rope
	}{{kernel.RoPE, ref.RoPE}, {kernel.InterleavedRoPE, ref.InterleavedRoPE}} {
		everywhere(t, func(b *bench) {
			for _, s := range [][4]int{{1, 1, 2, 2}, {7, 3, 6, 6}, {40, 4, 32, 32}, {33, 3, 64, 64}, {7, 3, 10, 4}, {33, 2, 80, 32}, {5, 1, 24, 18}} {
				n, heads, d, turned := s[0], s[1], s[2], s[3]
				const positions = 20
				cos, sin := b.normal(positions*turned/2), b.normal(positions*turned/2)
				at := make([]int32, n)
				for i := range at {
					at[i] = int32(b.rand.IntN(positions))
				}
				for flags := range 4 {
					inverse, add := flags&1 != 0, flags&2 != 0
					x, old := b.wild(n*heads*d), b.normal(n*heads*d)
					want := clone(old)
					order.twin(want, x, at, cos, sin, n, heads, d, turned, inverse, add)
					order.kernel(b.team, b.out("y", len(want), old), x, at, cos, sin, n, heads, d, turned, inverse, add)
					b.want(fmt.Sprint(s, inverse, add), want)
					if !add {
						inPlace := b.out("y in place", len(want), x)
						order.kernel(b.team, inPlace, inPlace, at, cos, sin, n, heads, d, turned, inverse, false)
						b.want(fmt.Sprint(s, inverse), want)
					}
				}
			}
		})
	}
}

// extremes puts numbers into x at which exp and its surroundings leave the range.
func extremes(x []float32) []float32 {
	inf := float32(math.Inf(1))
	special := []float32{0, float32(math.Copysign(0, -1)), 87, 88.72, 88.73, 89, 100, 1e30, inf, -87, -87.33, -87.34, -88,
		-103.9, -104, -105, -1e30, -inf, float32(math.NaN()), 0x1p-126, 0x1p-130, -0x1p-149}
	copy(x, special[:min(len(x), len(special))])
	return x
}

func TestSwiGLU(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, n := range sizes() {
			gate, up, dy := extremes(b.normal(n)), b.normal(n), b.normal(n)
			if b.level == kernel.Generic {
				gate = b.normal(n) // rounding apart, an infinity and a huge number differ
			}
			want := make([]float32, n)
			ref.SwiGLU(want, gate, up)
			kernel.SwiGLU(b.team, b.out("y", n, nil), gate, up)
			b.want(fmt.Sprint(n), want)
			for flags := range 4 {
				addG, addU := flags&1 != 0, flags&2 != 0
				oldG, oldU := b.normal(n), b.normal(n)
				dg, du := clone(oldG), clone(oldU)
				ref.SwiGLUBackward(dg, du, dy, gate, up, addG, addU)
				kernel.SwiGLUBackward(b.team, b.out("dgate", n, oldG), b.out("dup", n, oldU), dy, gate, up, addG, addU)
				b.want(fmt.Sprint(n, addG, addU), dg, du)
			}
		}
	})
}

func TestEmbedding(t *testing.T) {
	everywhere(t, func(b *bench) {
		const n, vocabulary = 300, 10
		for _, c := range []int{1, 7, 64, 130} {
			table, dy, old := b.normal(vocabulary*c), b.normal(n*c), b.normal(vocabulary*c)
			ids := make([]int32, n)
			for i := range ids {
				ids[i] = int32(b.rand.IntN(vocabulary))
			}
			want := make([]float32, n*c)
			for i := range want {
				want[i] = table[int(ids[i/c])*c+i%c]
			}
			kernel.Embedding(b.team, b.out("y", n*c, nil), kernel.Dense(table, vocabulary, c), ids, n)
			b.want(fmt.Sprint(c), want)
			want = clone(old)
			ref.EmbeddingBackward(want, dy, ids, n, c)
			kernel.EmbeddingBackward(b.team, b.out("dtable", len(old), old), dy, ids, n, c)
			b.want(fmt.Sprint(c), want)
		}
	})
}

func TestAdamW(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, n := range sizes() {
			p, g, m, v := b.normal(n), b.wild(n), b.normal(n), b.normal(n)
			for i := range v {
				v[i] *= v[i]
			}
			wp, wm, wv := clone(p), clone(m), clone(v)
			ref.AdamW(wp, g, wm, wv, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1-0.81, 1-0.998001, 0.7)
			kernel.AdamW(b.team, b.out("p", n, p), g, b.out("m", n, m), b.out("v", n, v), 1e-3, 0.9, 0.999, 1e-8, 0.01, 1-0.81, 1-0.998001, 0.7)
			// The outputs were copied into their guards before the call.
			b.want(fmt.Sprint(n), wp, wm, wv)
		}
	})
}

func TestDropout(t *testing.T) {
	const key = 0x0123456789abcdef
	everywhere(t, func(b *bench) {
		for _, n := range sizes() {
			for _, add := range []bool{false, true} {
				x, old := b.normal(n), b.normal(n)
				want := clone(old)
				ref.Dropout(want, x, key, 0.1, add)
				kernel.Dropout(b.team, b.out("y", n, old), x, key, 0.1, add)
				b.want(fmt.Sprint(n, add), want)
			}
		}
	})
}

// TestDropoutIsFair counts what is dropped, over keys and over indices, and how
// often two neighbours or two neighbouring keys are dropped together.
func TestDropoutIsFair(t *testing.T) {
	const n, p = 200_000, 0.25
	ones, y, previous := make([]float32, n), make([]float32, n), make([]float32, n)
	kernel.Fill(ones, 1)
	for key := range uint64(20) {
		copy(previous, y)
		kernel.Dropout(nil, y, ones, key*0x9e3779b97f4a7c15, p, false)
		dropped, pairs, both := 0, 0, 0
		for i, v := range y {
			if v == 0 {
				dropped++
				if i > 0 && y[i-1] == 0 {
					pairs++
				}
				if previous[i] == 0 {
					both++
				}
			} else if v != 1/(1-float32(p)) {
				t.Fatalf("a kept 1 became %v", v)
			}
		}
		near := func(what string, got int, share float64) {
			if want, sigma := n*share, math.Sqrt(n*share*(1-share)); math.Abs(float64(got)-want) > 5*sigma {
				t.Errorf("key %d: %s: %d of %d, want about %.0f", key, what, got, n, want)
			}
		}
		near("dropped", dropped, p)
		near("neighbours dropped", pairs, p*p)
		if key > 0 {
			near("dropped under two keys", both, p*p)
		}
	}
}

func TestSoftmaxNLL(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, s := range [][2]int{{1, 1}, {3, 10}, {20, 129}, {4, 5000}} {
			m, v := s[0], s[1]
			logits, targets := b.normal(m*v), make([]int32, m)
			for i := range targets {
				targets[i] = int32(b.rand.IntN(v))
			}
			if m > 2 {
				clear(logits[:v]) // a tie
				targets[0] = 0
				logits[v+int(targets[1])] = 50 // a sure thing
			}
			want, nll, hit := clone(logits), make([]float32, m), make([]float32, m)
			ref.SoftmaxNLL(want, nll, hit, targets, m, v, 0.01)
			kernel.SoftmaxNLL(b.team, b.out("gradient", m*v, logits), b.out("nll", m, nil), b.out("hit", m, nil), targets, m, v, 0.01)
			b.want(fmt.Sprint(s), want, nll, hit)
		}
	})
}
