package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// prompt puts v rows of a table in the place of the first of each segment.
type prompt struct {
	noScratch
	n, c, v int
}

type promptBackward prompt

// Prompt puts the rows of a table [V, C] in the place of those of x [N, C] whose
// position, [N], is below V: y[i] = table[positions[i]] there, and x[i] elsewhere. The
// first V tokens of each segment so stand for what is learned and not for text.
func Prompt(x, table, positions *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "prompt"}
	n, c := s.matrix("x", x)
	v, tc := s.matrix("table", table)
	s.equal("columns of the table", tc, c)
	s.ints("positions", positions, n)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(prompt{n: n, c: c, v: v}, x, table, positions)
}

func (prompt) Name() string { return "prompt" }

func (k prompt) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, Cheap: true}}
}

func (k prompt) Run(c *Call) error {
	y, x, table := c.Out[0], c.In[0].F, c.In[1].F
	for i, p := range c.In[2].I {
		from := x[i*k.c:]
		if k.learned(p) {
			from = table[int(p)*k.c:]
		}
		copy(y[i*k.c:(i+1)*k.c], from)
	}
	return nil
}

// learned reports whether a token at a position stands for a row of the table.
func (k prompt) learned(position int32) bool { return position >= 0 && int(position) < k.v }

func (prompt) inputs() []bool { return []bool{true, true, false} }

func (k prompt) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(promptBackward(k), dy, a.in[2])
	if err != nil {
		return nil, err
	}
	return []*gorgonia.Node{d.out[0], d.out[1], nil}, nil
}

func (promptBackward) Name() string { return "prompt backward" }

// The outputs are dx and the table's gradient.
func (k promptBackward) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}}, {Shape: tensor.Shape{k.v, k.c}, Adds: true}}
}

// Run adds up the gradients of the table in the order of the rows.
func (k promptBackward) Run(c *Call) error {
	dx, table, dy := c.Out[0], c.Out[1], c.In[0].F
	if table != nil && !c.Add[1] {
		clear(table)
	}
	for i, p := range c.In[1].I {
		from, learned := dy[i*k.c:(i+1)*k.c], prompt(k).learned(p)
		if dx != nil {
			if to := dx[i*k.c : (i+1)*k.c]; learned {
				clear(to)
			} else {
				copy(to, from)
			}
		}
		if table != nil && learned {
			for j, g := range from {
				table[int(p)*k.c+j] += g
			}
		}
	}
	return nil
}
