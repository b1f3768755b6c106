package optim

import (
	"fmt"
	"math"

	"gotune/internal/kernel"
)

// AdamWConfig has the settings of AdamW under the names of torch.optim.AdamW.
type AdamWConfig struct {
	Beta1, Beta2 float64 // decay of the two averages, in [0, 1)
	Epsilon      float64 // added to the root of the second average
	WeightDecay  float64 // of parameters with two or more dimensions; decoupled
	MaxGradNorm  float64 // gradients are scaled down to this global norm; 0 clips nothing
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, 2019). Step
// t = 1, 2, … with learning rate η does, for each element p with gradient g,
// after clipping,
//
//	p ← p·(1 − η·λ)                    λ = 0 for tensors of one dimension
//	m ← β₁·m + (1 − β₁)·g
//	v ← β₂·v + (1 − β₂)·g²
//	p ← p − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
//
// in the order of torch.optim.AdamW.
type AdamW struct{ adam }

// adam is what AdamW and the optimizers that step some parameters as it does have: its
// settings and its update of one parameter.
type adam struct {
	trained
	beta1, beta2, epsilon float64
}

func newAdam(t trained, c Config) (adam, error) {
	if err := c.checkAdam(); err != nil {
		return adam{}, err
	}
	return adam{trained: t, beta1: c.Beta1, beta2: c.Beta2, epsilon: c.Epsilon}, nil
}

// biases returns 1 − β₁ᵗ and 1 − β₂ᵗ for the step t that is being taken.
func (o *adam) biases() (bias1, bias2 float64) {
	return 1 - math.Pow(o.beta1, float64(o.steps)), 1 - math.Pow(o.beta2, float64(o.steps))
}

// update takes a step with parameter i, which keeps its two averages in float32.
func (o *adam) update(i int, rate, scale float64) {
	p, s, k := o.params[i], o.settings[i], o.kept[i]
	bias1, bias2 := o.biases()
	kernel.AdamW(o.team, p.Value, p.Grad, k[0].Data, k[1].Data,
		rate*s.RateScale, o.beta1, o.beta2, o.epsilon, s.WeightDecay, bias1, bias2, scale)
}

// NewAdamW is [New] for AdamW where no parameter has settings of its own.
func NewAdamW(team *kernel.Team, params []Parameter, c AdamWConfig) (*AdamW, error) {
	o, err := New(team, params, Config{Name: "adamw", Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon,
		WeightDecay: c.WeightDecay, MaxGradNorm: c.MaxGradNorm})
	if err != nil {
		return nil, err
	}
	return o.(*AdamW), nil
}

func keepAdamW(_ Config, p Parameter) []part {
	return []part{average(averageSuffix, p), average(squareAverageSuffix, p)}
}

func makeAdamW(t trained, c Config) (Optimizer, error) {
	a, err := newAdam(t, c)
	if err != nil {
		return nil, err
	}
	return &AdamW{a}, nil
}

// checkAdam checks the settings of AdamW, so that NaN fails each test.
func (c Config) checkAdam() error {
	switch {
	case !(c.Beta1 >= 0 && c.Beta1 < 1):
		return fmt.Errorf("adam beta1 %v: it must be at least 0 and below 1", c.Beta1)
	case !(c.Beta2 >= 0 && c.Beta2 < 1):
		return fmt.Errorf("adam beta2 %v: it must be at least 0 and below 1", c.Beta2)
	case !(c.Epsilon > 0) || math.IsInf(c.Epsilon, 1):
		return fmt.Errorf("adam epsilon %v: it must be a positive number", c.Epsilon)
	}
	return nil
}

// Step implements [Optimizer].
func (o *AdamW) Step(rate float64) (norm float64, err error) {
	norm, scale, err := o.begin()
	if err != nil {
		return norm, err
	}
	for i := range o.params {
		o.update(i, rate, scale)
	}
	return norm, nil
}
