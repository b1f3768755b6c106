package exec

import "gotune/internal/op"

// joinProducts makes one step of steps that multiply the same row, at the place of the
// first of them: they read nothing else, so that nothing has to be done between them.
func (p *program) joinProducts() {
	groups := make(map[value][]*step)
	for _, s := range p.steps {
		if len(s.in) == 1 && len(s.out) == 1 && s.base[0] == none && !p.values[s.out[0]].sunk && op.Join(s.kernel) != nil {
			groups[s.in[0]] = append(groups[s.in[0]], s)
		}
	}
	gone := make(map[*step]bool)
	for _, group := range groups {
		if len(group) < 2 {
			continue
		}
		var kernels []op.Kernel
		for _, s := range group {
			kernels = append(kernels, s.kernel)
		}
		first := group[0]
		first.kernel = op.Join(kernels...)
		first.outputs = first.kernel.Outputs()
		for _, s := range group[1:] {
			first.out, first.base = append(first.out, s.out[0]), append(first.base, none)
			gone[s] = true
		}
	}
	var steps []*step
	for _, s := range p.steps {
		if !gone[s] {
			steps = append(steps, s)
		}
	}
	p.steps = steps
}
