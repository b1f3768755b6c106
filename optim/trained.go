package optim

import (
	"fmt"
	"math"
	"slices"

	"gotune/internal/kernel"
)

// trained is what every optimizer has: parameters with their settings, the
// limit of their gradients' norm, and the number of steps taken.
type trained struct {
	team     *kernel.Team
	params   []Parameter // in order of name
	settings []Setting   // of each parameter
	limit    float64
	steps    int
	kept     [][]Tensor  // for each parameter what the rule keeps
	buffers  [][]float32 // that a step works in
}

func newTrained(team *kernel.Team, params []Parameter, c Config) (trained, error) {
	// Written so that NaN fails each test.
	switch {
	case !(c.WeightDecay >= 0) || math.IsInf(c.WeightDecay, 1):
		return trained{}, fmt.Errorf("weight decay %v: it must be a number that is not negative", c.WeightDecay)
	case !(c.MaxGradNorm >= 0):
		return trained{}, fmt.Errorf("maximum gradient norm %v: it must not be negative", c.MaxGradNorm)
	}
	params, err := sorted(params)
	if err != nil {
		return trained{}, err
	}
	if err := checkSizes(params); err != nil {
		return trained{}, err
	}
	settings, err := settle(params, c)
	if err != nil {
		return trained{}, err
	}
	return trained{team: team, params: params, settings: settings, limit: c.MaxGradNorm}, nil
}

// begin counts a step and returns the global norm of the gradients and what
// they must be multiplied by.
func (t *trained) begin() (norm, scale float64, err error) {
	norm = GlobalNorm(t.team, t.params)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, 0, fmt.Errorf("the norm of the gradients of step %d is %v", t.steps+1, norm)
	}
	t.steps++
	return norm, ClipFactor(norm, t.limit), nil
}

// State implements [Optimizer].
func (t *trained) State() State {
	return State{Steps: t.steps, Tensors: slices.Concat(t.kept...)}
}

// Restore implements [Optimizer].
func (t *trained) Restore(saved State) error {
	own := t.State()
	if saved.Steps < 0 {
		return fmt.Errorf("optimizer state: %d steps taken", saved.Steps)
	}
	named := map[string]Tensor{}
	for _, t := range own.Tensors {
		named[t.Name] = t
	}
	seen := map[string]bool{}
	for _, t := range saved.Tensors {
		want, ok := named[t.Name]
		switch {
		case !ok:
			return fmt.Errorf("optimizer state: tensor %s belongs to no parameter that is trained, or to another optimizer", t.Name)
		case !slices.Equal(t.Shape, want.Shape) || len(t.Data) != len(want.Data) || len(t.Codes) != len(want.Codes):
			return fmt.Errorf("optimizer state: tensor %s has shape %v and %d values and %d bytes, not %v and %d and %d",
				t.Name, t.Shape, len(t.Data), len(t.Codes), want.Shape, len(want.Data), len(want.Codes))
		}
		seen[t.Name] = true
	}
	for _, want := range own.Tensors {
		if !seen[want.Name] {
			return fmt.Errorf("optimizer state: no tensor %s", want.Name)
		}
	}
	for _, t := range saved.Tensors {
		copy(named[t.Name].Data, t.Data)
		copy(named[t.Name].Codes, t.Codes)
	}
	t.steps = saved.Steps
	return nil
}
