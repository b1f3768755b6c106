package optim

import (
	"fmt"
	"math"
	"slices"

	"gotune/internal/kernel"
)

// AdamWConfig has the settings of AdamW under the names of torch.optim.AdamW.
type AdamWConfig struct {
	Beta1, Beta2 float64 // decay of the two averages, in [0, 1)
	Epsilon      float64 // added to the root of the second average
	WeightDecay  float64 // of parameters with two or more dimensions; decoupled
	MaxGradNorm  float64 // gradients are scaled down to this global norm; 0 clips nothing
}

func (c AdamWConfig) check() error {
	// Written so that NaN fails each test.
	switch {
	case !(c.Beta1 >= 0 && c.Beta1 < 1):
		return fmt.Errorf("adam beta1 %v: it must be at least 0 and below 1", c.Beta1)
	case !(c.Beta2 >= 0 && c.Beta2 < 1):
		return fmt.Errorf("adam beta2 %v: it must be at least 0 and below 1", c.Beta2)
	case !(c.Epsilon > 0) || math.IsInf(c.Epsilon, 1):
		return fmt.Errorf("adam epsilon %v: it must be a positive number", c.Epsilon)
	case !(c.WeightDecay >= 0) || math.IsInf(c.WeightDecay, 1):
		return fmt.Errorf("weight decay %v: it must be a number that is not negative", c.WeightDecay)
	case !(c.MaxGradNorm >= 0):
		return fmt.Errorf("maximum gradient norm %v: it must not be negative", c.MaxGradNorm)
	}
	return nil
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
type AdamW struct {
	config AdamWConfig
	team   *kernel.Team
	params []Parameter // in order of name
	m, v   [][]float32 // of each parameter
	steps  int
}

// NewAdamW returns an optimizer of params that has taken no step. It keeps
// their slices. A nil team is one thread.
func NewAdamW(team *kernel.Team, params []Parameter, c AdamWConfig) (*AdamW, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	params, err := sorted(params)
	if err != nil {
		return nil, err
	}
	o := &AdamW{config: c, team: team, params: params}
	for _, p := range params {
		o.m = append(o.m, make([]float32, len(p.Value)))
		o.v = append(o.v, make([]float32, len(p.Value)))
	}
	return o, nil
}

// Step changes all parameters by their gradients with the given learning rate
// and returns the global norm of the gradients before clipping. The gradients
// themselves are left as they are. Where the norm is no finite number Step
// returns an error and has changed nothing. It allocates nothing.
func (o *AdamW) Step(rate float64) (norm float64, err error) {
	norm = GlobalNorm(o.team, o.params)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, fmt.Errorf("the norm of the gradients of step %d is %v", o.steps+1, norm)
	}
	o.steps++
	c := &o.config
	scale := ClipFactor(norm, c.MaxGradNorm)
	bias1 := 1 - math.Pow(c.Beta1, float64(o.steps))
	bias2 := 1 - math.Pow(c.Beta2, float64(o.steps))
	for i := range o.params {
		p := &o.params[i]
		decay := 0.0
		if p.decays() {
			decay = c.WeightDecay
		}
		kernel.AdamW(o.team, p.Value, p.Grad, o.m[i], o.v[i],
			rate, c.Beta1, c.Beta2, c.Epsilon, decay, bias1, bias2, scale)
	}
	return norm, nil
}

// The averages of a parameter are saved under its name with these endings.
const (
	averageSuffix       = ".exp_avg"
	squareAverageSuffix = ".exp_avg_sq"
)

// State returns what the optimizer remembers. The data of its tensors is the
// optimizer's own and changes with the next step.
func (o *AdamW) State() State {
	s := State{Steps: o.steps}
	for i, p := range o.params {
		s.Tensors = append(s.Tensors,
			Tensor{p.Name + averageSuffix, p.Shape, o.m[i]},
			Tensor{p.Name + squareAverageSuffix, p.Shape, o.v[i]})
	}
	return s
}

// Restore continues from a state saved earlier, of an optimizer of parameters
// with the same names and shapes. It copies the tensors, whose order does not
// matter. On an error nothing has changed.
func (o *AdamW) Restore(s State) error {
	if s.Steps < 0 {
		return fmt.Errorf("optimizer state: %d steps taken", s.Steps)
	}
	own := map[string]Tensor{}
	for _, t := range o.State().Tensors {
		own[t.Name] = t
	}
	seen := map[string]bool{}
	for _, t := range s.Tensors {
		want, ok := own[t.Name]
		switch {
		case !ok:
			return fmt.Errorf("optimizer state: tensor %s belongs to no parameter that is trained", t.Name)
		case !slices.Equal(t.Shape, want.Shape) || len(t.Data) != len(want.Data):
			return fmt.Errorf("optimizer state: tensor %s has shape %v and %d values, not %v and %d",
				t.Name, t.Shape, len(t.Data), want.Shape, len(want.Data))
		}
		seen[t.Name] = true
	}
	for _, want := range o.State().Tensors {
		if !seen[want.Name] {
			return fmt.Errorf("optimizer state: no tensor %s", want.Name)
		}
	}
	for _, t := range s.Tensors {
		copy(own[t.Name].Data, t.Data)
	}
	o.steps = s.Steps
	return nil
}
