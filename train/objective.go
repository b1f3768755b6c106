package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"gotune/data"
)

// An Objective says what is learned from a row: which of its tokens are targets,
// and what each of them weighs. The loss of a step is Σ weight·nll over the targets
// of all its rows, divided by Σ weight, where nll is −log of the probability that
// the model gives the target.
type Objective struct {
	Name string // value of the key objective

	// LearnPrompt makes every token a target, prompts and user turns too, in place
	// of completions and assistant turns.
	LearnPrompt bool

	// Weigh returns the weight of each token of a row; nil leaves all as they are.
	// See [data.EncoderConfig].
	Weigh func(x data.Example) []float32
}

// objectives are the values of the key objective.
var objectives = struct {
	sync.Mutex
	list []Objective
}{list: []Objective{
	{Name: "sft"},                    // supervised fine-tuning, prompts masked
	{Name: "cpt", LearnPrompt: true}, // continued pre-training
}}

// AddObjective makes an objective known by its name, to recipes and to [Resume].
// A name that is empty or taken is an error. A run folder holds the name alone: who
// resumes the run adds the same objective first.
func AddObjective(o Objective) error {
	if o.Name == "" {
		return errors.New("an objective needs a name")
	}
	objectives.Lock()
	defer objectives.Unlock()
	if slices.ContainsFunc(objectives.list, func(known Objective) bool { return known.Name == o.Name }) {
		return fmt.Errorf("there is an objective named %q already", o.Name)
	}
	objectives.list = append(objectives.list, o)
	return nil
}

// ObjectiveNamed returns the objective of a name, or an error that lists all.
func ObjectiveNamed(name string) (Objective, error) {
	objectives.Lock()
	defer objectives.Unlock()
	for _, o := range objectives.list {
		if o.Name == name {
			return o, nil
		}
	}
	return Objective{}, fmt.Errorf("objective is %q, which is not supported (supported: %s)", name, strings.Join(namesOf(objectives.list), ", "))
}

// ObjectiveNames returns the names of all objectives, sorted.
func ObjectiveNames() []string {
	objectives.Lock()
	defer objectives.Unlock()
	return namesOf(objectives.list)
}

func namesOf(list []Objective) []string {
	var names []string
	for _, o := range list {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	return names
}
