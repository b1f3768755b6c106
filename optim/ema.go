package optim

import (
	"fmt"

	"gotune/internal/kernel"
)

// EMA keeps an exponential moving average of parameters, which is often better than
// where training stands at the moment. After step t = 1, 2, …
//
//	e ← e − (1 − d)·(e − p),  d = min(decay, t/(t + 9)) and 0 for t = 1
//
// so that the average begins as the parameters after the first step and is not held back
// by where they began. It is EMAModel of the library diffusers with its defaults.
type EMA struct {
	team    *kernel.Team
	params  []Parameter
	average []Tensor
	decay   float64
	updates int
}

// NewEMA returns an average that has seen no step. A nil team is one thread.
func NewEMA(team *kernel.Team, params []Parameter, decay float64) (*EMA, error) {
	if !(decay > 0 && decay < 1) {
		return nil, fmt.Errorf("ema_decay %v: it must be above 0 and below 1", decay)
	}
	params, err := sorted(params)
	if err != nil {
		return nil, err
	}
	if err := checkSizes(params); err != nil {
		return nil, err
	}
	e := &EMA{team: team, params: params, decay: decay}
	for _, p := range params {
		t := average("", p).tensor(p)
		copy(t.Data, p.Value)
		e.average = append(e.average, t)
	}
	return e, nil
}

// Update takes the parameters as they are into the average. It allocates nothing.
func (e *EMA) Update() {
	decay := 0.0
	if t := float64(e.updates); t > 0 {
		decay = min(e.decay, (1+t)/(10+t))
	}
	e.updates++
	for i, p := range e.params {
		kernel.Average(e.team, e.average[i].Data, p.Value, decay)
	}
}

// Swap exchanges the parameters and their average; a second Swap undoes it. Between the
// two the parameters are for evaluation or for saving, and neither Update nor a step of an
// optimizer may come.
func (e *EMA) Swap() {
	for i, p := range e.params {
		average := e.average[i].Data
		for k, v := range p.Value {
			p.Value[k], average[k] = average[k], v
		}
	}
}

// State returns the average under the names of the parameters, and how many steps it has
// seen. The data is the average's own and changes with the next Update.
func (e *EMA) State() State { return State{Steps: e.updates, Tensors: e.average} }

// Restore continues from a state saved earlier, of the same parameters, which it copies.
// On an error nothing has changed.
func (e *EMA) Restore(s State) error {
	t := trained{kept: [][]Tensor{e.average}}
	if err := t.Restore(s); err != nil {
		return fmt.Errorf("moving average: %w", err)
	}
	e.updates = s.Steps
	return nil
}
