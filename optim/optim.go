// Package optim changes parameters by their gradients. An optimizer works on
// plain slices: it knows neither the graph that made the gradients nor the
// schedule that gives the learning rate, and its state can be saved and
// restored, so that a resumed run takes the same steps.
package optim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gotune/internal/kernel"
)

// A Parameter is a tensor that is trained. Value and Grad have one element for
// each element of Shape, row-major, and are shared with whoever computes the
// gradient.
type Parameter struct {
	Name        string
	Shape       []int
	Value, Grad []float32
}

// decays tells whether weight decay applies: to matrices, but not to tensors of
// one dimension, which are norms and biases.
func (p *Parameter) decays() bool { return len(p.Shape) > 1 }

// An Optimizer changes the parameters that it was made for by their gradients.
type Optimizer interface {
	// Step changes all parameters with the given learning rate and returns the
	// global norm of the gradients before clipping. The gradients themselves are
	// left as they are. Where the norm is no finite number Step returns an error
	// and has changed nothing. It allocates nothing.
	Step(rate float64) (norm float64, err error)
	// State returns what the optimizer remembers. The data of its tensors is the
	// optimizer's own and changes with the next step.
	State() State
	// Restore continues from a state saved earlier, of an optimizer of the same
	// name and settings and of parameters with the same names and shapes. It
	// copies the tensors, whose order does not matter. On an error nothing has
	// changed.
	Restore(State) error
}

// Config has the settings of all optimizers. Each reads those it has a use for.
type Config struct {
	Name string // of the optimizer: adamw, lion or sgd

	Beta1, Beta2 float64 // adamw and lion: decay of the averages, in [0, 1)
	Epsilon      float64 // adamw: added to the root of the second average
	Momentum     float64 // sgd: decay of the velocity, in [0, 1); 0 keeps none
	Nesterov     bool    // sgd: look one step ahead along the velocity

	WeightDecay float64 // of parameters with two or more dimensions
	MaxGradNorm float64 // gradients are scaled down to this global norm; 0 clips nothing

	Groups []Group // parameters with settings of their own; the first group that matches wins
	Scales []Scale // factors of the rate of each parameter, multiplied with each other and the group's
}

// An optimizer is made from settings that New has checked and parameters that
// have theirs.
type maker func(trained, Config) (Optimizer, error)

// makers is the registry: a new optimizer is a new file and a line here.
var makers = map[string]maker{
	"adamw": makeAdamW,
	"lion":  makeLion,
	"sgd":   makeSGD,
}

// Names returns the names of all optimizers, sorted.
func Names() []string { return slices.Sorted(maps.Keys(makers)) }

// New checks c and returns an optimizer of params that has taken no step. It
// keeps the slices of params. A nil team is one thread; NewTeam of package model
// makes larger ones.
func New(team *kernel.Team, params []Parameter, c Config) (Optimizer, error) {
	f, ok := makers[c.Name]
	if !ok {
		return nil, fmt.Errorf("unknown optimizer %q: there are %s", c.Name, strings.Join(Names(), ", "))
	}
	t, err := newTrained(team, params, c)
	if err != nil {
		return nil, err
	}
	return f(t, c)
}

// A Tensor is a named part of an optimizer's state.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// A State is all that an optimizer remembers between two steps.
type State struct {
	Steps   int      // taken so far
	Tensors []Tensor // in order of name
}

// sorted returns the parameters in order of name, after checking that each has
// a name of its own.
func sorted(params []Parameter) ([]Parameter, error) {
	if len(params) == 0 {
		return nil, errors.New("there is no parameter to train")
	}
	params = slices.Clone(params)
	slices.SortFunc(params, func(a, b Parameter) int { return cmp.Compare(a.Name, b.Name) })
	for i, p := range params[1:] {
		if p.Name == params[i].Name {
			return nil, fmt.Errorf("two parameters are called %q", p.Name)
		}
	}
	return params, nil
}

// checkSizes reports a parameter whose slices have not the length of its shape.
func checkSizes(params []Parameter) error {
	for _, p := range params {
		size := 1
		for _, n := range p.Shape {
			size *= n
		}
		if len(p.Value) != size || len(p.Grad) != size {
			return fmt.Errorf("parameter %s of shape %v has %d values and %d gradients", p.Name, p.Shape, len(p.Value), len(p.Grad))
		}
	}
	return nil
}

// GlobalNorm returns the Euclidean norm of all gradients taken as one vector.
// The sum has a fixed order, that of params, whatever the number of threads.
func GlobalNorm(team *kernel.Team, params []Parameter) float64 {
	sum := 0.0
	for i := range params {
		sum += kernel.SumSquares(team, params[i].Grad)
	}
	return math.Sqrt(sum)
}

// ClipFactor returns what gradients of a global norm are multiplied by so that
// it is at most limit: min(1, limit/(norm + 1e-6)), as
// torch.nn.utils.clip_grad_norm_ has it. A limit of 0 clips nothing.
func ClipFactor(norm, limit float64) float64 {
	if limit == 0 {
		return 1
	}
	return min(1, limit/(norm+1e-6))
}
