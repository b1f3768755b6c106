package lora

import (
	"fmt"
	"slices"

	"gotune/model"
)

// Merge returns a model whose adapted weights are W + s·B·A, with s as in the
// package comment, summed in float64 and rounded once; of DoRA with each row multiplied by
// m/‖W + s·B·A‖. What is trained whole takes the place of the model's. Other weights are
// shared with m, those that are not frozen: of a frozen one, W is what its storage holds.
func (ad *Adapter) Merge(m *model.Model) (*model.Model, error) {
	return ad.add(m, 1)
}

// Unmerge takes a merged adapter out again: W' − s·B·A, where W' are the weights of m,
// that is a model which was merged with the adapter and perhaps saved. In float32 an element
// comes back to within one unit in the last place of the larger of W and W', since each of the
// two sums is rounded once; of weights saved as bf16 or fp16, of that type. The rows of a
// merged DoRA do not tell how long they were, modules that were trained whole not what they
// held, and PiSSA and OLoRA not what was taken out of the base: these are errors.
func (ad *Adapter) Unmerge(m *model.Model) (*model.Model, error) {
	switch {
	case ad.Config.DoRA:
		return nil, fmt.Errorf("taking the adapter out: DoRA's merged rows have the lengths of the adapter, and what they were before is lost: take the base itself")
	case len(ad.whole) > 0:
		return nil, fmt.Errorf("taking the adapter out: %s was trained whole, and what it was before is lost: take the base itself", ad.whole[0].Name)
	case ad.Config.ChangesBase():
		return nil, fmt.Errorf("taking the adapter out: %s takes its beginning out of the base, which the merged weights do not tell apart: make it plain first", ad.Config.Method())
	}
	return ad.add(m, -1)
}

// add returns a model with the updates added sign times.
func (ad *Adapter) add(m *model.Model, sign float64) (*model.Model, error) {
	if ad.changed() && m != ad.model {
		return nil, fmt.Errorf("merging: the adapter changed weights of the model it was made for, and can only be merged into that one")
	}
	merged := m.Thawed()
	for _, p := range ad.whole {
		merged.Weights[p.Name] = model.Tensor{Shape: p.Shape, Data: slices.Clone(p.Value)}
	}
	for _, module := range ad.modules {
		name, l := module+".weight", ad.layers[module]
		w, ok := merged.Weights[name]
		if !ok || m.Projection(module) != l.Projection {
			return nil, fmt.Errorf("merging: the adapter's %s is for a weight of %d×%d, the model has %v", module, l.Out, l.In, w.Shape)
		}
		factor := func(int) float64 { return 1 }
		if ad.Config.DoRA {
			lengths := ad.lengths(m, module)
			factor = func(i int) float64 { return float64(l.m.Value[i]) / float64(lengths[i]) }
		}
		t := sameShape(w)
		l.updates(func(i int, update []float64) {
			f := factor(i)
			for j, u := range update {
				at := l.at(i, j)
				t.Data[at] = float32(f * (float64(w.Data[at]) + sign*l.scale*u))
			}
		})
		merged.Weights[name] = t
	}
	return merged, nil
}
