// Package optim changes parameters by their gradients. An optimizer works on
// plain slices: it knows neither the graph that made the gradients nor the
// schedule that gives the learning rate, and its state can be saved and
// restored, so that a resumed run takes the same steps.
package optim

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

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
// a name of its own and slices of the length of its shape.
func sorted(params []Parameter) ([]Parameter, error) {
	if len(params) == 0 {
		return nil, errors.New("there is no parameter to train")
	}
	params = slices.Clone(params)
	slices.SortFunc(params, func(a, b Parameter) int { return cmp.Compare(a.Name, b.Name) })
	for i, p := range params {
		size := 1
		for _, n := range p.Shape {
			size *= n
		}
		switch {
		case i > 0 && p.Name == params[i-1].Name:
			return nil, fmt.Errorf("two parameters are called %q", p.Name)
		case len(p.Value) != size || len(p.Grad) != size:
			return nil, fmt.Errorf("parameter %s of shape %v has %d values and %d gradients", p.Name, p.Shape, len(p.Value), len(p.Grad))
		}
	}
	return params, nil
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
