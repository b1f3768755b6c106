package model

import (
	"math"

	"gorgonia.org/gorgonia"

	"gotune/internal/kernel"
	"gotune/internal/op"
)

// Prompt puts the rows of a table [V, C] in the place of those of x that belong to the
// first V tokens of each segment: an adapter's virtual tokens.
func (b *Builder) Prompt(x, table *gorgonia.Node) *gorgonia.Node {
	if !b.ok() {
		return nil
	}
	return b.check(op.Prompt(x, table, b.inputs.positions))
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

// noiseStream is the place of the embedding's noise among the random streams of a
// batch. Dropouts count from 1.
const noiseStream = 0

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
