package model

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/kernel"
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

// Prompt puts the rows of a table [V, C] in the place of those of x that belong to the
// first V tokens of each segment: an adapter's virtual tokens.
func (b *Builder) Prompt(x, table *gorgonia.Node) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.Prompt(x, table, b.inputs.positions))
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

// noiseStream is the place of the embedding's noise among the random streams of a
// batch. Dropouts count from 1.
const noiseStream = 0

// Inputs are the values that a caller writes before each run of a program. N is
// rows times length; token t of row b has the index b·length + t.
type Inputs struct {
	IDs       []int32   // [N] token ids
	Positions []int32   // [N] place in the segment; a segment starts at 0
	Targets   []int32   // [N] the id to predict, or −100; nil without a loss
	Weights   []float32 // [N] of each target in the loss; 1 unless something else is written
	Scale     []float32 // [1] what the sum of losses is multiplied by
	Key       []int32   // [2] key of the dropout masks
	Noise     []float32 // [1] size of the embedding's noise; that of NoiseSize for the rows' length unless something else is written

	ids, positions, scale, key, noise *gorgonia.Node

	// Where texts of more than switchesAt tokens are turned by a second set of rotary
	// frequencies: the row of the table for each token. Inputs.turn sets it.
	rotations  []int32
	switchesAt int
	turns      *gorgonia.Node

	// Of the rows that the head is computed for: their index, −1 for none, target
	// and weight. Without a choice of rows index is nil and they are those of all.
	index, headTargets []int32
	headWeights        []float32

	rows, targets, weights *gorgonia.Node
}

// turn chooses the rotary frequencies of each token, where there are two sets of them:
// the second in segments of more than switchesAt tokens. Differs from transformers,
// which takes the second for all rows of a batch if one of them, padded, is so long.
func (in *Inputs) turn() {
	if in.turns == nil {
		return
	}
	set := int32(0)
	for i := len(in.Positions) - 1; i >= 0; i-- {
		p := in.Positions[i]
		if last := i+1 == len(in.Positions) || in.Positions[i+1] == 0; last {
			set = int32(min(1, (int(p)+1)/(in.switchesAt+1)))
		}
		in.rotations[i] = 2*p + set
	}
}

// turnAll is turn for tokens of one text, whose length decides.
func (in *Inputs) turnAll(length int) {
	if in.turns == nil {
		return
	}
	for i, p := range in.Positions {
		in.rotations[i] = 2 * p
		if length > in.switchesAt {
			in.rotations[i]++
		}
	}
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

// Dropout returns a dropout with probability p whose mask differs between the
// places that ask for one, or nil if the graph is not for training or p is 0.
func (b *Builder) Dropout(p float64) *op.Dropout {
	b.drops++
	if !b.Training || p == 0 {
		return nil
	}
	return &op.Dropout{P: p, Key: b.inputs.key, Stream: b.drops}
}

// NoiseSize returns alpha/√(T·C), the size of NEFTune's noise for a batch whose rows
// have T tokens, as transformers pads them (Jain et al. 2023, arXiv:2310.05914).
func (m *Model) NoiseSize(alpha float64, length int) float32 {
	return float32(alpha / math.Sqrt(float64(length*m.Config.HiddenSize)))
}

// Embedding looks the ids up in a table: [N, C]. While training with noise, each
// element gets a number added that is uniform in ± the input Noise.
func (b *Builder) Embedding(name string) *gorgonia.Node { return b.ScaledEmbedding(name, 1) }

// ScaledEmbedding is Embedding with what the table holds multiplied by a factor before
// noise is added.
func (b *Builder) ScaledEmbedding(name string, factor float64) *gorgonia.Node {
	w := b.Matrix(name)
	if !b.ok() {
		return nil
	}
	y := b.Scale(b.check(op.Embedding(w, b.inputs.ids)), factor)
	if b.noise > 0 && b.Training && b.ok() {
		b.inputs.Noise[0] = b.model.NoiseSize(b.noise, b.Length)
		y = b.check(op.Noise(y, b.inputs.key, b.inputs.noise, noiseStream))
	}
	return b.replaced(Embedded, y)
}

// RMSNorm normalises x by the root of its mean square and multiplies by the
// weight of the module. If the weight has the width of a head, each head is normalised
// for itself.
func (b *Builder) RMSNorm(module string, x *gorgonia.Node, eps float64) *gorgonia.Node {
	w := b.Weight(module + ".weight")
	if !b.ok() {
		return nil
	}
	return b.check(op.RMSNorm(x, w, eps))
}

// UnitRMSNorm is RMSNorm that multiplies by 1 + weight.
func (b *Builder) UnitRMSNorm(module string, x *gorgonia.Node, eps float64) *gorgonia.Node {
	w := b.Weight(module + ".weight")
	if !b.ok() {
		return nil
	}
	return b.check(op.UnitRMSNorm(x, w, eps))
}

// LayerNorm normalises x by mean and variance, multiplies by the weight of the
// module and adds its bias.
func (b *Builder) LayerNorm(module string, x *gorgonia.Node, eps float64) *gorgonia.Node {
	w, bias := b.Weight(module+".weight"), b.Weight(module+".bias")
	if !b.ok() {
		return nil
	}
	return b.check(op.LayerNorm(x, w, bias, eps))
}

// PositionEmbedding looks the positions up in a table: [N, C].
func (b *Builder) PositionEmbedding(name string) *gorgonia.Node {
	w := b.Matrix(name)
	if !b.ok() {
		return nil
	}
	return b.check(op.PositionEmbedding(w, b.inputs.positions))
}

// GELU is the Gaussian error linear unit in the form that the config names.
func (b *Builder) GELU(x *gorgonia.Node, c Config) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.GELU(x, geluForms[c.HiddenAct]))
}

