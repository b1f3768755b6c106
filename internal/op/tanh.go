package op

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type tanh struct {
	noScratch
	n, c int
}

type tanhBackward tanh

// Tanh is the hyperbolic tangent of the elements of a matrix. It works element by
// element in float64, for the few rows of a prefix.
func Tanh(x *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "tanh"}
	n, c := s.matrix("x", x)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(tanh{n: n, c: c}, x)
}

func (tanh) Name() string { return "tanh" }

func (k tanh) Outputs() []Output { return []Output{{Shape: tensor.Shape{k.n, k.c}}} }

func (k tanh) Run(c *Call) error {
	for i, v := range c.In[0].F {
		c.Out[0][i] = float32(math.Tanh(float64(v)))
	}
	return nil
}

func (tanh) inputs() []bool { return []bool{true} }

func (k tanh) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(tanhBackward(k), dy, a.out[0])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (tanhBackward) Name() string { return "tanh backward" }

func (k tanhBackward) Outputs() []Output { return []Output{{Shape: tensor.Shape{k.n, k.c}}} }

func (k tanhBackward) Run(c *Call) error {
	y := c.In[1].F
	for i, g := range c.In[0].F {
		c.Out[0][i] = g * (1 - float32(y[i]*y[i]))
	}
	return nil
}
