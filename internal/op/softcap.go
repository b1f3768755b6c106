package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type softCap struct {
	noScratch
	n, c  int
	limit float32
}

// SoftCap is limit·tanh(x/limit), element by element, for a matrix x such as the logits
// while generating. It has no gradient: in training [CrossEntropy] caps its own logits.
func SoftCap(x *gorgonia.Node, limit float64) (*gorgonia.Node, error) {
	s := shapes{op: "soft cap"}
	n, c := s.matrix("x", x)
	if s.err != nil {
		return nil, s.err
	}
	if !(limit > 0) {
		return nil, fmt.Errorf("soft cap: the limit is %g, want more than 0", limit)
	}
	return applyOne(softCap{n: n, c: c, limit: float32(limit)}, x)
}

func (softCap) Name() string { return "soft cap" }

func (k softCap) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, InPlace: []int{0}}}
}

func (k softCap) Run(c *Call) error {
	kernel.SoftCap(c.Team, c.Out[0], nil, c.In[0].F, k.limit)
	return nil
}
