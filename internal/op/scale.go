package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type scale struct {
	noScratch
	n, c   int
	factor float32
}

// Scale is x·factor, element by element, for a matrix x.
func Scale(x *gorgonia.Node, factor float64) (*gorgonia.Node, error) {
	s := shapes{op: "scale"}
	n, c := s.matrix("x", x)
	if s.err != nil {
		return nil, s.err
	}
	if math.IsNaN(factor) || math.IsInf(factor, 0) {
		return nil, fmt.Errorf("scale: the factor is %g", factor)
	}
	return applyOne(scale{n: n, c: c, factor: float32(factor)}, x)
}

func (scale) Name() string { return "scale" }

func (k scale) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{0}, Cheap: true}}
}

func (k scale) Run(c *Call) error {
	kernel.Scale(c.Team, c.Out[0], c.In[0].F, k.factor, c.Add[0])
	return nil
}

func (scale) inputs() []bool { return []bool{true} }

func (k scale) gradient(_ *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(k, dy)
	if err != nil {
		return nil, err
	}
	return d.out, nil
}
