package exec

import (
	"cmp"
	"slices"
)

// layout is a planned program: every value in the arena has a place.
type layout struct {
	program
	offset  []int // by value, in floats; −1 for values outside the arena
	scratch []place
	need    int // floats
	// born and dead list, by step, the memory that starts or stops to matter.
	born, dead [][]place
}

// place is a range of the arena in floats.
type place struct{ offset, size int }

// buffer is memory that values share one after the other.
type buffer struct {
	size       int
	start, end int // first and last step that need it
	offset     int
}

// planner merges values into buffers.
type planner struct {
	*program
	links   *links
	buffers []*buffer // by value; merged values share one
}

// plan places values. A value lives from the step that makes it to the last one
// that reads it, and kept values to the end. A result takes over the memory of
// an input where the kernel allows it and the input dies. Buffers are placed by
// size, the largest first, at the lowest offset that is free while they live.
func (p *program) plan(inPlace bool) *layout {
	pl := &planner{program: p, links: p.links(), buffers: make([]*buffer, len(p.values))}
	for at, s := range p.steps {
		for i := range s.out {
			pl.output(at, i, inPlace)
		}
	}
	l := &layout{program: *p, offset: make([]int, len(p.values)), scratch: make([]place, len(p.steps))}
	all := pl.distinct()
	scratch := make([]*buffer, len(p.steps))
	for at, s := range p.steps {
		alive := make([]bool, len(s.out))
		for i, v := range s.out {
			alive[i] = v != none
		}
		if n := s.kernel.Scratch(alive); n > 0 {
			scratch[at] = &buffer{size: n, start: at, end: at}
			all = append(all, scratch[at])
		}
	}
	l.need = arrange(all)
	l.born, l.dead = make([][]place, len(p.steps)), make([][]place, len(p.steps))
	for _, b := range all {
		at := place{b.offset, b.size}
		l.born[b.start] = append(l.born[b.start], at)
		if b.end < len(p.steps) {
			l.dead[b.end] = append(l.dead[b.end], at)
		}
	}
	for v, b := range pl.buffers {
		l.offset[v] = -1
		if b != nil {
			l.offset[v] = b.offset
		}
	}
	for at, b := range scratch {
		if b != nil {
			l.scratch[at] = place{b.offset, b.size}
		}
	}
	return l
}

// output gives output i of a step its buffer: that of the value it is added to,
// that of a dying input, or a new one.
func (pl *planner) output(at, i int, inPlace bool) {
	s := pl.steps[at]
	v := s.out[i]
	if v == none || !pl.values[v].planned() {
		return
	}
	end := at
	if users := pl.links.users[v]; len(users) > 0 {
		end = users[len(users)-1]
	}
	if pl.values[v].kept {
		end = len(pl.steps)
	}
	b := (*buffer)(nil)
	if s.base[i] != none {
		b = pl.buffers[s.base[i]]
	} else if inPlace {
		b = pl.dying(s, i, at)
	}
	if b == nil {
		b = &buffer{size: pl.values[v].size, start: at, end: end}
	}
	b.end = max(b.end, end)
	pl.buffers[v] = b
}

// dying returns the buffer of an input that output i may overwrite. An earlier
// output that took it made it live on.
func (pl *planner) dying(s *step, i, at int) *buffer {
	for _, j := range s.outputs[i].InPlace {
		v := s.in[j]
		if v == none {
			continue
		}
		b := pl.buffers[v]
		if b != nil && b.end == at && b.size == pl.values[s.out[i]].size {
			return b
		}
	}
	return nil
}

func (pl *planner) distinct() []*buffer {
	seen := make(map[*buffer]bool)
	var all []*buffer
	for _, b := range pl.buffers {
		if b != nil && !seen[b] {
			seen[b] = true
			all = append(all, b)
		}
	}
	return all
}

// arrange gives every buffer an offset and returns the floats needed in all.
func arrange(buffers []*buffer) int {
	order := slices.Clone(buffers)
	slices.SortStableFunc(order, func(a, b *buffer) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.start, b.start))
	})
	need := 0
	var placed []*buffer // by offset
	for _, b := range order {
		offset := 0
		for _, other := range placed {
			if other.start > b.end || other.end < b.start {
				continue
			}
			if offset+b.size <= other.offset {
				break
			}
			offset = max(offset, roundUp(other.offset+other.size))
		}
		b.offset = offset
		at, _ := slices.BinarySearchFunc(placed, b, func(x, y *buffer) int { return cmp.Compare(x.offset, y.offset) })
		placed = slices.Insert(placed, at, b)
		need = max(need, roundUp(offset+b.size))
	}
	return need
}

func roundUp(n int) int { return (n + align - 1) / align * align }

// lowerBound returns the floats that live at the same time at the worst step.
// No layout can need less.
func (l *layout) lowerBound() int {
	bound, live := 0, 0
	for at := range l.steps {
		for _, b := range l.born[at] {
			live += roundUp(b.size)
		}
		bound = max(bound, live)
		for _, b := range l.dead[at] {
			live -= roundUp(b.size)
		}
	}
	return bound
}
