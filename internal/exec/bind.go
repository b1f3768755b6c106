package exec

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/op"
)

// bindLeaves checks that every leaf has memory of the right size.
func (p *Program) bindLeaves() error {
	for _, v := range p.layout.values {
		if v.leaf == nil {
			continue
		}
		in, err := leafMemory(v.leaf)
		if err != nil {
			return err
		}
		if n := len(in.F) + len(in.I); n != v.size {
			return fmt.Errorf("the leaf %s needs %d elements, its value has %d", v.leaf.Name(), v.size, n)
		}
	}
	return nil
}

// leafMemory returns the memory behind a leaf.
func leafMemory(n *gorgonia.Node) (op.Input, error) {
	d, ok := n.Value().(*tensor.Dense)
	if !ok {
		return op.Input{}, fmt.Errorf("the leaf %s has no tensor bound to it (use gorgonia.Let before compiling)", n.Name())
	}
	switch d.Dtype() {
	case tensor.Float32:
		return op.Input{F: d.Float32s()}, nil
	case tensor.Int32:
		return op.Input{I: d.Int32s()}, nil
	}
	return op.Input{}, fmt.Errorf("the leaf %s holds %v; float32 and int32 can be used", n.Name(), d.Dtype())
}

// bind makes the slices of all steps. It runs when the arena has moved.
func (p *Program) bind() {
	l, memory := p.layout, p.arena.memory
	p.floats = make([][]float32, len(l.values))
	ints := make([][]int32, len(l.values))
	for v, info := range l.values {
		switch {
		case info.leaf != nil:
			in, _ := leafMemory(info.leaf) // checked by Compile
			p.floats[v], ints[v] = in.F, in.I
		case info.constant != nil:
			p.floats[v] = info.constant
		case info.sunk:
			p.floats[v] = l.gradients[info.gradient].into
		case l.offset[v] >= 0:
			o := l.offset[v]
			p.floats[v] = memory[o : o+info.size : o+info.size]
		}
	}
	p.calls = make([]call, len(l.steps))
	for at, s := range l.steps {
		c := &p.calls[at]
		c.kernel, c.Team = s.kernel, p.arena.team
		for _, v := range s.in {
			in := op.Input{}
			if v != none {
				in = op.Input{F: p.floats[v], I: ints[v]}
			}
			c.In = append(c.In, in)
		}
		for i, v := range s.out {
			var out []float32
			if v != none {
				out = p.floats[v]
			}
			c.Out = append(c.Out, out)
			c.Add = append(c.Add, s.base[i] != none || v != none && l.values[v].sunk)
		}
		b := l.scratch[at]
		c.Scratch = memory[b.offset : b.offset+b.size : b.offset+b.size]
		if p.poison {
			c.before, c.after = slicesOf(memory, l.born[at]), slicesOf(memory, l.dead[at])
		}
	}
}

func slicesOf(memory []float32, places []place) [][]float32 {
	var s [][]float32
	for _, b := range places {
		s = append(s, memory[b.offset:b.offset+b.size])
	}
	return s
}

// poison fills memory with NaN.
func poison(memory ...[]float32) {
	nan := float32(math.NaN())
	for _, m := range memory {
		for i := range m {
			m[i] = nan
		}
	}
}
