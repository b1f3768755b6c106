package lora

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gotune/internal/hf"
	"gotune/internal/pages"
	"gotune/model"
)

// original is what an adapter found in its model and changed.
type original struct {
	weights map[string]model.Tensor
	frozen  map[string]*model.Matrix
	untied  bool // embedding and head were one
}

// change replaces a weight of the model by one that is float32, or by a frozen one,
// and remembers what was there.
func (ad *Adapter) change(name string, t model.Tensor, frozen *model.Matrix) {
	if ad.before.weights == nil {
		ad.before.weights, ad.before.frozen = make(map[string]model.Tensor), make(map[string]*model.Matrix)
	}
	if w, ok := ad.model.Frozen[name]; ok {
		ad.before.frozen[name] = w
	} else {
		ad.before.weights[name] = ad.model.Weights[name]
	}
	delete(ad.model.Frozen, name)
	delete(ad.model.Weights, name)
	if frozen != nil {
		ad.model.Frozen[name] = frozen
	} else {
		ad.model.Weights[name] = t
	}
}

// changed reports whether the adapter needs weights of its own model.
func (ad *Adapter) changed() bool {
	return len(ad.before.weights)+len(ad.before.frozen) > 0 || ad.before.untied
}

// Release gives the model back the weights that the adapter changed. The adapter, and
// what was made of it, is not to be used any more.
func (ad *Adapter) Release() {
	for _, name := range slices.Concat(slices.Collect(maps.Keys(ad.before.frozen)), slices.Collect(maps.Keys(ad.before.weights))) {
		ad.before.giveBack(ad.model, name)
	}
	if ad.before.untied {
		ad.model.Tie()
	}
	ad.before = original{}
}

// giveBack gives the model back one of the weights.
func (o original) giveBack(m *model.Model, name string) {
	if w, ok := o.frozen[name]; ok {
		delete(m.Weights, name)
		m.Frozen[name] = w
		delete(o.frozen, name)
	}
	if t, ok := o.weights[name]; ok {
		delete(m.Frozen, name)
		m.Weights[name] = t
		delete(o.weights, name)
	}
}

// addWhole makes the weights of the modules to save, and the biases, parameters.
func (ad *Adapter) addWhole(values bool) error {
	names, err := ad.wholeNames()
	if err != nil {
		return err
	}
	m := ad.model
	for _, name := range slices.Sorted(maps.Keys(names)) {
		shape := m.Weights[name].Shape
		if w := m.Frozen[name]; w != nil {
			shape = []int{w.Rows, w.Cols}
		}
		p := parameter(values, name, shape...)
		if values {
			copy(p.Value, valuesOf(m, name))
		}
		ad.change(name, model.Tensor{Shape: shape, Data: p.Value}, nil)
		ad.whole = append(ad.whole, p)
	}
	return nil
}

// valuesOf returns the numbers of a weight.
func valuesOf(m *model.Model, name string) []float32 {
	if w := m.Frozen[name]; w != nil {
		return w.Float32s()
	}
	return m.Weights[name].Data
}

// wholeNames finds the weights that are trained whole. Where embedding and head are
// tied and are not to stay so, they become two.
func (ad *Adapter) wholeNames() (map[string]bool, error) {
	c, m := ad.Config, ad.model
	names := make(map[string]bool)
	for _, target := range c.ModulesToSave {
		if target == "" {
			return nil, fmt.Errorf("modules_to_save holds an empty name")
		}
		some := false
		for _, module := range m.Modules() {
			if !strings.HasSuffix(module, target) {
				continue
			}
			some = true
			if err := ad.addModule(names, module); err != nil {
				return nil, err
			}
		}
		if !some {
			return nil, fmt.Errorf("modules_to_save: no module of the model ends in %q (there are: %s)", target, strings.Join(lastParts(m.Modules()), ", "))
		}
	}
	biases := 0
	for name := range m.Weights {
		module, is := strings.CutSuffix(name, ".bias")
		if is && (c.Bias == "all" || c.Bias == "lora_only" && ad.layers[module] != nil) {
			names[name] = true
			biases++
		}
	}
	if c.Bias != "" && c.Bias != "none" && biases == 0 {
		return nil, fmt.Errorf("bias is %s, but the model has no such biases: set it to none", c.Bias)
	}
	return names, nil
}

// addModule adds the weights of a module, and of all that is in it.
func (ad *Adapter) addModule(names map[string]bool, module string) error {
	m := ad.model
	head := strings.TrimSuffix(m.Head(), ".weight")
	table := strings.TrimSuffix(m.Embedding(), ".weight")
	if within(table, module) || within(head, module) {
		switch {
		case m.Tied() && ad.Config.EnsureTied:
			names[m.Embedding()] = true
		case m.Tied():
			m.Untie()
			ad.before.untied = true
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(m.Weights)), slices.Collect(maps.Keys(m.Frozen))) {
		if within(name, module) {
			names[name] = true
		}
	}
	return nil
}

// within reports whether a module, or a weight, is a module or in it.
func within(name, module string) bool { return name == module || strings.HasPrefix(name, module+".") }

// lastParts lists the last parts of names, each once.
func lastParts(names []string) []string {
	parts := make(map[string]bool)
	for _, name := range names {
		parts[name[strings.LastIndexByte(name, '.')+1:]] = true
	}
	return slices.Sorted(maps.Keys(parts))
}

// tensors returns what is trained under PEFT's keys.
func (ad *Adapter) tensors() map[string]hf.Tensor {
	all := make(map[string]hf.Tensor)
	for _, p := range ad.Parameters() {
		all[ad.key(p.Name)] = hf.Tensor{Shape: p.Shape, Data: p.Value}
		if alias := ad.alias(p.Name); alias != "" {
			all[alias] = all[ad.key(p.Name)]
		}
	}
	return all
}

// key is PEFT's key of a parameter: the bias of an adapted layer is that of the layer
// inside the adapted one.
func (ad *Adapter) key(name string) string {
	if module, is := strings.CutSuffix(name, ".bias"); is && ad.layers[module] != nil {
		return prefix + module + ".base_layer.bias"
	}
	return prefix + name
}

// alias is a second key that PEFT writes a parameter under, or "": that of the head,
// where it stays tied to a table that is trained.
func (ad *Adapter) alias(name string) string {
	if name == ad.model.Embedding() && ad.model.Tied() && ad.Config.EnsureTied {
		return prefix + ad.model.Head()
	}
	return ""
}

// sameShape makes a tensor of the shape of another.
func sameShape(t model.Tensor) model.Tensor {
	return model.Tensor{Shape: t.Shape, Data: pages.Make[float32](len(t.Data))}
}