// geluForms are the forms of GELU by the names that config.json has for them.
var geluForms = map[string]kernel.GELUForm{
	"gelu": kernel.GELUExact, "gelu_python": kernel.GELUExact,
	"gelu_new": kernel.GELUTanh, "gelu_pytorch_tanh": kernel.GELUTanh, "gelu_fast": kernel.GELUTanh,
}

// Columns takes columns from … to−1 of a matrix.
func (b *Builder) Columns(x *gorgonia.Node, from, to int) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.Columns(x, from, to))
}

// ColumnsOfHeads takes columns from … to−1 of each head.
func (b *Builder) ColumnsOfHeads(x *gorgonia.Node, heads, from, to int) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.ColumnsOfHeads(x, heads, from, to))
}

// Projection is the linear layer of a module, x·Wᵀ + bias or, where the family
// stores the transpose, x·W + bias; or what an adapter puts in its place.
func (b *Builder) Projection(module string, x *gorgonia.Node) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	if b.project != nil {
		if n := b.project(b, module, x); n != nil || !b.ok() {
			return n
		}
	}
	w, bias := b.Layer(module)
	if !b.ok() {
		return nil
	}
	return b.check(op.Linear(x, w, bias))
}

// RoPETable returns the table of rotary embeddings r, which all graphs of the model
// share.
func (b *Builder) RoPETable(r Rope, c Config) *op.RoPETable {
	table, err := b.model.ropes.table(r, c.HeadDim, c.MaxPositions)
	b.check(nil, err)
	if in := b.inputs; in.turns == nil && r.switchesAt() > 0 {
		in.switchesAt, in.rotations = r.switchesAt(), make([]int32, len(in.Positions))
		in.turns = b.ints("rotations", in.rotations)
	}
	return table
}

// RoPE rotates the heads of x by the positions of the tokens.
func (b *Builder) RoPE(x *gorgonia.Node, table *op.RoPETable) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	rows := b.inputs.positions
	if table.Sets > 1 {
		rows = b.inputs.turns
	}
	return b.check(op.RoPE(x, rows, table))
}

// Attention is causal attention inside each segment, as far as the layer's window
// reaches; while generating it attends to the cache of the layer too.
func (b *Builder) Attention(layer int, q, k, v *gorgonia.Node, c Config) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	k, v = b.replaced(KeysOf(layer), k), b.replaced(ValuesOf(layer), v)
	if !b.ok() {
		return nil
	}
	s := kernel.AttentionShape{
		B: b.Rows, T: b.Length, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Scale: float32(c.attentionScale()), Window: c.Window(layer),
		Cap: float32(c.AttentionCap),
	}
	if b.caches != nil {
		return b.check(op.CachedAttention(q, k, v, b.inputs.positions, b.caches[layer], s))
	}
	return b.check(op.Attention(q, k, v, b.inputs.positions, s, b.model.Arithmetic))
}

// ForHead takes from x the rows that the head is computed for, where not all are.
// An architecture calls it in its last layer, after attention has mixed the tokens:
// from there on no row depends on another.
func (b *Builder) ForHead(layer int, c Config, x *gorgonia.Node) *gorgonia.Node {
	if !b.ok() || b.heads == 0 || layer < c.Layers-1 {
		return x
	}
	return b.check(op.Rows(x, b.inputs.rows))
}

// Apart is x as a node of its own where ForHead takes no rows of it, so that the parts
// of its gradient are added in the same order with rows and without.
func (b *Builder) Apart(x *gorgonia.Node) *gorgonia.Node {
	if !b.ok() || b.heads > 0 {
		return x
	}
	return b.check(op.Scale(x, 1))
}

// SwiGLU is silu(gate)·up, element by element.
func (b *Builder) SwiGLU(gate, up *gorgonia.Node) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.SwiGLU(gate, up))
}

// GeGLU is gelu(gate)·up, element by element, with GELU in the form that the config names.
func (b *Builder) GeGLU(gate, up *gorgonia.Node, c Config) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.GeGLU(gate, up, geluForms[c.HiddenAct]))
}

// Scale is x·factor; a factor of 0 or 1 leaves x as it is.
func (b *Builder) Scale(x *gorgonia.Node, factor float64) *gorgonia.Node {
	if !b.ok() || factor == 0 || factor == 1 {
		return x
	}
	return b.check(op.Scale(x, factor))
}

// Add is the sum of two matrices.
func (b *Builder) Add(x, y *gorgonia.Node) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.Add(x, y))
}

// scaled divides the input of the head, which divides the logits.
func (b *Builder) scaled(hidden *gorgonia.Node) *gorgonia.Node {
	return b.Scale(hidden, 1/orElse(b.model.Config.LogitsDivisor, 1))
}

// capped caps the logits.
func (b *Builder) capped(logits *gorgonia.Node) *gorgonia.Node {
	if !b.ok() || b.model.Config.LogitsCap == 0 {
		return logits
	}
	return b.check(op.SoftCap(logits, b.model.Config.LogitsCap))
}

// Block runs build and notes which nodes it made: a block is what gradient
// checkpointing computes again as a whole.
func (b *Builder) Block(build func()) {
	first := exec.NextID(b.Graph)
	build()
	b.blocks = append(b.blocks, exec.Block{First: first, End: exec.NextID(b.Graph)})
}
