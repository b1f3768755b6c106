package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// dot is Σ x·r, a scalar whose gradient for x is r: the tests' way to feed a
// chosen gradient into an operator.
type dot struct {
	noScratch
	n, c int
}

// Dot makes a scalar of a matrix.
func Dot(x, r *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "dot"}
	n, c := s.matrix("x", x)
	s.matrix("r", r)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(dot{n: n, c: c}, x, r)
}

func (dot) Name() string      { return "dot" }
func (dot) Outputs() []Output { return []Output{{Shape: tensor.Shape{}}} }
func (k dot) Run(c *Call) error {
	sum := 0.0
	for i, x := range c.In[0].F {
		sum += float64(x) * float64(c.In[1].F[i])
	}
	c.Out[0][0] = float32(sum)
	return nil
}
func (dot) inputs() []bool { return []bool{true, false} }
func (k dot) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(times{shape: tensor.Shape{k.n, k.c}}, a.in[1], dy)
	if err != nil {
		return nil, err
	}
	return []*gorgonia.Node{d.out[0], nil}, nil
}

// triple is three times a scalar.
type triple struct{ noScratch }

// Triple multiplies a scalar by 3.
func Triple(x *gorgonia.Node) (*gorgonia.Node, error) { return applyOne(triple{}, x) }

func (triple) Name() string      { return "triple" }
func (triple) Outputs() []Output { return []Output{{Shape: tensor.Shape{}}} }
func (triple) Run(c *Call) error {
	c.Out[0][0] = 3 * c.In[0].F[0]
	return nil
}
func (triple) inputs() []bool { return []bool{true} }
func (triple) gradient(_ *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(triple{}, dy)
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

// DropoutMask returns the factors by which n elements are multiplied.
func DropoutMask(d *Dropout, key [2]int32, n int) []float64 {
	k := loraLinear{p: float32(d.P), stream: d.Stream}
	c := Call{In: []Input{{I: key[:]}}}
	ones, mask := make([]float32, n), make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	kernel.Dropout(nil, mask, ones, k.key(&c), k.p, false)
	wide := make([]float64, n)
	for i, m := range mask {
		wide[i] = float64(m)
	}
	return wide
}
