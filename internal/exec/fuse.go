package exec

import (
	"gorgonia.org/tensor"

	"gotune/internal/op"
)

// links knows who makes and who uses each value.
type links struct {
	producer []*step
	output   []int   // of the producer
	users    [][]int // positions of steps, in order; a step counts once per input
	position map[*step]int
}

func (p *program) links() *links {
	l := &links{
		producer: make([]*step, len(p.values)),
		output:   make([]int, len(p.values)),
		users:    make([][]int, len(p.values)),
		position: make(map[*step]int, len(p.steps)),
	}
	for at, s := range p.steps {
		l.position[s] = at
		for i, v := range s.out {
			if v != none {
				l.producer[v], l.output[v] = s, i
			}
		}
		for _, v := range s.reads() {
			l.users[v] = append(l.users[v], at)
		}
	}
	return l
}

// reads lists the values that a step needs to find in memory.
func (s *step) reads() []value {
	var vs []value
	for _, v := range s.in {
		if v != none {
			vs = append(vs, v)
		}
	}
	for i, v := range s.base {
		if v != none && s.out[i] != none {
			vs = append(vs, v)
		}
	}
	return vs
}

// sinkGradients makes the last producers of each gradient add straight into the
// caller's buffer. A gradient that is a sum is handed to both sides. Where the
// producer cannot add, or something else needs the value, a copy step adds it.
func (p *program) sinkGradients(fuse bool) {
	l := p.links()
	uses := make([]int, len(p.values))
	for v, us := range l.users {
		uses[v] = len(us)
	}
	for _, g := range p.gradients {
		uses[g.value]++
	}
	removed := make(map[*step]bool)
	after := make(map[*step][]*step)
	var atEnd []*step
	var sink func(v value, g int)
	sink = func(v value, g int) {
		s := l.producer[v]
		only := fuse && s != nil && uses[v] == 1 && !p.values[v].kept
		if only && isSum(s) {
			removed[s] = true
			sink(s.in[0], g)
			sink(s.in[1], g)
			return
		}
		dst := p.add(valueInfo{size: p.values[v].size, sunk: true, gradient: g})
		if only && s.outputs[l.output[v]].Adds && !p.sinksInto(s, g) {
			s.out[l.output[v]] = dst
			return
		}
		k := op.NewCopy(tensor.Shape{p.values[v].size})
		c := &step{kernel: k, outputs: k.Outputs(), in: []value{v}, out: []value{dst}, base: []value{none}, backward: true}
		if s == nil {
			atEnd = append(atEnd, c)
		} else {
			after[s] = append(after[s], c)
		}
	}
	for i, g := range p.gradients {
		sink(g.value, i)
	}
	var steps []*step
	for _, s := range p.steps {
		if !removed[s] {
			steps = append(steps, s)
		}
		steps = append(steps, after[s]...)
	}
	p.steps = append(steps, atEnd...)
}

// sinksInto reports whether an output of a step goes to a buffer already. Two
// outputs of one kernel must not share memory.
func (p *program) sinksInto(s *step, gradient int) bool {
	for _, v := range s.out {
		if v != none && p.values[v].sunk && p.values[v].gradient == gradient {
			return true
		}
	}
	return false
}

func isSum(s *step) bool {
	_, ok := s.kernel.(op.Sum)
	return ok
}

// fuseSums removes z = x + y where the kernel that makes the later side can add
// into the memory of the other side, which must be dead by then.
func (p *program) fuseSums() {
	l := p.links()
	var steps []*step
	for at, s := range p.steps {
		if isSum(s) && (p.fuse(l, at, s.in[0], s.in[1]) || p.fuse(l, at, s.in[1], s.in[0])) {
			continue
		}
		steps = append(steps, s)
	}
	p.steps = steps
}

// fuse makes the producer of later add into base instead of the sum at a
// position, if that is possible.
func (p *program) fuse(l *links, at int, later, base value) bool {
	s := l.producer[later]
	if s == nil || l.producer[base] == nil || later == base {
		return false
	}
	i, when := l.output[later], l.position[s]
	if !s.outputs[i].Adds || s.base[i] != none || len(l.users[later]) != 1 ||
		p.values[later].kept || p.values[base].kept || !p.values[base].planned() ||
		l.position[l.producer[base]] >= when {
		return false
	}
	for _, user := range l.users[base] {
		if user != at && user >= when {
			return false
		}
	}
	z := p.steps[at].out[0]
	s.out[i], s.base[i] = z, base
	l.producer[z], l.output[z] = s, i
	l.users[later] = nil
	for j, user := range l.users[base] {
		if user == at {
			l.users[base][j] = when
		}
	}
	return true
}

// saveBases copies a value that is added to but needed again later. Only
// recompute leaves such values behind.
func (p *program) saveBases() {
	l := p.links()
	var steps []*step
	for at, s := range p.steps {
		for i, b := range s.base {
			if b == none || s.out[i] == none {
				continue
			}
			users := l.users[b]
			if users[len(users)-1] == at && !p.values[b].kept && p.values[b].planned() {
				continue
			}
			k := op.NewCopy(tensor.Shape{p.values[b].size})
			v := p.add(valueInfo{size: p.values[b].size})
			steps = append(steps, &step{kernel: k, outputs: k.Outputs(), in: []value{b}, out: []value{v}, base: []value{none}})
			s.base[i] = v
		}
		steps = append(steps, s)
	}
	p.steps = steps
}
