package op_test

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
	"gotune/internal/op"
)

// gorgonia's types know the number of dimensions but not their sizes, so the
// constructors check everything.
func TestShapeErrors(t *testing.T) {
	b := newBench(t)
	m34, _ := b.floats("m34", 3, 4)
	m35, _ := b.floats("m35", 3, 5)
	m54, _ := b.floats("m54", 5, 4)
	m24, _ := b.floats("m24", 2, 4)
	m52, _ := b.floats("m52", 5, 2)
	m45, _ := b.floats("m45", 4, 5)
	v4, _ := b.floats("v4", 4)
	v3, _ := b.floats("v3", 3)
	v5, _ := b.floats("v5", 5)
	i3 := b.ints("i3", 0, 1, 2)
	i2 := b.ints("i2", 0, 1)
	one := b.scalar("one", 1)
	wide := gorgonia.NewMatrix(b.g, tensor.Float64, gorgonia.WithShape(3, 4), gorgonia.WithName("wide"))
	table := must(op.NewRoPETable(8, 4, 1, []float64{1, 0.01}))
	shape := kernel.AttentionShape{B: 1, T: 3, Heads: 2, KVHeads: 1, HeadDim: 2, Scale: 1}
	m32, _ := b.floats("m32", 3, 2)
	odd := shape
	odd.Heads, odd.KVHeads = 3, 2
	two := shape
	two.B = 2

	first := func(_ *gorgonia.Node, err error) error { return err }
	ce := func(_, _, _ *gorgonia.Node, err error) error { return err }
	tests := []struct {
		name, culprit string
		err           error
	}{
		{"embedding of floats", "ids (v4) holds float32, want int32", first(op.Embedding(op.Leaf(m34), v4))},
		{"embedding without table", "table is missing", first(op.Embedding(op.Leaf(nil), i3))},
		{"embedding from a vector", "table (v4) has shape (4), want 2 dimensions", first(op.Embedding(op.Leaf(v4), i3))},
		{"norm of another width", "weight is 5, want 4", first(op.RMSNorm(m34, v5, 1e-5))},
		{"norm without epsilon", "epsilon is 0", first(op.RMSNorm(m34, v4, 0))},
		{"norm of float64", "x (wide) holds float64", first(op.RMSNorm(wide, v4, 1e-5))},
		{"positions", "positions (v4) holds float32", first(op.PositionEmbedding(op.Leaf(m34), v4))},
		{"layernorm of another width", "weight is 5, want 4", first(op.LayerNorm(m34, v5, v4, 1e-5))},
		{"layernorm with a wrong bias", "bias is 5, want 4", first(op.LayerNorm(m34, v4, v5, 1e-5))},
		{"layernorm without epsilon", "epsilon is 0", first(op.LayerNorm(m34, v4, v4, 0))},
		{"gelu of a vector", "x (v4) has shape (4), want 2 dimensions", first(op.GELU(v4, kernel.GELUTanh))},
		{"geglu", "columns of up is 5, want 4", first(op.GeGLU(m34, m35, kernel.GELUTanh))},
		{"heads of columns", "the width 5 of x is no multiple of 2 heads", first(op.ColumnsOfHeads(m35, 2, 0, 1))},
		{"soft cap without a limit", "the limit is 0", first(op.SoftCap(m34, 0))},
		{"logits below a negative limit", "the limit of the logits is -1", ce(op.CappedCrossEntropy(m34, op.Leaf(m54), -1, i3, v3, one))},
		{"columns", "2…4 of a matrix of 4 columns", first(op.Columns(m34, 2, 5))},
		{"conv1d", "rows of weight is 5, want 4", first(op.Linear(m34, op.Weight{Node: m52, Conv1D: true}, nil))},
		{"lora conv1d", "rows of b is 3, want 5", first(op.LoRALinear(m34, op.Weight{Node: m45, Conv1D: true}, nil, m24, m32, 1, nil))},
		{"linear", "columns of weight is 4, want 5", first(op.Linear(m35, op.Leaf(m54), nil))},
		{"linear with a wrong bias", "bias is 4, want 5", first(op.Linear(m34, op.Leaf(m54), v4))},
		{"lora a", "columns of a is 5, want 4", first(op.LoRALinear(m34, op.Leaf(m54), nil, m35, m52, 1, nil))},
		{"lora b", "columns of b is 2, want 3", first(op.LoRALinear(m34, op.Leaf(m54), nil, m34, m52, 1, nil))},
		{"lora b rows", "rows of b is 3, want 5", first(op.LoRALinear(m34, op.Leaf(m54), nil, m24, m32, 1, nil))},
		{"dropout of everything", "dropout is 1", first(op.LoRALinear(m34, op.Leaf(m54), nil, m24, m52, 1, &op.Dropout{P: 1, Key: i2}))},
		{"dropout key", "dropout key is 3, want 2", first(op.LoRALinear(m34, op.Leaf(m54), nil, m24, m52, 1, &op.Dropout{P: 0.5, Key: i3}))},
		{"rope table", "cannot make a table", func() error { _, err := op.NewRoPETable(8, 1, 1, []float64{1}); return err }()},
		{"rope sets", "sets of 1 and 2 frequencies", func() error { _, err := op.NewRoPETable(8, 4, 1, []float64{1}, []float64{1, 1}); return err }()},
		{"scale", "the factor is NaN", first(op.Scale(m34, math.NaN()))},
		{"rope width", "no multiple of the head's width 4", first(op.RoPE(m35, i3, table))},
		{"rope positions", "positions is 2, want 3", first(op.RoPE(m34, i2, table))},
		{"heads", "3 query heads cannot share 2", first(op.Attention(m34, m32, m32, i3, odd, kernel.FP32))},
		{"rows of a batch", "rows of q is 3, want 6", first(op.Attention(m34, m32, m32, i3, two, kernel.FP32))},
		{"width of k", "columns of k is 4, want 2", first(op.Attention(m34, m34, m34, i3, shape, kernel.FP32))},
		{"no cache", "the cache is missing", first(op.CachedAttention(m34, m32, m32, i3, nil, shape))},
		{"cache", "width of the cache is 3, want 2", first(op.CachedAttention(m34, m32, m32, i3, op.NewKVCache(4, 3), shape))},
		{"swiglu", "columns of up is 5, want 4", first(op.SwiGLU(m34, m35))},
		{"add", "rows of y is 5, want 3", first(op.Add(m34, m54))},
		{"rows", "index (v4) holds float32, want int32", first(op.Rows(m34, v4))},
		{"targets", "targets is 2, want 3", ce(op.CrossEntropy(m34, op.Leaf(m54), i2, v3, one))},
		{"weights", "weights is 4, want 3", ce(op.CrossEntropy(m34, op.Leaf(m54), i3, v4, one))},
		{"scale", "scale is 4, want 1", ce(op.CrossEntropy(m34, op.Leaf(m54), i3, v3, v4))},
		{"head", "columns of weight is 5, want 4", ce(op.CrossEntropy(m34, op.Leaf(m35), i3, v3, one))},
	}
	for _, test := range tests {
		if test.err == nil || !strings.Contains(test.err.Error(), test.culprit) {
			t.Errorf("%s: the error is %v and does not say %q", test.name, test.err, test.culprit)
		}
	}
}
