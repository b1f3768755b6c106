package ref

import (
	"math"
	"math/rand/v2"
	"testing"
)

func random(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// checkGradient compares got with the central differences of f at x. With steps
// of 1e-5 the truncation error is about 1e-10 times the third derivative and the
// rounding error 1e-16/1e-5.
func checkGradient(t *testing.T, name string, f func() float64, x, got []float64) {
	t.Helper()
	const h = 1e-5
	for i := range x {
		old := x[i]
		x[i] = old + h
		up := f()
		x[i] = old - h
		down := f()
		x[i] = old
		want := (up - down) / (2 * h)
		if math.Abs(got[i]-want) > 1e-7*(1+math.Abs(want)) {
			t.Errorf("%s[%d] = %g, finite differences give %g", name, i, got[i], want)
			return
		}
	}
}

// Every backward twin is checked against finite differences of its forward twin:
// the gradient of Σ dy·f(x) with random dy.
func TestBackwardIsDerivative(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	t.Run("Linear64", func(t *testing.T) {
		n, in, out := 3, 4, 5
		x, w, b, dy := random(r, n*in), random(r, out*in), random(r, out), random(r, n*out)
		f := func() float64 { return dot(dy, Linear64(x, w, b, n, in, out)) }
		dx, dw, db := LinearBackward64(dy, x, w, n, in, out)
		checkGradient(t, "dx", f, x, dx)
		checkGradient(t, "dw", f, w, dw)
		checkGradient(t, "dbias", f, b, db)
	})
	t.Run("LoRALinear64", func(t *testing.T) {
		l := &LoRA64{N: 3, In: 4, Out: 5, Rank: 2, Scale: 1.5}
		l.X, l.W, l.Bias = random(r, 12), random(r, 20), random(r, 5)
		l.A, l.B, l.Mask = random(r, 8), random(r, 10), random(r, 12)
		dy := random(r, 15)
		f := func() float64 { return dot(dy, LoRALinear64(l)) }
		dx, dw, da, db, dbias := LoRALinearBackward64(l, dy)
		checkGradient(t, "dx", f, l.X, dx)
		checkGradient(t, "dw", f, l.W, dw)
		checkGradient(t, "da", f, l.A, da)
		checkGradient(t, "db", f, l.B, db)
		checkGradient(t, "dbias", f, l.Bias, dbias)
	})
	t.Run("RMSNorm64", func(t *testing.T) {
		n, c := 3, 5
		x, w, dy := random(r, n*c), random(r, c), random(r, n*c)
		f := func() float64 { return dot(dy, RMSNorm64(x, w, n, c, 1e-2)) }
		dx, dw := RMSNormBackward64(dy, x, w, n, c, 1e-2)
		checkGradient(t, "dx", f, x, dx)
		checkGradient(t, "dw", f, w, dw)
	})
	t.Run("LayerNorm64", func(t *testing.T) {
		n, c := 3, 5
		x, w, bias, dy := random(r, n*c), random(r, c), random(r, c), random(r, n*c)
		f := func() float64 { return dot(dy, LayerNorm64(x, w, bias, n, c, 1e-2)) }
		dx, dw, db := LayerNormBackward64(dy, x, w, n, c, 1e-2)
		checkGradient(t, "dx", f, x, dx)
		checkGradient(t, "dw", f, w, dw)
		checkGradient(t, "dbias", f, bias, db)
	})
	t.Run("GELU64", func(t *testing.T) {
		x, dy := random(r, 9), random(r, 9)
		f := func() float64 { return dot(dy, GELU64(x)) }
		checkGradient(t, "dx", f, x, GELUBackward64(dy, x))
	})
	t.Run("SwiGLU64", func(t *testing.T) {
		gate, up, dy := random(r, 9), random(r, 9), random(r, 9)
		f := func() float64 { return dot(dy, SwiGLU64(gate, up)) }
		dgate, dup := SwiGLUBackward64(dy, gate, up)
		checkGradient(t, "dgate", f, gate, dgate)
		checkGradient(t, "dup", f, up, dup)
	})
	t.Run("Embedding64", func(t *testing.T) {
		table, dy, ids := random(r, 5*3), random(r, 4*3), []int32{4, 0, 4, 2}
		f := func() float64 { return dot(dy, Embedding64(table, ids, 3)) }
		checkGradient(t, "dtable", f, table, EmbeddingBackward64(dy, ids, 5, 3))
	})
	t.Run("RoPE64", func(t *testing.T) {
		x, dy, positions := random(r, 3*8), random(r, 3*8), []int32{0, 1, 5}
		f := func() float64 { return dot(dy, RoPE64(x, positions, 2, 4, 100, false)) }
		checkGradient(t, "dx", f, x, RoPE64(dy, positions, 2, 4, 100, true))
	})
	t.Run("Attention64", func(t *testing.T) {
		s := Attention64Shape{B: 2, T: 5, Heads: 4, KVHeads: 2, HeadDim: 3}
		positions := []int32{0, 1, 2, 0, 1, 0, 1, 2, 3, 4} // the first row holds two segments
		q, k, v, do := random(r, 10*12), random(r, 10*6), random(r, 10*6), random(r, 10*12)
		f := func() float64 { return dot(do, Attention64(q, k, v, positions, s, 0.5)) }
		dq, dk, dv := AttentionBackward64(do, q, k, v, positions, s, 0.5)
		checkGradient(t, "dq", f, q, dq)
		checkGradient(t, "dk", f, k, dk)
		checkGradient(t, "dv", f, v, dv)
	})
	t.Run("Attention64 with a cap", func(t *testing.T) {
		s := Attention64Shape{B: 2, T: 5, Heads: 4, KVHeads: 2, HeadDim: 3, Cap: 0.7}
		positions := []int32{0, 1, 2, 0, 1, 0, 1, 2, 3, 4} // the first row holds two segments
		q, k, v, do := random(r, 10*12), random(r, 10*6), random(r, 10*6), random(r, 10*12)
		f := func() float64 { return dot(do, Attention64(q, k, v, positions, s, 0.5)) }
		dq, dk, dv := AttentionBackward64(do, q, k, v, positions, s, 0.5)
		checkGradient(t, "dq", f, q, dq)
		checkGradient(t, "dk", f, k, dk)
		checkGradient(t, "dv", f, v, dv)
	})
	t.Run("CappedCrossEntropy64", func(t *testing.T) {
		hidden, weight, targets := random(r, 4*3), random(r, 6*3), []int32{5, -100, 0, 2}
		weights := []float32{1, 1, 0.5, 3}
		run := func() (float64, []float64, []float64) {
			loss, _, _, dh, dw := CappedCrossEntropy64(hidden, weight, targets, weights, 0.25, 3, 0.8)
			return loss, dh, dw
		}
		f := func() float64 {
			loss, _, _ := run()
			return loss
		}
		_, dh, dw := run()
		checkGradient(t, "dhidden", f, hidden, dh)
		checkGradient(t, "dweight", f, weight, dw)
	})
	t.Run("GeGLU64", func(t *testing.T) {
		for _, exact := range []bool{false, true} {
			gate, up, dy := random(r, 7), random(r, 7), random(r, 7)
			f := func() float64 { return dot(dy, GeGLU64(gate, up, exact)) }
			dgate, dup := GeGLUBackward64(dy, gate, up, exact)
			checkGradient(t, "dgate", f, gate, dgate)
			checkGradient(t, "dup", f, up, dup)
		}
	})
	t.Run("GELUExact64", func(t *testing.T) {
		x, dy := random(r, 7), random(r, 7)
		f := func() float64 { return dot(dy, GELUExact64(x)) }
		checkGradient(t, "dx", f, x, GELUExactBackward64(dy, x))
	})
	t.Run("UnitRMSNorm64", func(t *testing.T) {
		x, w, dy := random(r, 3*4), random(r, 4), random(r, 3*4)
		f := func() float64 { return dot(dy, UnitRMSNorm64(x, w, 3, 4, 1e-5)) }
		dx, dw := UnitRMSNormBackward64(dy, x, w, 3, 4, 1e-5)
		checkGradient(t, "dx", f, x, dx)
		checkGradient(t, "dw", f, w, dw)
	})
	t.Run("InterleavedRoPE64", func(t *testing.T) {
		x, dy, positions := random(r, 3*8), random(r, 3*8), []int32{0, 1, 5}
		f := func() float64 { return dot(dy, InterleavedRoPE64(x, positions, 2, 4, 100, false)) }
		checkGradient(t, "dx", f, x, InterleavedRoPE64(dy, positions, 2, 4, 100, true))
	})
	t.Run("CrossEntropy64", func(t *testing.T) {
		hidden, weight, targets := random(r, 4*3), random(r, 6*3), []int32{5, -100, 0, 2}
		weights := []float32{1, 1, 0.5, 3}
		f := func() float64 {
			loss, _, _, _, _ := CrossEntropy64(hidden, weight, targets, weights, 0.25, 3)
			return loss
		}
		_, _, _, dh, dw := CrossEntropy64(hidden, weight, targets, weights, 0.25, 3)
		checkGradient(t, "dhidden", f, hidden, dh)
		checkGradient(t, "dweight", f, weight, dw)
	})
}

// A token alone in its segment sees its own value only.
func TestAttention64Alone(t *testing.T) {
	s := Attention64Shape{B: 1, T: 3, Heads: 1, KVHeads: 1, HeadDim: 2}
	v := []float64{1, 2, 3, 4, 5, 6}
	o := Attention64([]float64{9, 9, 9, 9, 9, 9}, []float64{1, 0, 0, 1, 1, 1}, v, []int32{0, 0, 0}, s, 1)
	for i := range v {
		if math.Abs(o[i]-v[i]) > 1e-15 {
			t.Fatalf("o = %v, want %v", o, v)
		}
	}
}
