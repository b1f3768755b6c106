package optim

import (
	"fmt"

	"gotune/internal/kernel"
)

// Lion steps by the sign of an average of gradients (Chen et al., Symbolic
// Discovery of Optimization Algorithms, 2023, arXiv:2302.06675, algorithm 2). A
// step with learning rate η does, for each element p with gradient g, after
// clipping,
//
//	c ← β₁·m + (1 − β₁)·g
//	p ← p·(1 − η·λ) − η·sign(c)        λ = 0 for tensors of one dimension
//	m ← β₂·m + (1 − β₂)·g
//
// The paper takes β₁ = 0.9, β₂ = 0.99, a rate of a third to a tenth of AdamW's
// and a weight decay larger by the same factor.
type Lion struct {
	trained
	beta1, beta2 float64
}

func keepLion(_ Config, p Parameter) []part { return []part{average(averageSuffix, p)} }

func makeLion(t trained, c Config) (Optimizer, error) {
	switch {
	case !(c.Beta1 >= 0 && c.Beta1 < 1):
		return nil, fmt.Errorf("lion beta1 %v: it must be at least 0 and below 1", c.Beta1)
	case !(c.Beta2 >= 0 && c.Beta2 < 1):
		return nil, fmt.Errorf("lion beta2 %v: it must be at least 0 and below 1", c.Beta2)
	}
	return &Lion{trained: t, beta1: c.Beta1, beta2: c.Beta2}, nil
}

// Step implements [Optimizer].
func (o *Lion) Step(rate float64) (norm float64, err error) {
	norm, scale, err := o.begin()
	if err != nil {
		return norm, err
	}
	for i, p := range o.params {
		s := o.settings[i]
		kernel.Lion(o.team, p.Value, p.Grad, o.kept[i][0].Data, rate*s.RateScale, o.beta1, o.beta2, s.WeightDecay, scale)
	}
	return norm, nil
}
