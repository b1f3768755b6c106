package exec

import (
	"cmp"
	"slices"
	"time"
)

// Usage is what the runs of a program spent on one operator.
type Usage struct {
	Name  string
	Calls int64
	Time  time.Duration
}

// SetProfiling switches the measuring of operators on or off.
func (p *Program) SetProfiling(on bool) { p.profiling = on }

// Profile returns what operators took since profiling was switched on, the
// slowest first.
func (p *Program) Profile() []Usage {
	us := slices.Clone(p.profile)
	slices.SortStableFunc(us, func(a, b Usage) int { return cmp.Compare(b.Time, a.Time) })
	return us
}

// bindProfile gives every operator name one line of the profile.
func (p *Program) bindProfile() {
	if p.usage != nil {
		return
	}
	lines := make(map[string]int)
	for _, s := range p.layout.steps {
		name := s.kernel.Name()
		i, ok := lines[name]
		if !ok {
			i = len(p.profile)
			lines[name] = i
			p.profile = append(p.profile, Usage{Name: name})
		}
		p.usage = append(p.usage, i)
	}
}
