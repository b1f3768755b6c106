package model

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
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
	// Recompute keeps only the inputs of the blocks and computes the rest again
	// in the backward pass (gradient checkpointing). It changes no bit.
	Recompute bool
}

// A Program computes the loss of a batch of a fixed size, and gradients if
// parameters were given. The loss is scale · Σ weight · nll over the targets that are
// not −100, where nll is −log softmax(logits)[target].
type Program struct {
	*Inputs
	exec           *exec.Program
	loss, nll, hit *gorgonia.Node
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
	c := exec.Config{Outputs: []*gorgonia.Node{p.loss, p.nll, p.hit}, Blocks: b.blocks, Recompute: o.Recompute}
	for i, g := range grads {
		c.Gradients = append(c.Gradients, exec.Gradient{Node: g, Into: o.Parameters[i].Grad})
	}
	if arena == nil {
		arena = NewArena(nil)
	}
	p.exec, err = arena.Compile(b.Graph, c)
	return p, err
}

// graph builds loss and gradients.
func (m *Model) graph(o ProgramOptions) (*Builder, *Program, []*gorgonia.Node, error) {
	if o.Rows < 1 || o.Length < 1 {
		return nil, nil, nil, errors.New("rows and tokens must be at least 1")
	}
	if o.Length > m.Config.MaxPositions {
		return nil, nil, nil, fmt.Errorf("the model has positions for %d tokens (max_position_embeddings, or n_positions)", m.Config.MaxPositions)
	}
	b := newBuilder(m, o.Rows, o.Length, o.Project)
	b.Training = len(o.Parameters) > 0
	b.noise = o.Noise
	hidden := m.arch.hidden(b, m.Config)
	head := b.Matrix(m.arch.head(m.Config))
	if b.err != nil {
		return nil, nil, nil, b.err
	}
	p := &Program{Inputs: b.inputs}
	var err error
	if p.loss, p.nll, p.hit, err = op.CrossEntropy(hidden, head, b.inputs.targets, b.inputs.weights, b.inputs.scale); err != nil {
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
func (p *Program) Run() error { return p.exec.Run() }

// Loss returns scale · Σ nll of the last run.
func (p *Program) Loss() float32 { return p.exec.Value(p.loss)[0] }

// NLL returns the negative log-likelihood of each target, 0 where there is none:
// [N], valid until the next run.
func (p *Program) NLL() []float32 { return p.exec.Value(p.nll) }

// Hit returns 1 where the target has the largest logit, else 0: [N], valid until
// the next run.
func (p *Program) Hit() []float32 { return p.exec.Value(p.hit) }

// PlannedBytes returns the memory of activations and gradients of activations
// that a run needs.
func (p *Program) PlannedBytes() int64 { return p.exec.PlannedBytes() }

// Exec returns the executor's program, for profiles.
func (p *Program) Exec() *exec.Program { return p.exec }
