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
	Name string // of the optimizer, one of Names

	Beta1, Beta2 float64 // adamw, adamw_8bit, lion, and muon where it steps as adamw: decay of the averages, in [0, 1)
	Epsilon      float64 // the same but lion: added to the root of the second average
	Momentum     float64 // sgd: decay of the velocity, in [0, 1); 0 keeps none
	Nesterov     bool    // sgd: look one step ahead along the velocity

	BlockSize   int // adamw_8bit: elements that share a scale
	Min8BitSize int // adamw_8bit: parameters of fewer elements keep float32 averages

	ClipThreshold  float64 // adafactor: largest root mean square of an update
	DecayRate      float64 // adafactor: power of the step in the decay of squares, below 0
	ScaleParameter bool    // adafactor: multiply the rate by the parameter's root mean square
	FirstMoment    float64 // adafactor: decay of an average of updates, in [0, 1); 0 keeps none

	MuonMomentum float64 // muon: decay of the average of gradients, in [0, 1)
	NSSteps      int     // muon: steps of the Newton–Schulz iteration
	AdjustLR     string  // muon: how the rate follows the shape of a matrix, one of AdjustLRs

	WeightDecay float64 // of parameters with two or more dimensions
	MaxGradNorm float64 // gradients are scaled down to this global norm; 0 clips nothing

	Groups []Group // parameters with settings of their own; the first group that matches wins
	Scales []Scale // factors of the rate of each parameter, multiplied with each other and the group's
}

// A rule is a way to change parameters: what it keeps for each, and how an optimizer of
// it is made from settings that New has checked and parameters that have theirs.
type rule struct {
	keep func(Config, Parameter) []part
	make func(trained, Config) (Optimizer, error)
	work func([]Parameter) workspace // of a step, beside what is kept; nil is none
}

// rules is the registry: a new optimizer is a new file and a line here.
var rules = map[string]rule{
	"adafactor":  {keep: keepAdafactor, make: makeAdafactor, work: workOfAdafactor},
	"adamw":      {keep: keepAdamW, make: makeAdamW},
	"adamw_8bit": {keep: keepAdamW8, make: makeAdamW8},
	"lion":       {keep: keepLion, make: makeLion},
	"muon":       {keep: keepMuon, make: makeMuon, work: workOfMuon},
	"sgd":        {keep: keepSGD, make: makeSGD},
}

// Names returns the names of all optimizers, sorted.
func Names() []string { return slices.Sorted(maps.Keys(rules)) }

func ruleNamed(name string) (rule, error) {
	r, ok := rules[name]
	if !ok {
		return r, fmt.Errorf("unknown optimizer %q: there are %s", name, strings.Join(Names(), ", "))
	}
	return r, nil
}

// New checks c and returns an optimizer of params that has taken no step. It
// keeps the slices of params. A nil team is one thread; NewTeam of package model
// makes larger ones.
func New(team *kernel.Team, params []Parameter, c Config) (Optimizer, error) {
	r, err := ruleNamed(c.Name)
	if err != nil {
		return nil, err
	}
	t, err := newTrained(team, params, c)
	if err != nil {
		return nil, err
	}
	for _, p := range t.params {
		var kept []Tensor
		for _, k := range r.keep(c, p) {
			kept = append(kept, k.tensor(p))
		}
		t.kept = append(t.kept, kept)
	}
	if r.work != nil {
		t.buffers = r.work(t.params).slices()
	}
	return r.make(t, c)
}

// A Tensor is a named part of an optimizer's state.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
	Codes []byte // in place of Data where the optimizer keeps a byte for each element
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
		if n := size(p.Shape); len(p.Value) != n || len(p.Grad) != n {
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
