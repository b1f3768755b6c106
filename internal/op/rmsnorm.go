package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// rmsNorm is of n rows of c elements, of which heads lie in each row of x.
type rmsNorm struct {
	n, c, heads int
	eps         float32
}

type rmsNormBackward struct{ n, c, heads int }

// RMSNorm normalises rows: y = x·inv·weight with inv = 1/√(mean(x²)+eps), for
// x [N, C] and weight [C] (Zhang & Sennrich 2019, arXiv:1910.07467). If x has a multiple
// of C columns, each C of them are a row of their own: the heads of queries or keys.
func RMSNorm(x, weight *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	s := shapes{op: "rmsnorm"}
	n, all := s.matrix("x", x)
	c := all
	if weight != nil && weight.Dims() == 1 && all%max(1, weight.Shape()[0]) == 0 {
		c = weight.Shape()[0]
	}
	s.vector("weight", weight, c)
	if s.err != nil {
		return nil, s.err
	}
	if !(eps > 0) {
		return nil, fmt.Errorf("rmsnorm: epsilon is %g, want more than 0", eps)
	}
	return applyOne(rmsNorm{n: n * (all / c), c: c, heads: all / c, eps: float32(eps)}, x, weight)
}

func (rmsNorm) Name() string { return "rmsnorm" }

// The second output is inv, kept for the backward operator.
func (k rmsNorm) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n / k.heads, k.heads * k.c}, Cheap: true}, {Shape: tensor.Shape{k.n}}}
}

func (k rmsNorm) Scratch(alive []bool) int {
	size := 0
	if !alive[0] {
		size += k.n * k.c
	}
	if !alive[1] {
		size += k.n
	}
	return size
}

func (k rmsNorm) Run(c *Call) error {
	y, inv, rest := c.Out[0], c.Out[1], c.Scratch
	if y == nil {
		y, rest = rest[:k.n*k.c], rest[k.n*k.c:]
	}
	if inv == nil {
		inv = rest[:k.n]
	}
	kernel.RMSNorm(c.Team, y, inv, c.In[0].F, c.In[1].F, k.n, k.c, k.eps)
	return nil
}

func (rmsNorm) inputs() []bool { return []bool{true, true} }

func (k rmsNorm) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(rmsNormBackward{k.n, k.c, k.heads}, dy, a.in[0], a.in[1], a.out[1])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (rmsNormBackward) Name() string { return "rmsnorm backward" }

// The outputs are dx and dweight; the kernel makes dweight first.
func (k rmsNormBackward) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n / k.heads, k.heads * k.c}, Adds: true, InPlace: []int{0}},
		{Shape: tensor.Shape{k.c}, Adds: true},
	}
}

func (k rmsNormBackward) Scratch([]bool) int { return kernel.RMSNormBackwardScratch(k.n, k.c) }

func (k rmsNormBackward) Run(c *Call) error {
	kernel.RMSNormBackward(c.Team, c.Out[0], c.Out[1], c.In[0].F, c.In[1].F, c.In[2].F, c.In[3].F,
		k.n, k.c, c.Add[0], c.Add[1], c.Scratch)
	return nil
}
