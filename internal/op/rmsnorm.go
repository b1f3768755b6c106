package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type rmsNorm struct {
	n, c  int // rows of c elements that are normalised
	heads int // of them in a row of x
	eps   float32
	unit  bool // what multiplies is 1 + weight
}

type rmsNormBackward rmsNorm

// RMSNorm normalises rows: y = x·inv·weight with inv = 1/√(mean(x²)+eps), for
// x [N, C] and weight [C] (Zhang & Sennrich 2019, arXiv:1910.07467). With a weight [D],
// where C is a multiple of D, each D elements of a row are normalised for themselves,
// such as the heads of queries.
func RMSNorm(x, weight *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	return newRMSNorm(x, weight, eps, false)
}

// UnitRMSNorm is RMSNorm with y = x·inv·(1 + weight), as Gemma has it.
func UnitRMSNorm(x, weight *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	return newRMSNorm(x, weight, eps, true)
}

func newRMSNorm(x, weight *gorgonia.Node, eps float64, unit bool) (*gorgonia.Node, error) {
	s := shapes{op: "rmsnorm"}
	n, c := s.matrix("x", x)
	d := s.node("weight", weight, tensor.Float32, 1)[0]
	if s.err == nil && (d == 0 || c%d != 0) {
		s.equal("weight", d, c)
	}
	if s.err != nil {
		return nil, s.err
	}
	if !(eps > 0) {
		return nil, fmt.Errorf("rmsnorm: epsilon is %g, want more than 0", eps)
	}
	heads := c / d
	return applyOne(rmsNorm{n: n * heads, c: d, heads: heads, eps: float32(eps), unit: unit}, x, weight)
}

func (rmsNorm) Name() string { return "rmsnorm" }

// shape is that of x.
func (k rmsNorm) shape() tensor.Shape { return tensor.Shape{k.n / k.heads, k.c * k.heads} }

// The second output is inv, kept for the backward operator.
func (k rmsNorm) Outputs() []Output {
	return []Output{{Shape: k.shape(), Cheap: true}, {Shape: tensor.Shape{k.n}}}
}

func (k rmsNorm) Scratch(alive []bool) int {
	return k.n*k.c*count(!alive[0]) + k.n*count(!alive[1]) + k.c*count(k.unit)
}

func (k rmsNorm) Run(c *Call) error {
	y, rest := orScratch(c.Out[0], c.Scratch, k.n*k.c)
	inv, rest := orScratch(c.Out[1], rest, k.n)
	kernel.RMSNorm(c.Team, y, inv, c.In[0].F, k.factors(c.In[1].F, rest), k.n, k.c, k.eps)
	return nil
}

// factors returns what the normalised elements are multiplied by.
func (k rmsNorm) factors(weight, scratch []float32) []float32 {
	if !k.unit {
		return weight
	}
	for i, w := range weight {
		scratch[i] = 1 + w
	}
	return scratch[:len(weight)]
}

func (rmsNorm) inputs() []bool { return []bool{true, true} }

func (k rmsNorm) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(rmsNormBackward(k), dy, a.in[0], a.in[1], a.out[1])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (rmsNormBackward) Name() string { return "rmsnorm backward" }

// The outputs are dx and dweight; the kernel makes dweight first.
func (k rmsNormBackward) Outputs() []Output {
	return []Output{
		{Shape: rmsNorm(k).shape(), Adds: true, InPlace: []int{0}},
		{Shape: tensor.Shape{k.c}, Adds: true},
	}
}

func (k rmsNormBackward) Scratch([]bool) int {
	return kernel.RMSNormBackwardScratch(k.n, k.c) + k.c*count(k.unit)
}

func (k rmsNormBackward) Run(c *Call) error {
	own := k.c * count(k.unit)
	factors := rmsNorm(k).factors(c.In[2].F, c.Scratch[:own])
	kernel.RMSNormBackward(c.Team, c.Out[0], c.Out[1], c.In[0].F, c.In[1].F, factors, c.In[3].F,
		k.n, k.c, c.Add[0], c.Add[1], c.Scratch[own:])
	return nil
}
