// Package lora adapts a model by low-rank updates of its linear layers (Hu et al.
// 2021, arXiv:2106.09685): y = x·Wᵀ + s·(dropout(x)·Aᵀ)·Bᵀ, where W is frozen, A is
// [rank, in], B is [out, rank] and s is alpha/rank, or alpha/√rank for rsLoRA
// (Kalajdzievski 2023, arXiv:2312.03732). Files are those of PEFT.
//
// An [Adapter] belongs to a model: [Adapter.Project] puts it into the model's
// programs and generators, [Adapter.Parameters] are what is trained, and
// [Adapter.Merge] writes it into the weights.
package lora

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/gorgonia"

	"gotune/internal/hf"
	"gotune/internal/op"
	"gotune/internal/rng"
	"gotune/model"
)

// Config says which layers are adapted, and how.
type Config struct {
	Rank    int
	Alpha   float64
	Dropout float64
	// Targets are module names; a layer is adapted if its name is one of them
	// or ends in a dot and one of them, as in PEFT. AllLinear alone is all of them.
	Targets []string
	// RSLoRA multiplies the update by alpha/√rank in place of alpha/rank, which
	// keeps its size as the rank grows.
	RSLoRA bool
	// Layers are the indices of the blocks that are adapted, from 0; nil is all.
	// As in PEFT, a target that is the whole name of a layer is adapted anyway.
	Layers []int
}

