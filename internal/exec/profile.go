package exec

import (
	"cmp"
	"slices"
	"time"

	"gotune/internal/kernel"
	"gotune/internal/op"
)

// Usage is what the runs of a program spent on one operator, forward or backward.
// What is computed again in the backward pass counts there.
type Usage struct {
	Name     string
	Backward bool
	Calls    int64
	Time     time.Duration
	Spent    kernel.Spent // the part of Time inside products and attention
	Flops    float64      // of products and attention; a multiply-add is two
	Bytes    float64      // of inputs and outputs, each once
}

// SetProfiling switches the measuring of operators on, from zero, or off. It must
// not be called during a run.
func (p *Program) SetProfiling(on bool) {
	if p.profile = nil; on {
		p.profile = newProfile(p.layout.steps)
	}
	p.arena.team.SetTiming(on)
}

// Profile returns what operators took since profiling was switched on, the
// slowest first.
func (p *Program) Profile() []Usage {
	if p.profile == nil {
		return nil
	}
	us := slices.Clone(p.profile.lines)
	slices.SortStableFunc(us, func(a, b Usage) int { return cmp.Compare(b.Time, a.Time) })
	return us
}

// profile has a line for each operator and direction.
type profile struct {
	lines []Usage
	of    []int // by step: index into lines
}

func newProfile(steps []*step) *profile {
	type key struct {
		name     string
		backward bool
	}
	p := &profile{}
	known := make(map[key]int)
	for _, s := range steps {
		k := key{s.kernel.Name(), s.backward}
		i, ok := known[k]
		if !ok {
			i = len(p.lines)
			known[k] = i
			p.lines = append(p.lines, Usage{Name: k.name, Backward: k.backward})
		}
		p.of = append(p.of, i)
	}
	return p
}

// run runs a call of a step and notes what it took.
func (p *profile) run(at int, c *call) error {
	before, start := c.Team.Spent(), time.Now()
	err := c.kernel.Run(&c.Call)
	u, after := &p.lines[p.of[at]], c.Team.Spent()
	u.Time += time.Since(start)
	u.Calls++
	u.Spent.Products += after.Products - before.Products
	u.Spent.Attention += after.Attention - before.Attention
	u.Flops += op.Flops(c.kernel, &c.Call)
	u.Bytes += op.Bytes(c.kernel, &c.Call)
	return err
}
