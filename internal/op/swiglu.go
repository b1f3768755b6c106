package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type swiGLU struct {
	noScratch
	n, c int
}

type swiGLUBackward struct{ n, c int }

// SwiGLU is y = gate·σ(gate)·up, element by element, for matrices of one shape
// (Shazeer 2020, arXiv:2002.05202).
func SwiGLU(gate, up *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "swiglu"}
	n, c := s.matrix("gate", gate)
	n2, c2 := s.matrix("up", up)
	s.equal("rows of up", n2, n)
	s.equal("columns of up", c2, c)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(swiGLU{n: n, c: c}, gate, up)
}

func (swiGLU) Name() string { return "swiglu" }

func (k swiGLU) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, InPlace: []int{0, 1}, Cheap: true}}
}

func (k swiGLU) Run(c *Call) error {
	kernel.SwiGLU(c.Team, c.Out[0], c.In[0].F, c.In[1].F)
	return nil
}

func (swiGLU) inputs() []bool { return []bool{true, true} }

func (k swiGLU) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(swiGLUBackward{n: k.n, c: k.c}, dy, a.in[0], a.in[1])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (swiGLUBackward) Name() string { return "swiglu backward" }

// The outputs are dgate and dup. Each element is read before it is written.
func (k swiGLUBackward) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{1, 0, 2}},
		{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{2, 0, 1}},
	}
}

func (k swiGLUBackward) Scratch(alive []bool) int {
	return k.n * k.c * (count(!alive[0]) + count(!alive[1]))
}

func (k swiGLUBackward) Run(c *Call) error {
	dgate, rest := orScratch(c.Out[0], c.Scratch, k.n*k.c)
	dup, _ := orScratch(c.Out[1], rest, k.n*k.c)
	kernel.SwiGLUBackward(c.Team, dgate, dup, c.In[0].F, c.In[1].F, c.In[2].F, c.Add[0], c.Add[1])
	return nil
}
