package exec

import "slices"

// recompute keeps of every block only the values that a later part of the
// forward pass reads. What only the backward pass needs is computed again just
// before it is first needed, by copies of the block's steps (Chen et al. 2016,
// arXiv:1604.06174). Sums were fused before, so the copies do the same
// arithmetic as the originals.
func (p *program) recompute(blocks []Block) {
	l := p.links()
	insert := make(map[int][]*step)
	for _, b := range blocks {
		p.recomputeBlock(l, b, insert)
	}
	p.insert(insert)
}

// recomputeCheap makes the results of cheap kernels again in the backward pass,
// if the inputs are still there at that time.
func (p *program) recomputeCheap() {
	l := p.links()
	insert := make(map[int][]*step)
	for _, s := range p.steps {
		for i, v := range s.out {
			if s.backward || v == none || !s.outputs[i].Cheap || p.values[v].kept {
				continue
			}
			first := slices.IndexFunc(l.users[v], func(at int) bool { return p.steps[at].backward })
			if first < 0 || !p.lastUntil(l, s.reads(), l.users[v][first]) {
				continue
			}
			late := l.users[v][first:]
			copies := make(map[value]value)
			insert[late[0]] = append(insert[late[0]], p.repeat(s, map[value]bool{v: true}, copies))
			for _, at := range late {
				p.steps[at].replace(v, copies[v])
			}
		}
	}
	p.insert(insert)
}

// lastUntil reports whether values are needed at a position or later anyway.
func (p *program) lastUntil(l *links, vs []value, at int) bool {
	for _, v := range vs {
		users := l.users[v]
		if p.values[v].planned() && !p.values[v].kept && users[len(users)-1] < at {
			return false
		}
	}
	return true
}

// insert puts steps before those at some positions, and drops what nobody needs
// any more.
func (p *program) insert(before map[int][]*step) {
	var steps []*step
	for at, s := range p.steps {
		steps = append(steps, before[at]...)
		steps = append(steps, s)
	}
	p.steps = steps
	p.prune()
}

// replace makes a step read another value.
func (s *step) replace(old, now value) {
	for i, v := range s.in {
		if v == old {
			s.in[i] = now
		}
	}
}

// in reports whether a step is part of the block's forward pass.
func (b Block) in(s *step) bool {
	return s != nil && !s.backward && b.First <= s.id && s.id < b.End
}

// recomputeBlock finds the values of a block that only the backward pass uses,
// and puts copies of the steps that make them before their first user.
func (p *program) recomputeBlock(l *links, b Block, insert map[int][]*step) {
	again := make(map[value]bool) // values made by the block and not kept
	first := len(p.steps)
	var late []*step
	for v, s := range l.producer {
		if !b.in(s) || p.values[v].kept {
			continue
		}
		stays, users := false, []*step(nil)
		for _, at := range l.users[v] {
			switch user := p.steps[at]; {
			case user.backward:
				users = append(users, user)
			case !b.in(user):
				stays = true
			}
		}
		if stays {
			continue
		}
		again[value(v)] = true
		for _, user := range users {
			first = min(first, l.position[user])
		}
		late = append(late, users...)
	}
	if len(late) == 0 {
		return
	}
	needed := make(map[*step]bool)
	var need func(v value)
	need = func(v value) {
		s := l.producer[v]
		if !again[v] || needed[s] {
			return
		}
		needed[s] = true
		for _, in := range s.reads() {
			need(in)
		}
	}
	for _, s := range late {
		for _, v := range s.in {
			if v != none {
				need(v)
			}
		}
	}
	copies := make(map[value]value)
	for at, s := range p.steps {
		if needed[s] && at < first {
			insert[first] = append(insert[first], p.repeat(s, again, copies))
		}
	}
	for _, s := range late {
		for _, v := range s.in {
			if c, ok := copies[v]; ok {
				s.replace(v, c)
			}
		}
	}
}

// repeat copies a step. Inputs that were copied before are taken from there; of
// the outputs only those marked in again replace the originals.
func (p *program) repeat(s *step, again map[value]bool, copies map[value]value) *step {
	c := *s
	c.backward = true
	c.in, c.out, c.base = slices.Clone(s.in), slices.Clone(s.out), slices.Clone(s.base)
	for _, vs := range [][]value{c.in, c.base} {
		for i, v := range vs {
			if n, ok := copies[v]; ok {
				vs[i] = n
			}
		}
	}
	for i, v := range c.out {
		if v == none {
			continue
		}
		c.out[i] = p.add(valueInfo{size: p.values[v].size})
		if again[v] {
			copies[v] = c.out[i]
		}
	}
	return &c
}

// prune drops outputs that nobody uses any more, the inputs that only they
// needed, and steps without outputs.
func (p *program) prune() {
	used := make([]bool, len(p.values))
	var steps []*step
	for _, s := range slices.Backward(p.steps) {
		alive := make([]bool, len(s.out))
		some := false
		for i, v := range s.out {
			alive[i] = v != none && (used[v] || p.values[v].kept || p.values[v].sunk)
			some = some || alive[i]
			if !alive[i] {
				s.out[i] = none
			}
		}
		if !some {
			continue
		}
		for i, u := range usedInputs(s.outputs, alive, len(s.in)) {
			if !u {
				s.in[i] = none
			}
		}
		for _, v := range s.reads() {
			used[v] = true
		}
		steps = append(steps, s)
	}
	slices.Reverse(steps)
	p.steps = steps
}