// Validate checks what can be checked without a model.
func (c Config) Validate() error {
	switch {
	case c.Rank < 1:
		return fmt.Errorf("lora rank is %d; it must be at least 1", c.Rank)
	case !(c.Alpha > 0) || math.IsInf(c.Alpha, 0):
		return fmt.Errorf("lora alpha is %g; it must be above 0", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("lora dropout is %g; it must be at least 0 and below 1", c.Dropout)
	case len(c.Targets) == 0:
		return fmt.Errorf("no lora targets; the default is %s", strings.Join(DefaultTargets, ","))
	}
	for _, layer := range c.Layers {
		if layer < 0 {
			return fmt.Errorf("lora layer %d: layers count from 0", layer)
		}
	}
	return nil
}

// scale is what the update is multiplied by.
func (c Config) scale() float64 {
	if c.RSLoRA {
		return c.Alpha / math.Sqrt(float64(c.Rank))
	}
	return c.Alpha / float64(c.Rank)
}

// adapts reports whether a module of the model is adapted.
func (c Config) adapts(module string) bool {
	if slices.Contains(c.Targets, module) {
		return true
	}
	if !slices.ContainsFunc(c.Targets, func(target string) bool { return matches(module, target) }) {
		return false
	}
	layer, ok := layerOf(module)
	return len(c.Layers) == 0 || ok && slices.Contains(c.Layers, layer)
}

// layerOf finds the index of the block in a module's name: the first part between
// dots that is a number.
func layerOf(module string) (layer int, ok bool) {
	for part := range strings.SplitSeq(module, ".") {
		if n, err := strconv.Atoi(part); err == nil && n >= 0 {
			return n, true
		}
	}
	return 0, false
}

// An Adapter is a pair of matrices for each adapted layer of a model.
type Adapter struct {
	Config  Config
	modules []string // in the model's order
	layers  map[string]model.Projection
	a, b    map[string]model.Parameter
}

// New makes an adapter for a model. A is uniform in ±1/√in, which is PEFT's
// kaiming-uniform with a = √5; B is 0, so that the adapted model starts as the
// base. Each A draws from a stream of its own name.
func New(c Config, m *model.Model, seed uint64) (*Adapter, error) {
	ad, err := empty(c, m)
	if err != nil {
		return nil, err
	}
	for _, module := range ad.modules {
		p := ad.a[module]
		r := rng.New(seed, "lora init", p.Name)
		bound := 1 / math.Sqrt(float64(p.Shape[1]))
		for i := range p.Value {
			p.Value[i] = float32((2*r.Float64() - 1) * bound)
		}
	}
	return ad, nil
}

// empty makes the adapter with all values 0.
func empty(c Config, m *model.Model) (*Adapter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if slices.Equal(c.Targets, []string{AllLinear}) {
		c.Targets = targetNames(m)
	}
	ad := &Adapter{Config: c, layers: make(map[string]model.Projection), a: make(map[string]model.Parameter), b: make(map[string]model.Parameter)}
	for _, target := range c.Targets {
		if !slices.ContainsFunc(m.Projections(), func(module string) bool { return matches(module, target) }) {
			return nil, fmt.Errorf("lora target %q matches no layer of the model (there are: %s)", target, strings.Join(targetNames(m), ", "))
		}
	}
	for _, layer := range c.Layers {
		if layer >= m.Config.Layers {
			return nil, fmt.Errorf("lora layer %d is not in the model, whose layers are 0…%d", layer, m.Config.Layers-1)
		}
	}
	for _, module := range m.Projections() {
		if !c.adapts(module) {
			continue
		}
		layer := m.Projection(module)
		if c.Rank > min(layer.Out, layer.In) {
			return nil, fmt.Errorf("lora rank %d is above the smaller side of %s (%d×%d)", c.Rank, module, layer.Out, layer.In)
		}
		ad.modules = append(ad.modules, module)
		ad.layers[module] = layer
		ad.a[module] = parameter(module+".lora_A.weight", c.Rank, layer.In)
		ad.b[module] = parameter(module+".lora_B.weight", layer.Out, c.Rank)
	}
	if len(ad.modules) == 0 {
		return nil, fmt.Errorf("none of the lora targets %s is in the layers %v", strings.Join(c.Targets, ", "), c.Layers)
	}
	return ad, nil
}

func parameter(name string, rows, cols int) model.Parameter {
	n := rows * cols
	return model.Parameter{Name: name, Shape: []int{rows, cols}, Value: make([]float32, n), Grad: make([]float32, n)}
}

// matches reports whether a target names a module.
func matches(module, target string) bool {
	return module == target || strings.HasSuffix(module, "."+target)
}

// targetNames lists the last parts of the names of a model's projections.
func targetNames(m *model.Model) []string {
	names := make(map[string]bool)
	for _, module := range m.Projections() {
		names[module[strings.LastIndexByte(module, '.')+1:]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Parameters lists the matrices in order of name.
func (ad *Adapter) Parameters() []model.Parameter {
	ps := slices.AppendSeq(slices.Collect(maps.Values(ad.a)), maps.Values(ad.b))
	slices.SortFunc(ps, func(p, q model.Parameter) int { return strings.Compare(p.Name, q.Name) })
	return ps
}

// Virtual returns 0: LoRA puts no tokens before a text.
func (ad *Adapter) Virtual() int { return 0 }

// Describe says what the adapter is, for people.
func (ad *Adapter) Describe() string {
	name := "LoRA"
	if ad.Config.RSLoRA {
		name = "rsLoRA"
	}
	return fmt.Sprintf("%s r=%d alpha=%g on %d layers", name, ad.Config.Rank, ad.Config.Alpha, len(ad.modules))
}

// Count returns the number of trained values.
func (ad *Adapter) Count() int {
	n := 0
	for _, p := range ad.Parameters() {
		n += len(p.Value)
	}
	return n
}

// Project is the hook that puts the adapter into a model's graph.
func (ad *Adapter) Project(b *model.Builder, module string, x *gorgonia.Node) *gorgonia.Node {
	pa, ok := ad.a[module]
	if !ok {
		return nil
	}
	pb := ad.b[module]
	w, bias := b.Layer(module)
	na, nb := b.Leaf(pa.Name, pa.Shape, pa.Value), b.Leaf(pb.Name, pb.Shape, pb.Value)
	y, err := op.LoRALinear(x, w, bias, na, nb, ad.Config.scale(), b.Dropout(ad.Config.Dropout))
	if err != nil {
		b.Fail(fmt.Errorf("%s: %w", module, err))
	}
	return y
}

// Merge returns a model whose adapted weights are W + s·B·A, with s as in the
// package comment, summed in float64 and rounded once. Other weights are shared
// with m, those that are not frozen: of a frozen one, W is what its storage holds.
func (ad *Adapter) Merge(m *model.Model) (*model.Model, error) {
	merged := m.Thawed()
	for _, module := range ad.modules {
		name, layer := module+".weight", ad.layers[module]
		w, ok := merged.Weights[name]
		if !ok || m.Projection(module) != layer {
			return nil, fmt.Errorf("merging: the adapter's %s is for a weight of %d×%d, the model has %v", module, layer.Out, layer.In, w.Shape)
		}
		t := hf.Tensor{Shape: w.Shape, Data: make([]float32, len(w.Data))}
		row, column := layer.In, 1 // between neighbours in t.Data
		if layer.Conv1D {
			row, column = 1, layer.Out
		}
		ad.updates(module, func(i int, update []float64) {
			for j, u := range update {
				at := i*row + j*column
				t.Data[at] = float32(float64(w.Data[at]) + ad.Config.scale()*u)
			}
		})
		merged.Weights[name] = t
	}
	return merged, nil
}

// updates calls use with each row of B·A, whose index is that of an output.
func (ad *Adapter) updates(module string, use func(i int, row []float64)) {
	a, b, layer := ad.a[module], ad.b[module], ad.layers[module]
	rank, in := ad.Config.Rank, layer.In
	sum := make([]float64, in)
	for i := range layer.Out {
		clear(sum)
		for r := range rank {
			bir := float64(b.Value[i*rank+r])
			for j, v := range a.Value[r*in : (r+1)*in] {
				sum[j] += bir * float64(v)
			}
		}
		use(i, sum)
	}
}
