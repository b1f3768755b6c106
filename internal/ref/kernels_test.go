package ref

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The float32 twins of this file's functions are held to the float64 formulas,
// whose backward passes are held to finite differences in operators_test.go.

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// draw returns random numbers that float32 holds exactly, as both types.
func draw(r *rand.Rand, n int) ([]float32, []float64) {
	x := narrow(random(r, n))
	wide := make([]float64, n)
	for i, v := range x {
		wide[i] = float64(v)
	}
	return x, wide
}

// near compares to 1e-5 of the largest element.
func near(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
	}
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(w))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 1e-5*largest) {
			t.Errorf("%s[%d] = %v, the formula gives %v", name, i, got[i], w)
			return
		}
	}
}

func TestTwinsOfNormAndSwiGLU(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n, c, eps = 5, 24, 1e-5
	x, x64 := draw(r, n*c)
	w, w64 := draw(r, c)
	dy, dy64 := draw(r, n*c)
	y, inv, dx, dw := make([]float32, n*c), make([]float32, n), make([]float32, n*c), make([]float32, c)
	RMSNorm(y, inv, x, w, n, c, eps)
	near(t, "RMSNorm", y, RMSNorm64(x64, w64, n, c, eps))
	RMSNormBackward(dx, dw, dy, x, w, inv, n, c, false, false)
	dx64, dw64 := RMSNormBackward64(dy64, x64, w64, n, c, eps)
	near(t, "dx", dx, dx64)
	near(t, "dw", dw, dw64)

	gate, gate64 := draw(r, n*c)
	dgate, dup := make([]float32, n*c), make([]float32, n*c)
	SwiGLU(y, gate, x)
	near(t, "SwiGLU", y, SwiGLU64(gate64, x64))
	SwiGLUBackward(dgate, dup, dy, gate, x, false, false)
	dgate64, dup64 := SwiGLUBackward64(dy64, gate64, x64)
	near(t, "dgate", dgate, dgate64)
	near(t, "dup", dup, dup64)
}

func TestTwinsOfAttention(t *testing.T) {
	for _, limit := range []float32{0, 1.5} {
		twinsOfAttention(t, limit)
	}
}

func twinsOfAttention(t *testing.T, limit float32) {
	r := rand.New(rand.NewPCG(5, 6))
	const b, length, heads, kv, d = 2, 13, 4, 2, 6
	shape := Attention64Shape{B: b, T: length, Heads: heads, KVHeads: kv, HeadDim: d, Cap: float64(limit)}
	positions := make([]int32, b*length)
	for i := range positions {
		positions[i] = int32(i % length)
		if i%length >= 8 { // a second segment
			positions[i] -= 8
		}
	}
	const n, scale = b * length, 0.5
	q, q64 := draw(r, n*heads*d)
	k, k64 := draw(r, n*kv*d)
	v, v64 := draw(r, n*kv*d)
	do, do64 := draw(r, n*heads*d)
	s := AttentionShape{B: b, T: length, Heads: heads, KVHeads: kv, HeadDim: d, Scale: scale, Cap: limit}
	o, lse := make([]float32, len(q)), make([]float32, n*heads)
	Attention(o, lse, q, k, v, positions, s)
	near(t, "o", o, Attention64(q64, k64, v64, positions, shape, scale))
	dq, dk, dv := make([]float32, len(q)), make([]float32, len(k)), make([]float32, len(v))
	AttentionBackward(dq, dk, dv, do, o, lse, q, k, v, positions, s)
	dq64, dk64, dv64 := AttentionBackward64(do64, q64, k64, v64, positions, shape, scale)
	near(t, "dq", dq, dq64)
	near(t, "dk", dk, dk64)
	near(t, "dv", dv, dv64)
}

func TestTwinOfSoftmaxNLL(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const m, c, v, scale = 6, 10, 33, 0.25
	hidden, hidden64 := draw(r, m*c)
	weight, weight64 := draw(r, v*c)
	targets := []int32{0, 32, 5, 6, 7, 31}
	logits := MatMul(m, v, c, func(i, j int) float32 { return hidden[i*c+j] }, func(i, j int) float32 { return weight[j*c+i] }, nil)
	nll, hit := make([]float32, m), make([]float32, m)
	SoftmaxNLL(logits, nll, hit, targets, m, v, scale)
	_, nll64, hit64, dhidden64, _ := CrossEntropy64(hidden64, weight64, targets, slices.Repeat([]float32{1}, len(targets)), scale, c)
	near(t, "nll", nll, nll64)
	near(t, "hit", hit, hit64)
	dhidden := MatMul(m, c, v, func(i, j int) float32 { return logits[i*v+j] }, func(i, j int) float32 { return weight[i*c+j] }, nil)
	near(t, "dhidden", dhidden, dhidden64)
}

// TestTwinOfAdamW makes two steps with one number, worked out by hand in float64.
func TestTwinOfAdamW(t *testing.T) {
	p, m, v := []float32{2}, []float32{0}, []float32{0}
	p64, m64, v64 := 2.0, 0.0, 0.0
	for step, g := range []float64{0.5, -0.25} {
		bias1, bias2 := 1-math.Pow(0.9, float64(step+1)), 1-math.Pow(0.999, float64(step+1))
		AdamW(p, []float32{float32(g)}, m, v, 0.1, 0.9, 0.999, 1e-8, 0.01, bias1, bias2, 0.5)
		m64 = 0.9*m64 + 0.1*g/2
		v64 = 0.999*v64 + 0.001*g/2*g/2
		p64 = p64*(1-0.1*0.01) - 0.1*(m64/bias1)/(math.Sqrt(v64/bias2)+1e-8)
	}
	near(t, "p, m, v", []float32{p[0]}, []float64{p64})
	near(t, "m", m, []float64{m64})
	near(t, "v", v, []float64{v64})
}
