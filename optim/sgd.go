package optim

import (
	"errors"
	"fmt"

	"gotune/internal/kernel"
)

// SGD is stochastic gradient descent with momentum and no dampening. A step with
// learning rate η does, for each element p with gradient g, after clipping,
//
//	g ← g + λ·p            λ = 0 for tensors of one dimension
//	u ← μ·u + g            u is 0 before the first step
//	p ← p − η·u            or, with Nesterov's momentum, p − η·(g + μ·u)
//
// in the order of torch.optim.SGD. Weight decay is added to the gradient, as
// there (L2), and so goes through the momentum; that of AdamW and Lion does not.
// Without momentum nothing is remembered but the number of steps.
type SGD struct {
	trained
	momentum float64
	nesterov bool
}

func keepSGD(c Config, p Parameter) []part {
	if c.Momentum == 0 {
		return nil
	}
	return []part{average(momentumSuffix, p)}
}

func makeSGD(t trained, c Config) (Optimizer, error) {
	switch {
	case !(c.Momentum >= 0 && c.Momentum < 1):
		return nil, fmt.Errorf("sgd momentum %v: it must be at least 0 and below 1", c.Momentum)
	case c.Nesterov && c.Momentum == 0:
		return nil, errors.New("nesterov needs a momentum above 0")
	}
	return &SGD{trained: t, momentum: c.Momentum, nesterov: c.Nesterov}, nil
}

// Step implements [Optimizer].
func (o *SGD) Step(rate float64) (norm float64, err error) {
	norm, scale, err := o.begin()
	if err != nil {
		return norm, err
	}
	for i, p := range o.params {
		var u []float32
		if len(o.kept[i]) > 0 {
			u = o.kept[i][0].Data
		}
		s := o.settings[i]
		kernel.SGD(o.team, p.Value, p.Grad, u, rate*s.RateScale, o.momentum, s.WeightDecay, scale, o.nesterov)
	}
	return norm, nil
}
