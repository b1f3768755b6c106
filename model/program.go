package model

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
)

// ProgramOptions say what a program is for.
type ProgramOptions struct {
	Rows, Length int
	// Parameters are trained: every run adds their gradients to Grad. Without
	// any the program evaluates: loss, nll and hit only, and no dropout.
	Parameters []Parameter
	// Project is an adapter's hook, or nil.
	Project ProjectFunc
	// Noise is the alpha of NEFTune; 0 is none. See [Builder.Embedding].
	Noise float64
	// Targets is the largest number of targets of a run where it is known to be
	// small: the last layer computes only rows with a target after its attention.
	// 0 allows every token to have one. See [HeadRows].
	Targets int
	// Recompute is the number of blocks, from the first, of which only the input is
	// kept and the rest computed again in the backward pass (gradient
	// checkpointing); see [AllBlocks]. The first blocks are those whose values would
	// be kept longest. It changes no bit.
	Recompute int
}

// AllBlocks stands for the number of a model's blocks, whatever it is.
const AllBlocks = math.MaxInt

// A Program computes the loss of a batch of a fixed size, and gradients if
// parameters were given. The loss is scale · Σ weight · nll over the targets that are
// not −100, where nll is −log softmax(logits)[target].
type Program struct {
	*Inputs
	exec           *exec.Program
	loss, nll, hit *gorgonia.Node
	allNLL, allHit []float32 // [N], where the head has fewer rows
}

// HeadRows returns for how many targets to compile a program of n tokens, so that
// few programs serve runs of any number of targets: a multiple of a 16th of n, and
// of 32. It is 0, for all, where little would be won.
func HeadRows(n, targets int) int {
	unit := (n/16 + 31) / 32 * 32
	if rows := (max(1, targets) + unit - 1) / max(1, unit) * unit; rows <= n*7/8 {
		return rows
	}
	return 0
}

// Program compiles the model for rows of a length. Programs of one arena share
// its memory and run one at a time; a nil arena is one of its own on one thread.
func (m *Model) Program(arena *Arena, o ProgramOptions) (*Program, error) {
	p, err := m.program(arena, o)
	if err != nil {
		return nil, fmt.Errorf("compiling the model for %d rows of %d tokens: %w", o.Rows, o.Length, err)
	}
	return p, nil
}

func (m *Model) program(arena *Arena, o ProgramOptions) (*Program, error) {
	b, p, grads, err := m.graph(o)
	if err != nil {
		return nil, err
	}
	if arena == nil {
		arena = NewArena(nil)
	}
	p.exec, err = arena.Compile(b.Graph, o.config(b, p, grads))
	return p, err
}

// config says what the executor computes.
func (o ProgramOptions) config(b *Builder, p *Program, grads []*gorgonia.Node) exec.Config {
	c := exec.Config{Outputs: []*gorgonia.Node{p.loss, p.nll, p.hit}, Blocks: b.blocks[:min(o.Recompute, len(b.blocks))], Recompute: o.Recompute > 0}
	for i, g := range grads {
		c.Gradients = append(c.Gradients, exec.Gradient{Node: g, Into: o.Parameters[i].Grad})
	}
	return c
}

// Measure returns the bytes of activations and their gradients that a program
// would need. The model may be an [Outline], and parameters may have no memory.
func (m *Model) Measure(o ProgramOptions) (int64, error) {
	b, p, grads, err := m.graph(o)
	if err != nil {
		return 0, fmt.Errorf("planning the model for %d rows of %d tokens: %w", o.Rows, o.Length, err)
	}
	c := o.config(b, p, grads)
	for i := range c.Gradients {
		c.Gradients[i].Into = nil
	}
	return exec.Measure(b.Graph, c)
}

// RoundingBytes returns the memory that a program keeps beyond what Measure returns if
// products are made in bf16: that of the largest factor, rounded.
func (m *Model) RoundingBytes(o ProgramOptions) int64 {
	if m.Arithmetic != ProductsBF16 {
		return 0
	}
	widest := m.Config.HiddenSize
	for _, module := range m.Projections() {
		p := m.Projection(module)
		widest = max(widest, p.In, p.Out)
	}
	n, logits := o.Rows*o.Length, o.Targets
	if logits == 0 {
		logits = n
	}
	v := m.Config.VocabSize
	return max(kernel.RoundedBytes(n, widest), kernel.RoundedBytes(op.LogitRows(logits, v), v))
}

