package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type layerNorm struct {
	n, c int
	eps  float32
}

type layerNormBackward struct {
	noScratch
	n, c int
}

// LayerNorm normalises rows: y = (x − mean)·inv·weight + bias with
// inv = 1/√(variance + eps), for x [N, C], weight [C] and bias [C] (Ba et al. 2016,
// arXiv:1607.06450).
func LayerNorm(x, weight, bias *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	s := shapes{op: "layernorm"}
	n, c := s.matrix("x", x)
	s.vector("weight", weight, c)
	s.vector("bias", bias, c)
	if s.err != nil {
		return nil, s.err
	}
	if !(eps > 0) {
		return nil, fmt.Errorf("layernorm: epsilon is %g, want more than 0", eps)
	}
	return applyOne(layerNorm{n: n, c: c, eps: float32(eps)}, x, weight, bias)
}

func (layerNorm) Name() string { return "layernorm" }

// The second output is mean and inv of each row, kept for the backward operator.
func (k layerNorm) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, Cheap: true}, {Shape: tensor.Shape{k.n, 2}}}
}

func (k layerNorm) Scratch(alive []bool) int {
	return k.n*k.c*count(!alive[0]) + 2*k.n*count(!alive[1])
}

func (k layerNorm) Run(c *Call) error {
	y, rest := orScratch(c.Out[0], c.Scratch, k.n*k.c)
	stats, _ := orScratch(c.Out[1], rest, 2*k.n)
	kernel.LayerNorm(c.Team, y, stats, c.In[0].F, c.In[1].F, c.In[2].F, k.n, k.c, k.eps)
	return nil
}

func (layerNorm) inputs() []bool { return []bool{true, true, true} }

func (k layerNorm) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(layerNormBackward{n: k.n, c: k.c}, dy, a.in[0], a.in[1], a.out[1])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (layerNormBackward) Name() string { return "layernorm backward" }

// The outputs are dx, dweight and dbias; the kernel makes dx last.
func (k layerNormBackward) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{0}},
		{Shape: tensor.Shape{k.c}, Adds: true},
		{Shape: tensor.Shape{k.c}, Adds: true},
	}
}

func (k layerNormBackward) Run(c *Call) error {
	kernel.LayerNormBackward(c.Team, c.Out[0], c.Out[1], c.Out[2], c.In[0].F, c.In[1].F, c.In[2].F, c.In[3].F,
		k.n, k.c, c.Add[0], c.Add[1], c.Add[2])
	return nil
}
