package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type geGLU struct {
	noScratch
	n, c int
	form kernel.GELUForm
}

type geGLUBackward struct {
	n, c int
	form kernel.GELUForm
}

// GeGLU is y = gelu(gate)·up, element by element, for matrices of one shape, with GELU
// in one of its forms (Shazeer 2020, arXiv:2002.05202).
func GeGLU(gate, up *gorgonia.Node, form kernel.GELUForm) (*gorgonia.Node, error) {
	s := shapes{op: "geglu"}
	n, c := s.matrix("gate", gate)
	n2, c2 := s.matrix("up", up)
	s.equal("rows of up", n2, n)
	s.equal("columns of up", c2, c)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(geGLU{n: n, c: c, form: form}, gate, up)
}

func (geGLU) Name() string { return "geglu" }

func (k geGLU) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, InPlace: []int{0, 1}, Cheap: true}}
}

func (k geGLU) Run(c *Call) error {
	kernel.GeGLU(c.Team, c.Out[0], c.In[0].F, c.In[1].F, k.form)
	return nil
}

func (geGLU) inputs() []bool { return []bool{true, true} }

func (k geGLU) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(geGLUBackward{n: k.n, c: k.c, form: k.form}, dy, a.in[0], a.in[1])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (geGLUBackward) Name() string { return "geglu backward" }

// The outputs are dgate and dup. Each element is read before it is written.
func (k geGLUBackward) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{1, 0, 2}},
		{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{2, 0, 1}},
	}
}

func (k geGLUBackward) Scratch(alive []bool) int {
	return k.n * k.c * (count(!alive[0]) + count(!alive[1]))
}

func (k geGLUBackward) Run(c *Call) error {
	dgate, rest := orScratch(c.Out[0], c.Scratch, k.n*k.c)
	dup, _ := orScratch(c.Out[1], rest, k.n*k.c)
	kernel.GeGLUBackward(c.Team, dgate, dup, c.In[0].F, c.In[1].F, c.In[2].F, k.form, c.Add[0], c.Add[1])
	return nil
}