// graph builds loss and gradients.
func (m *Model) graph(o ProgramOptions) (*Builder, *Program, []*gorgonia.Node, error) {
	if o.Rows < 1 || o.Length < 1 {
		return nil, nil, nil, errors.New("rows and tokens must be at least 1")
	}
	if o.Length > m.Config.MaxPositions {
		return nil, nil, nil, fmt.Errorf("the model has positions for %d tokens (max_position_embeddings, or n_positions)", m.Config.MaxPositions)
	}
	b := newBuilder(m, o.Rows, o.Length, o.Targets, o.Project)
	b.Training = len(o.Parameters) > 0
	b.noise = o.Noise
	hidden := b.scaled(m.arch.hidden(b, m.Config))
	head := b.Matrix(m.arch.head(m.Config))
	if b.err != nil {
		return nil, nil, nil, b.err
	}
	p := &Program{Inputs: b.inputs}
	if o.Targets > 0 {
		p.allNLL, p.allHit = make([]float32, len(p.IDs)), make([]float32, len(p.IDs))
	}
	var err error
	if p.loss, p.nll, p.hit, err = op.CappedCrossEntropy(hidden, head, m.Config.LogitsCap, b.inputs.targets, b.inputs.weights, b.inputs.scale); err != nil {
		return nil, nil, nil, err
	}
	var leaves []*gorgonia.Node
	for _, q := range o.Parameters {
		leaf := b.leaves[q.Name]
		if leaf == nil {
			return nil, nil, nil, fmt.Errorf("parameter %s is not part of the model", q.Name)
		}
		leaves = append(leaves, leaf)
	}
	if leaves == nil {
		return b, p, nil, nil
	}
	grads, err := op.Grad(p.loss, leaves...)
	return b, p, grads, err
}

// Run computes the outputs for the inputs as they stand. It allocates nothing
// after the first run.
func (p *Program) Run() error {
	p.turn()
	if p.index == nil {
		return p.exec.Run()
	}
	if err := p.chooseRows(); err != nil {
		return err
	}
	if err := p.exec.Run(); err != nil {
		return err
	}
	p.spread(p.allNLL, p.exec.Value(p.nll))
	p.spread(p.allHit, p.exec.Value(p.hit))
	return nil
}

// chooseRows gives the rows with a target to the head.
func (p *Program) chooseRows() error {
	m := 0
	for i, target := range p.Targets {
		if target == noTarget {
			continue
		}
		if m < len(p.index) {
			p.index[m], p.headTargets[m], p.headWeights[m] = int32(i), target, p.Weights[i]
		}
		m++
	}
	if m > len(p.index) {
		return fmt.Errorf("a program for %d targets was given %d", len(p.index), m)
	}
	for ; m < len(p.index); m++ {
		p.index[m], p.headTargets[m], p.headWeights[m] = -1, noTarget, 0
	}
	return nil
}

// noTarget marks a token that is not to be learned.
const noTarget = -100

// spread writes values of the head's rows to their places among all.
func (p *Program) spread(all, values []float32) {
	clear(all)
	for m, i := range p.index {
		if i >= 0 {
			all[i] = values[m]
		}
	}
}

// Loss returns scale · Σ nll of the last run.
func (p *Program) Loss() float32 { return p.exec.Value(p.loss)[0] }

// NLL returns the negative log-likelihood of each target, 0 where there is none:
// [N], valid until the next run.
func (p *Program) NLL() []float32 {
	if p.index != nil {
		return p.allNLL
	}
	return p.exec.Value(p.nll)
}

// Hit returns 1 where the target has the largest logit, else 0: [N], valid until
// the next run.
func (p *Program) Hit() []float32 {
	if p.index != nil {
		return p.allHit
	}
	return p.exec.Value(p.hit)
}

// PlannedBytes returns the memory of activations and gradients of activations
// that a run needs.
func (p *Program) PlannedBytes() int64 { return p.exec.PlannedBytes() }

// Exec returns the executor's program, for profiles.
func (p *Program) Exec() *exec.Program { return p.exec }
