package model

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/op"
)

// A ProjectFunc builds the projection module of x in place of the plain linear
// layer. It returns nil for a module that it leaves alone. Adapters hook in here,
// so that an architecture's file knows nothing of them.
//
// It is asked for three other places too, which are no modules: what is embedded
// ([Embedded]), and the keys and values of each layer ([KeysOf], [ValuesOf]). There x is
// what the model computed itself.
type ProjectFunc func(b *Builder, module string, x *gorgonia.Node) *gorgonia.Node

// Embedded is the place of the embedded tokens, before positions are added to them.
const Embedded = "(embedded)"

// KeysOf is the place of a layer's keys, with positions rotated in: [N, KVHeads·HeadDim].
func KeysOf(layer int) string { return fmt.Sprintf("(keys %d)", layer) }

// ValuesOf is the place of a layer's values.
func ValuesOf(layer int) string { return fmt.Sprintf("(values %d)", layer) }

// replaced is what an adapter puts in the place of x, or x.
func (b *Builder) replaced(place string, x *gorgonia.Node) *gorgonia.Node {
	if b.project == nil || !b.ok() {
		return x
	}
	if n := b.project(b, place, x); n != nil {
		return n
	}
	return x
}

// A Builder makes the graph of one model for a fixed number of rows and tokens
// a row. Its methods return nodes and keep the first error, so that an
// architecture reads as the computation it is.
type Builder struct {
	Graph        *gorgonia.ExprGraph
	Rows, Length int
	// Training says that gradients will be taken: dropout is on.
	Training bool

	model   *Model
	project ProjectFunc
	noise   float64       // alpha of NEFTune
	heads   int           // rows that the head is computed for; 0 is all
	caches  []*op.KVCache // by layer, for generation
	leaves  map[string]*gorgonia.Node
	blocks  []exec.Block
	drops   uint32
	inputs  *Inputs
	err     error
}

// newBuilder begins a graph. With heads above 0 only so many rows reach the head.
func newBuilder(m *Model, rows, length, heads int, project ProjectFunc) *Builder {
	b := &Builder{
		Graph: gorgonia.NewGraph(), Rows: rows, Length: length,
		model: m, project: project, heads: heads, leaves: make(map[string]*gorgonia.Node),
	}
	n := rows * length
	in := &Inputs{
		IDs: make([]int32, n), Positions: make([]int32, n), Targets: make([]int32, n),
		Weights: make([]float32, n), Scale: make([]float32, 1), Key: make([]int32, 2), Noise: make([]float32, 1),
	}
	for i := range in.Weights {
		in.Weights[i] = 1
	}
	in.headTargets, in.headWeights = in.Targets, in.Weights
	if heads > 0 {
		in.index, in.headTargets, in.headWeights = make([]int32, heads), make([]int32, heads), make([]float32, heads)
		in.rows = b.ints("rows", in.index)
	}
	in.ids, in.positions, in.targets = b.ints("ids", in.IDs), b.ints("positions", in.Positions), b.ints("targets", in.headTargets)
	in.key = b.ints("key", in.Key)
	in.weights = b.Leaf("weights", []int{len(in.headWeights)}, in.headWeights)
	in.scale, in.noise = b.Leaf("scale", []int{1}, in.Scale), b.Leaf("noise", []int{1}, in.Noise)
	b.inputs = in
	return b
}

// check keeps the first error and hands the node on.
func (b *Builder) check(n *gorgonia.Node, err error) *gorgonia.Node {
	if b.err == nil && err != nil {
		b.err = err
	}
	return n
}

// ok reports whether all nodes so far could be built. After an error methods
// return nil and do nothing.
func (b *Builder) ok() bool { return b.err == nil }

// Fail records an error of an adapter's hook.
func (b *Builder) Fail(err error) { b.check(nil, err) }

// Leaf returns the leaf of a name, made at the first call. Its value shares the
// memory of data; without data it has none and the graph can only be measured.
func (b *Builder) Leaf(name string, shape []int, data []float32) *gorgonia.Node {
	if n := b.leaves[name]; n != nil {
		return n
	}
	options := []gorgonia.NodeConsOpt{gorgonia.WithShape(shape...), gorgonia.WithName(name)}
	if data != nil {
		options = append(options, gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))))
	}
	n := gorgonia.NewTensor(b.Graph, tensor.Float32, len(shape), options...)
	b.leaves[name] = n
	return n
}

// Once returns the node of a name, which build makes at the first call, for what several
// places of a graph have in common.
func (b *Builder) Once(name string, build func() (*gorgonia.Node, error)) *gorgonia.Node {
	if n := b.leaves[name]; n != nil || !b.ok() {
		return n
	}
	n := b.check(build())
	b.leaves[name] = n
	return n
}

func (b *Builder) ints(name string, data []int32) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data))
	return gorgonia.NewTensor(b.Graph, tensor.Int32, 1, gorgonia.WithShape(len(data)), gorgonia.WithName(name), gorgonia.WithValue(v))
}

// Weight returns the leaf of one of the model's weights, which is not frozen.
func (b *Builder) Weight(name string) *gorgonia.Node {
	t, known := b.model.Weights[name]
	if !known {
		b.check(nil, fmt.Errorf("the model has no weight %s", name))
		return nil
	}
	return b.Leaf(name, t.Shape, t.Data)
}

// Matrix returns one of the model's matrices, frozen or not, and how products with
// it are made.
func (b *Builder) Matrix(name string) op.Weight {
	w := op.Weight{Frozen: b.model.Frozen[name], Arithmetic: b.model.Arithmetic}
	if w.Frozen == nil {
		w.Node = b.Weight(name)
	}
	return w
}

// Layer returns the weight and the bias of a linear layer; the bias is nil if the
// layer has none.
func (b *Builder) Layer(module string) (op.Weight, *gorgonia.Node) {
	w := b.Matrix(module + ".weight")
	w.Conv1D = b.model.linear[module] == inOut
	return w, b.Bias(module)
}

// Bias returns the leaf of a module's bias, or nil if the model has none.
func (b *Builder) Bias(module string) *gorgonia.Node {
	if _, known := b.model.Weights[module+".bias"]; !known {
		return nil
	}
	return b.Weight(module + ".bias")
}

// Block runs build and notes which nodes it made: a block is what gradient
// checkpointing computes again as a whole.
func (b *Builder) Block(build func()) {
	first := exec.NextID(b.Graph)
	build()
	b.blocks = append(b.blocks, exec.Block{First: first, End: exec.NextID(b.Graph)})
}
