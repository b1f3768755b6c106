package model

import (
	"fmt"
	"maps"
	"slices"
)

// Assemble returns a model of weights that are in memory already, by name. They are used
// as they are. Missing, unexpected and misshapen ones are errors that name them.
func Assemble(c Config, weights map[string]Tensor) (*Model, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("assembling a model: %w", err)
	}
	m := empty(c)
	unexpected := maps.Clone(weights)
	var missing []string
	for _, w := range m.arch.weights(c) {
		t, ok := weights[w.name]
		switch {
		case !ok:
			missing = append(missing, w.name)
			continue
		case !slices.Equal(t.Shape, w.shape):
			return nil, fmt.Errorf("assembling a model: tensor %s has shape %v, the configuration asks for %v", w.name, t.Shape, w.shape)
		}
		m.Weights[w.name] = t
		delete(unexpected, w.name)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("assembling a model: missing tensors: %s", abridge(missing))
	}
	if len(unexpected) > 0 {
		return nil, fmt.Errorf("assembling a model: unexpected tensors: %s", abridge(slices.Sorted(maps.Keys(unexpected))))
	}
	return m, nil
}
