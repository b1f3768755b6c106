package exec

import (
	"cmp"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"gotune/internal/op"
)

// value is an index into program.values.
type value int

// none stands for an output that nobody uses, or an input that no living output
// needs.
const none value = -1

// valueInfo describes a value.
type valueInfo struct {
	size int
	// leaf is the node whose bound memory is the value, if it is one.
	leaf *gorgonia.Node
	// constant is the memory of a constant.
	constant []float32
	// sunk values are added to the caller's buffer for a gradient, an index into
	// program.gradients.
	sunk     bool
	gradient int
	// kept values can be read after the run.
	kept bool
}

// planned reports whether the value lives in the arena.
func (v *valueInfo) planned() bool { return v.leaf == nil && v.constant == nil && !v.sunk }

// step is one kernel call.
type step struct {
	kernel   op.Kernel
	outputs  []op.Output
	in       []value
	out      []value
	base     []value // base[i] is the value that output i is added to
	id       int64   // of the node, to find its block
	backward bool
}

// program is what the passes work on.
type program struct {
	values []valueInfo
	steps  []*step
	// gradients are the values to add to buffers of the caller.
	gradients []gradient
}

type gradient struct {
	value value
	into  []float32
}

func (p *program) add(v valueInfo) value {
	p.values = append(p.values, v)
	return value(len(p.values) - 1)
}

// lowering turns nodes into steps.
type lowering struct {
	program
	wanted map[*op.Application][]bool // living outputs
	alive  map[*gorgonia.Node]bool
	values map[*gorgonia.Node]value
	made   map[*op.Application]*step
}

// lower makes a step of every node that an output or a gradient needs. IDs are a
// topological order of the graph.
func lower(g *gorgonia.ExprGraph, outputs []*gorgonia.Node, gradients []Gradient) (*program, map[*gorgonia.Node]value, error) {
	l := &lowering{
		wanted: make(map[*op.Application][]bool),
		alive:  make(map[*gorgonia.Node]bool),
		values: make(map[*gorgonia.Node]value),
		made:   make(map[*op.Application]*step),
	}
	for _, n := range outputs {
		if n == nil || n.Graph() != g {
			return nil, nil, fmt.Errorf("an output is no node of the graph")
		}
		l.alive[n] = true
	}
	for _, gr := range gradients {
		if gr.Node == nil || gr.Node.Graph() != g {
			return nil, nil, fmt.Errorf("a gradient is no node of the graph")
		}
		if size := gr.Node.Shape().TotalSize(); gr.Into != nil && size != len(gr.Into) {
			return nil, nil, fmt.Errorf("the gradient %s has %d elements, its buffer %d", gr.Node.Name(), size, len(gr.Into))
		}
		l.alive[gr.Node] = true
	}
	nodes := slices.Clone(g.AllNodes())
	slices.SortFunc(nodes, func(a, b *gorgonia.Node) int { return cmp.Compare(a.ID(), b.ID()) })
	for _, n := range slices.Backward(nodes) {
		if l.alive[n] {
			l.mark(n)
		}
	}
	for _, n := range nodes {
		if l.alive[n] {
			if err := l.node(n); err != nil {
				return nil, nil, err
			}
		}
	}
	kept := make(map[*gorgonia.Node]value)
	for _, n := range outputs {
		kept[n] = l.values[n]
		l.program.values[l.values[n]].kept = true
	}
	for _, gr := range gradients {
		l.gradients = append(l.gradients, gradient{l.values[gr.Node], gr.Into})
	}
	return &l.program, kept, nil
}

// mark marks what a living node needs.
func (l *lowering) mark(n *gorgonia.Node) {
	switch o := n.Op().(type) {
	case nil:
	case *op.Projection:
		want(l.wanted, o.Tuple)[o.Index] = true
		l.alive[op.Children(n)[0]] = true
	case *op.Application:
		w := want(l.wanted, o)
		if len(w) == 1 {
			w[0] = true
		}
		for i, used := range usedInputs(o.Outputs(), w, len(o.Inputs())) {
			if used {
				l.alive[o.Inputs()[i]] = true
			}
		}
	default:
		for _, c := range op.Children(n) {
			l.alive[c] = true
		}
	}
}

func want(wanted map[*op.Application][]bool, a *op.Application) []bool {
	if wanted[a] == nil {
		wanted[a] = make([]bool, len(a.Outputs()))
	}
	return wanted[a]
}

// usedInputs says which inputs the living outputs depend on.
func usedInputs(outputs []op.Output, alive []bool, inputs int) []bool {
	used := make([]bool, inputs)
	for i, o := range outputs {
		if !alive[i] {
			continue
		}
		if o.Uses == nil {
			for j := range used {
				used[j] = true
			}
		}
		for _, j := range o.Uses {
			used[j] = true
		}
	}
	return used
}

// node makes the value of a living node, and its step if it has one.
func (l *lowering) node(n *gorgonia.Node) error {
	size := n.Shape().TotalSize()
	if n.IsScalar() {
		size = 1
	}
	switch o := n.Op().(type) {
	case nil:
		l.values[n] = l.add(valueInfo{size: size, leaf: n})
	case *op.Projection:
		l.values[n] = l.made[o.Tuple].out[o.Index]
	case *op.Application:
		s := l.step(o, o.Outputs(), o.Inputs(), l.wanted[o])
		s.id, s.backward = n.ID(), o.Backward()
		l.made[o] = s
		if len(s.out) == 1 {
			l.values[n] = s.out[0]
		}
	default:
		if c, ok := op.Constant(n); ok {
			l.values[n] = l.add(valueInfo{size: 1, constant: []float32{c}})
			return nil
		}
		in := op.Children(n)
		if !op.IsSum(n) || in[0].Shape().TotalSize() != size || in[1].Shape().TotalSize() != size {
			return fmt.Errorf("gorgonia's operator %v in %s cannot be run here", n.Op(), n.Name())
		}
		k := op.NewSum(n.Shape())
		s := l.step(k, k.Outputs(), in, []bool{true})
		s.id, s.backward = n.ID(), true
		l.values[n] = s.out[0]
	}
	return nil
}

func (l *lowering) step(k op.Kernel, outputs []op.Output, in []*gorgonia.Node, alive []bool) *step {
	s := &step{kernel: k, outputs: outputs}
	for i, used := range usedInputs(outputs, alive, len(in)) {
		v := none
		if used {
			v = l.values[in[i]]
		}
		s.in = append(s.in, v)
	}
	for i, o := range outputs {
		v := none
		if alive[i] {
			v = l.add(valueInfo{size: o.Size()})
		}
		s.out = append(s.out, v)
		s.base = append(s.base, none)
	}
	l.steps = append(l.steps, s)
	return s
}
