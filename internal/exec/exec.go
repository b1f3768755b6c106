// Package exec runs gorgonia graphs made of the operators of package op, without
// garbage.
//
// A graph is compiled once and run many times:
//
//	lower      reachable nodes become steps, in the order of their IDs
//	fuse       sums vanish into the kernels that make one of their sides
//	recompute  cheap kernels, or whole blocks, run again in the backward pass
//	join       products of one row become one step
//	plan       every value gets a place in one arena, by the time it lives
//	bind       steps get slices
//	run        a loop over steps
//
// A Program is a gorgonia.VM.
package exec

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"gorgonia.org/gorgonia"

	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/pages"
)

// An Arena is the memory that programs share. It is allocated by the first Run
// and grows to the largest program compiled by then, so compile first and run
// afterwards. One program of an arena runs at a time.
type Arena struct {
	team       *kernel.Team
	need       int // floats
	memory     []float32
	generation int
}

// NewArena returns an empty arena whose programs run on a team of threads; a nil
// team is one thread.
func NewArena(team *kernel.Team) *Arena { return &Arena{team: team} }

// Team returns the threads that programs run on.
func (a *Arena) Team() *kernel.Team { return a.team }

// Bytes returns the size of the arena: what its largest program needs.
func (a *Arena) Bytes() int64 { return int64(a.need) * 4 }

const align = 16 // floats: 64 bytes

// allocate makes the memory as large as the largest program needs.
func (a *Arena) allocate() {
	if len(a.memory) >= a.need && a.generation > 0 {
		return
	}
	if a.memory != nil { // or there would be two for a while
		a.memory = nil
		runtime.GC()
	}
	m := pages.Make[float32](a.need + align)
	skip := 0
	if past := int(uintptr(unsafe.Pointer(&m[0])) % (4 * align)); past != 0 {
		skip = align - past/4
	}
	a.memory = m[skip : skip+a.need]
	a.generation++
}

// Config says what a program computes and how.
type Config struct {
	// Outputs are the nodes whose values can be read after a run.
	Outputs []*gorgonia.Node
	// Gradients are the nodes whose values are added to buffers of the caller.
	Gradients []Gradient
	// Blocks are the parts of the forward pass that Recompute runs again.
	Blocks []Block
	// Recompute keeps only what passes from block to block and computes the
	// rest again in the backward pass. The results have the same bits.
	Recompute bool
	// Poison fills dead memory with NaN. It is for tests.
	Poison bool
	// NoFuse keeps sums as steps, keeps every value that the backward pass needs
	// and lets no result take over the memory of another. The results differ by
	// rounding. It is for tests.
	NoFuse bool
}

// A Gradient is a node made by op.Grad whose value is added to what Into holds,
// by every run. The caller clears Into at the start of an optimizer step.
type Gradient struct {
	Node *gorgonia.Node
	Into []float32
}

// A Block is the range First ≤ ID < End of node IDs that were given while the
// block was built; see [NextID].
type Block struct{ First, End int64 }

// NextID returns the ID that the next node of a graph will get. It is meant for
// graphs under construction, before op.Grad.
func NextID(g *gorgonia.ExprGraph) int64 {
	nodes := g.AllNodes()
	if len(nodes) == 0 {
		return 0
	}
	return nodes[len(nodes)-1].ID() + 1
}

// A Program is a compiled graph.
type Program struct {
	arena      *Arena
	layout     *layout
	outputs    map[*gorgonia.Node]value
	calls      []call
	floats     [][]float32 // by value
	generation int
	poison     bool
	profile    *profile // nil while nobody measures
}

// call is a step ready to run.
type call struct {
	kernel op.Kernel
	op.Call
	before, after [][]float32 // memory to poison
}

var _ gorgonia.VM = (*Program)(nil)

// Compile turns a graph into a program. Leaves must have been bound to values
// (gorgonia.Let or WithValue); the program reads the memory of those values, so
// the caller changes inputs by writing to it, and not by binding others.
func (a *Arena) Compile(g *gorgonia.ExprGraph, c Config) (*Program, error) {
	buffers := make(map[*float32]bool)
	for _, gr := range c.Gradients {
		first := unsafe.SliceData(gr.Into)
		if first == nil {
			return nil, errors.New("compile: a gradient has no buffer")
		}
		if buffers[first] {
			return nil, errors.New("compile: two gradients have the same buffer")
		}
		buffers[first] = true
	}
	l, outputs, err := prepare(g, c)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	p := &Program{arena: a, layout: l, outputs: outputs, poison: c.Poison}
	if err := p.bindLeaves(); err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	a.need = max(a.need, l.need)
	return p, nil
}

// Measure returns the bytes of arena that a program would need. It needs no
// values at the leaves and no buffers for gradients.
func Measure(g *gorgonia.ExprGraph, c Config) (int64, error) {
	l, _, err := prepare(g, c)
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	return int64(l.need) * 4, nil
}

func prepare(g *gorgonia.ExprGraph, c Config) (*layout, map[*gorgonia.Node]value, error) {
	p, outputs, err := lower(g, c.Outputs, c.Gradients)
	if err != nil {
		return nil, nil, err
	}
	p.sinkGradients(!c.NoFuse)
	if !c.NoFuse {
		p.fuseSums()
	}
	if c.Recompute {
		p.recompute(c.Blocks)
	}
	if !c.NoFuse {
		p.recomputeCheap()
	}
	p.saveBases()
	if !c.NoFuse {
		p.joinProducts()
	}
	return p.plan(!c.NoFuse), outputs, nil
}

// Run computes the outputs and adds the gradients. It allocates nothing, except
// in the first run and in the first one after the arena has grown.
func (p *Program) Run() error {
	if p.generation == 0 || p.generation != p.arena.generation || p.arena.need > len(p.arena.memory) {
		p.arena.allocate()
		p.bind()
		p.generation = p.arena.generation
	}
	if p.poison {
		poison(p.arena.memory)
	}
	for i := range p.calls {
		c := &p.calls[i]
		if p.poison {
			poison(c.before...)
		}
		var err error
		if p.profile != nil {
			err = p.profile.run(i, c)
		} else {
			err = c.kernel.Run(&c.Call)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.kernel.Name(), err)
		}
		if p.poison {
			poison(c.after...)
		}
	}
	return nil
}

// Value returns the value of one of the outputs, or nil for another node. It is
// valid until a program of the same arena runs.
func (p *Program) Value(n *gorgonia.Node) []float32 {
	v, ok := p.outputs[n]
	if !ok || p.floats == nil {
		return nil
	}
	return p.floats[v]
}

// PlannedBytes returns the arena memory the program needs.
func (p *Program) PlannedBytes() int64 { return int64(p.layout.need) * 4 }

// Steps returns the number of kernel calls of a run.
func (p *Program) Steps() int { return len(p.layout.steps) }

// RunAll is Run.
func (p *Program) RunAll() error { return p.Run() }

// Reset does nothing: every run starts afresh.
func (p *Program) Reset() {}

// Close does nothing: the memory belongs to the arena.
func (p *Program) Close() error { return nil }
