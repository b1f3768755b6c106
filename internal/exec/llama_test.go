package exec_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
)

// shape is a Llama's.
type shape struct {
	layers, c, heads, kv, d, f, v int
	rows, length                  int
	rank                          int     // of adapters; 0 trains all weights instead
	dropout                       float64 // of adapters
	tied                          bool
}

var tiny = shape{layers: 2, c: 24, heads: 4, kv: 2, d: 6, f: 40, v: 37, rows: 2, length: 10, rank: 3, tied: true}

// llama is a graph of the model under test, built from operators alone.
type llama struct {
	shape
	g       *gorgonia.ExprGraph
	rand    *rand.Rand
	empty   bool // leaves have shapes and no values
	trained []*gorgonia.Node
	weights map[string]*gorgonia.Node
	blocks  []exec.Block
	streams uint32

	ids, positions, key *gorgonia.Node
	loss, nll, hit      *gorgonia.Node
	grads               []*gorgonia.Node
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// build makes the graph, with the gradients of all adapters, or of all weights.
func build(s shape, empty bool) *llama {
	m := &llama{shape: s, g: gorgonia.NewGraph(), empty: empty, rand: rand.New(rand.NewPCG(5, 6)), weights: make(map[string]*gorgonia.Node)}
	n := s.rows * s.length
	ids, targets, positions := make([]int32, n), make([]int32, n), make([]int32, n)
	for i := range ids {
		ids[i], targets[i] = int32(m.rand.IntN(s.v)), int32(m.rand.IntN(s.v))
		positions[i] = int32(i % s.length)
		if i%s.length > s.length/2 { // a second segment
			positions[i] -= int32(s.length/2 + 1)
		}
		if i%4 == 0 {
			targets[i] = -100
		}
	}
	m.ids, m.positions, m.key = m.ints("ids", ids), m.ints("positions", positions), m.ints("key", []int32{1, 2})
	scale := m.floats("scale", []float32{1 / float32(n)}, 1)
	hidden := m.model(nil)
	head := m.weights["embed"]
	if !s.tied {
		head = m.weight("head", s.v, s.c)
	}
	m.loss, m.nll, m.hit, _ = op.CrossEntropy(hidden, op.Leaf(head), m.ints("targets", targets), m.floats("weights", slices.Repeat([]float32{1}, n), n), scale)
	m.grads = must(op.Grad(m.loss, m.trained...))
	return m
}

// model builds embedding, blocks and the last norm; with caches for generation.
func (m *llama) model(caches []*op.KVCache) *gorgonia.Node {
	s := m.shape
	frequencies := make([]float64, s.d/2)
	for i := range frequencies {
		frequencies[i] = math.Pow(10000, -2*float64(i)/float64(s.d))
	}
	table := must(op.NewRoPETable(64+s.length, s.d, 1, frequencies))
	h := must(op.Embedding(op.Leaf(m.weight("embed", s.v, s.c)), m.ids))
	as := kernel.AttentionShape{B: s.rows, T: s.length, Heads: s.heads, KVHeads: s.kv, HeadDim: s.d, Scale: float32(1 / math.Sqrt(float64(s.d)))}
	for l := range s.layers {
		first := exec.NextID(m.g)
		name := func(part string) string { return fmt.Sprintf("%d.%s", l, part) }
		x := must(op.RMSNorm(h, m.norm(name("norm1")), 1e-5))
		q := must(op.RoPE(m.project(name("q"), x, s.heads*s.d), m.positions, table))
		k := must(op.RoPE(m.project(name("k"), x, s.kv*s.d), m.positions, table))
		v := m.project(name("v"), x, s.kv*s.d)
		var o *gorgonia.Node
		if caches == nil {
			o = must(op.Attention(q, k, v, m.positions, as, kernel.FP32))
		} else {
			o = must(op.CachedAttention(q, k, v, m.positions, caches[l], as))
		}
		h = must(op.Add(h, m.project(name("o"), o, s.c)))
		x = must(op.RMSNorm(h, m.norm(name("norm2")), 1e-5))
		act := must(op.SwiGLU(m.project(name("gate"), x, s.f), m.project(name("up"), x, s.f)))
		h = must(op.Add(h, m.project(name("down"), act, s.c)))
		m.blocks = append(m.blocks, exec.Block{First: first, End: exec.NextID(m.g)})
	}
	return must(op.RMSNorm(h, m.norm("norm"), 1e-5))
}

// project is a linear layer, with an adapter on the projections that the
// trainer's defaults name.
func (m *llama) project(name string, x *gorgonia.Node, out int) *gorgonia.Node {
	in := x.Shape()[1]
	w := m.weight(name, out, in)
	if m.rank == 0 || strings.HasSuffix(name, ".o") || strings.HasSuffix(name, ".gate") {
		return must(op.Linear(x, op.Leaf(w), nil))
	}
	a, b := m.leaf(name+".a", true, m.rank, in), m.leaf(name+".b", true, out, m.rank)
	m.streams++
	drop := &op.Dropout{P: m.dropout, Key: m.key, Stream: m.streams}
	return must(op.LoRALinear(x, op.Leaf(w), nil, a, b, 2, drop))
}

func (m *llama) weight(name string, shape ...int) *gorgonia.Node {
	return m.leaf(name, m.rank == 0, shape...)
}

func (m *llama) norm(name string) *gorgonia.Node { return m.weight(name, m.c) }

func (m *llama) leaf(name string, trained bool, shape ...int) *gorgonia.Node {
	if n := m.weights[name]; n != nil {
		return n
	}
	var data []float32
	if !m.empty {
		data = make([]float32, tensor.Shape(shape).TotalSize())
		for i := range data {
			data[i] = float32(m.rand.NormFloat64()) / 4
		}
	}
	n := m.floats(name, data, shape...)
	m.weights[name] = n
	if trained {
		m.trained = append(m.trained, n)
	}
	return n
}

func (m *llama) floats(name string, data []float32, shape ...int) *gorgonia.Node {
	opts := []gorgonia.NodeConsOpt{gorgonia.WithShape(shape...), gorgonia.WithName(name)}
	if data != nil {
		opts = append(opts, gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))))
	}
	return gorgonia.NewTensor(m.g, tensor.Float32, len(shape), opts...)
}

func (m *llama) ints(name string, data []int32) *gorgonia.Node {
	return gorgonia.NewTensor(m.g, tensor.Int32, 1, gorgonia.WithShape(len(data)), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data))))
}

// config asks for the loss and all gradients, with new buffers.
func (m *llama) config() exec.Config {
	c := exec.Config{Outputs: []*gorgonia.Node{m.loss, m.nll, m.hit}, Blocks: m.blocks}
	for _, g := range m.grads {
		var into []float32
		if !m.empty {
			into = make([]float32, g.Shape().TotalSize())
		}
		c.Gradients = append(c.Gradients, exec.Gradient{Node: g, Into: into})
	}
	return c
}
