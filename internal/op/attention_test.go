package op_test

import (
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/ref"
)

// With a window a token reaches no further back than it allows, and a cap bounds scores.
func TestAttention(t *testing.T) {
	for flags := range 4 {
		window, limit := 3*(flags&1), float64(flags>>1)
		b := newBench(t)
		s := ref.Attention64Shape{B: 2, T: 9, Heads: 4, KVHeads: 2, HeadDim: 8, Cap: limit}
		n, c, kv := 18, 32, 16
		q, qw := b.floats("q", n, c)
		k, kw := b.floats("k", n, kv)
		v, vw := b.floats("v", n, kv)
		r, rw := b.floats("r", n, c)
		// The first row holds three segments, the last of which is padding.
		positions := []int32{0, 1, 2, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
		reach := slices.Clone(positions)
		for i := range reach {
			if window > 0 {
				reach[i] = min(reach[i], int32(window-1))
			}
		}
		dq, dk, dv := ref.AttentionBackward64(rw, qw, kw, vw, reach, s, 0.25)
		y := must(op.Attention(q, k, v, b.ints("positions", positions...),
			kernel.AttentionShape{B: 2, T: 9, Heads: 4, KVHeads: 2, HeadDim: 8, Scale: 0.25, Window: window, Cap: float32(limit)}, kernel.FP32))
		b.gradients(y, ref.Attention64(qw, kw, vw, reach, s, 0.25), r, want{q, dq}, want{k, dk}, want{v, dv})
	}
}

// TestAttentionBF16 holds the operator against the kernels that it calls, for every set of
// gradients that may be asked for.
func TestAttentionBF16(t *testing.T) {
	s := kernel.AttentionShape{B: 2, T: 9, Heads: 4, KVHeads: 2, HeadDim: 8, Scale: 0.25}
	n, c, kv := 18, 32, 16
	b := newBench(t)
	q, _ := b.floats("q", n, c)
	k, _ := b.floats("k", n, kv)
	v, _ := b.floats("v", n, kv)
	r, _ := b.floats("r", n, c)
	positions := []int32{0, 1, 2, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	y := must(op.Attention(q, k, v, b.ints("positions", positions...), s, kernel.BF16))
	cost := must(op.Dot(y, r))
	grads := must(op.Grad(cost, q, k, v))

	data := func(n *gorgonia.Node) []float32 { return n.Value().Data().([]float32) }
	o, lse, rounded := make([]float32, n*c), make([]float32, n*s.Heads), make([]float32, kernel.AttentionRounded(s))
	kernel.AttentionBF16(nil, o, lse, rounded, data(q), data(k), data(v), positions, s)
	wants := [][]float32{make([]float32, n*c), make([]float32, n*kv), make([]float32, n*kv)}
	kernel.AttentionBackwardBF16(nil, wants[0], wants[1], wants[2], data(r), lse, rounded, positions, s)
	for i, which := range [][]int{{}, {0, 1, 2}, {0}, {1}, {2}, {0, 1, 2}} {
		config := exec.Config{Outputs: []*gorgonia.Node{y}, Poison: true}
		gradientsAlone := i == 5 // nobody asks for the result, as where blocks are computed again
		if gradientsAlone {
			config.Outputs = nil
		}
		for _, i := range which {
			config.Gradients = append(config.Gradients, exec.Gradient{Node: grads[i], Into: make([]float32, len(wants[i]))})
		}
		p := must(exec.NewArena(nil).Compile(b.g, config))
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		if !gradientsAlone && !slices.Equal(p.Value(y), o) {
			t.Fatalf("gradients %v: the result is not that of the kernel", which)
		}
		for i, w := range which {
			if !slices.Equal(config.Gradients[i].Into, wants[w]) {
				t.Fatalf("gradients %v: that of %s is not that of the kernel", which, []string{"q", "k", "v"}[w])
			}
		}
	}
}
