package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type gelu struct {
	noScratch
	n, c int
	form kernel.GELUForm
}

type geluBackward gelu

// GELU is the Gaussian error linear unit of a matrix x, element by element, in one of
// its forms (Hendrycks and Gimpel 2016, arXiv:1606.08415).
func GELU(x *gorgonia.Node, form kernel.GELUForm) (*gorgonia.Node, error) {
	s := shapes{op: "gelu"}
	n, c := s.matrix("x", x)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(gelu{n: n, c: c, form: form}, x)
}

func (gelu) Name() string { return "gelu" }

func (k gelu) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, InPlace: []int{0}, Cheap: true}}
}

func (k gelu) Run(c *Call) error {
	kernel.GELU(c.Team, c.Out[0], c.In[0].F, k.form)
	return nil
}

func (gelu) inputs() []bool { return []bool{true} }

func (k gelu) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(geluBackward(k), dy, a.in[0])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (geluBackward) Name() string { return "gelu backward" }

// Each element is read before it is written.
func (k geluBackward) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{1, 0}}}
}

func (k geluBackward) Run(c *Call) error {
	kernel.GELUBackward(c.Team, c.Out[0], c.In[0].F, c.In[1].F, k.form, c.Add[0])
	return nil
}
