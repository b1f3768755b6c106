// Package lora adapts a model by low-rank updates of its linear layers (Hu et al.
// 2021, arXiv:2106.09685): y = x·Wᵀ + s·(dropout(x)·Aᵀ)·Bᵀ, where W is frozen, A is
// [rank, in], B is [out, rank] and s is alpha/rank, or alpha/√rank for rsLoRA
// (Kalajdzievski 2023, arXiv:2312.03732). With DoRA (Liu et al. 2024,
// arXiv:2402.09353) the rows of W + s·B·A are brought to trained lengths. Files are
// those of PEFT.
//
// An [Adapter] belongs to a model: [Adapter.Project] puts it into the model's
// programs and generators, [Adapter.Parameters] are what is trained, and
// [Adapter.Merge] writes it into the weights. Modules that are trained whole and the
// initialisations PiSSA and OLoRA change weights of the model itself, from when the
// adapter is made until [Adapter.Release].
package lora

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/gorgonia"

	"gotune/internal/op"
	"gotune/internal/pages"
	"gotune/model"
)

// An Adapter is a pair of matrices for each adapted layer of a model, and what of the
// model itself is trained with them.
type Adapter struct {
	Config  Config
	modules []string // in the model's order
	layers  map[string]*layer
	whole   []model.Parameter // weights of the model that are trained, in order of name

	model  *model.Model
	before original
}

// A layer is what an adapted layer has.
type layer struct {
	model.Projection
	rank  int
	alpha float64
	scale float64
	a, b  model.Parameter
	m     model.Parameter // the lengths of DoRA; without, its name is empty
	// What PiSSA or OLoRA took out of the base: A and B at the beginning.
	a0, b0 []float32
}

// New makes an adapter for a model. A is uniform in ±1/√in, which is PEFT's
// kaiming-uniform with a = √5; B is 0, so that the adapted model starts as the
// base. Config.Init says otherwise. Each matrix draws from a stream of its own name.
func New(c Config, m *model.Model, seed uint64) (*Adapter, error) {
	ad, err := empty(c, m, checkNewRank, true)
	if err != nil {
		return nil, err
	}
	if err := ad.begin(seed); err != nil {
		ad.Release()
		return nil, err
	}
	return ad, nil
}

// Outline is New without values, for what can be checked before the weights are read.
// The model may be an outline itself; where embedding and head are to be two, they are
// from then on.
func Outline(c Config, m *model.Model) (*Adapter, error) { return empty(c, m, checkNewRank, false) }

// A rankCheck refuses ranks that a layer of the name cannot have.
type rankCheck func(module string, l *layer) error

// checkNewRank refuses a rank that a layer's update cannot have.
func checkNewRank(module string, l *layer) error {
	if most := min(l.Out, l.In); l.rank > most {
		return fmt.Errorf("lora rank %d is above the smaller side of %s (%d×%d): an update has at most the rank %d", l.rank, module, l.Out, l.In, most)
	}
	return nil
}

// checkReadRank refuses ranks that would ask for memory without end. Files may have one
// above the smaller side, as one does that was made plain.
func checkReadRank(module string, l *layer) error {
	if l.rank > 4*max(l.Out, l.In) {
		return fmt.Errorf("lora rank %d is far above the sides of %s (%d×%d)", l.rank, module, l.Out, l.In)
	}
	return nil
}

// empty makes the adapter with all values 0, but for weights of the model, which are
// copies. Without values there is no memory for them.
func empty(c Config, m *model.Model, check rankCheck, values bool) (*Adapter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(c.Targets) == 1 && strings.EqualFold(c.Targets[0], AllLinear) {
		c.Targets = targetNames(m)
	}
	t, err := c.compile()
	if err != nil {
		return nil, err
	}
	ad := &Adapter{Config: c, layers: make(map[string]*layer), model: m}
	for _, module := range m.Projections() {
		adapted, err := t.adapts(module)
		if err != nil {
			return nil, err
		}
		if adapted {
			ad.modules = append(ad.modules, module)
		}
	}
	if err := t.check(m, ad.modules); err != nil {
		return nil, err
	}
	for _, module := range ad.modules {
		if err := ad.addLayer(t, module, check, values); err != nil {
			return nil, err
		}
	}
	if err := ad.addWhole(values); err != nil {
		ad.Release()
		return nil, err
	}
	return ad, nil
}

func (ad *Adapter) addLayer(t *matcher, module string, check rankCheck, values bool) error {
	l := &layer{Projection: ad.model.Projection(module)}
	var err error
	if l.rank, l.alpha, err = t.sizes(module); err != nil {
		return err
	}
	if err := check(module, l); err != nil {
		return err
	}
	l.scale = t.scale(l.rank, l.alpha)
	l.a = parameter(values, module+".lora_A.weight", l.rank, l.In)
	l.b = parameter(values, module+".lora_B.weight", l.Out, l.rank)
	if t.DoRA {
		l.m = parameter(values, module+".lora_magnitude_vector", l.Out)
	}
	ad.layers[module] = l
	return nil
}

func parameter(values bool, name string, shape ...int) model.Parameter {
	n := 1
	for _, d := range shape {
		n *= d
	}
	p := model.Parameter{Name: name, Shape: shape}
	if values {
		p.Value, p.Grad = pages.Make[float32](n), pages.Make[float32](n)
	}
	return p
}

// Parameters lists what is trained in order of name.
func (ad *Adapter) Parameters() []model.Parameter {
	ps := slices.Clone(ad.whole)
	for _, l := range ad.layers {
		ps = append(ps, l.a, l.b)
		if l.m.Name != "" {
			ps = append(ps, l.m)
		}
	}
	slices.SortFunc(ps, func(p, q model.Parameter) int { return strings.Compare(p.Name, q.Name) })
	return ps
}

// Modules lists the adapted layers, in the model's order.
func (ad *Adapter) Modules() []string { return slices.Clone(ad.modules) }

// Whole lists the weights of the model that are trained whole, by name.
func (ad *Adapter) Whole() []string {
	var names []string
	for _, p := range ad.whole {
		names = append(names, p.Name)
	}
	return names
}

// Virtual returns 0: LoRA puts no tokens before a text.
func (ad *Adapter) Virtual() int { return 0 }

// Describe says in a line what of the adapter is trained: these of its parameters.
func (ad *Adapter) Describe(trained []model.Parameter) string {
	layers := 0
	for _, p := range trained {
		if strings.HasSuffix(p.Name, ".lora_A.weight") {
			layers++
		}
	}
	rank := strconv.Itoa(ad.Config.Rank)
	if ranks := ad.Ranks(); len(ranks) > 1 {
		rank = fmt.Sprintf("%d…%d", ranks[0], ranks[len(ranks)-1])
	}
	text := fmt.Sprintf("%s r=%s alpha=%g on %d layers", ad.Config.Method(), rank, ad.Config.Alpha, layers)
	if len(ad.whole) > 0 {
		text += fmt.Sprintf(", %d weights whole", len(ad.whole))
	}
	return text
}

// Count returns the number of trained values.
func (ad *Adapter) Count() int {
	n := 0
	for _, p := range ad.Parameters() {
		n += len(p.Value)
	}
	return n
}

// Ranks returns the ranks that the layers have, each once, rising.
func (ad *Adapter) Ranks() []int {
	ranks := make(map[int]bool)
	for _, l := range ad.layers {
		ranks[l.rank] = true
	}
	return slices.Sorted(maps.Keys(ranks))
}

// Project is the hook that puts the adapter into a model's graph.
func (ad *Adapter) Project(b *model.Builder, module string, x *gorgonia.Node) *gorgonia.Node {
	l, ok := ad.layers[module]
	if !ok {
		return nil
	}
	w, bias := b.Layer(module)
	leaf := func(p model.Parameter) *gorgonia.Node { return b.Leaf(p.Name, p.Shape, p.Value) }
	drop := b.Dropout(ad.Config.Dropout)
	var y *gorgonia.Node
	var err error
	if ad.Config.DoRA {
		y, err = op.DoRALinear(x, w, bias, leaf(l.a), leaf(l.b), leaf(l.m), l.scale, drop)
	} else {
		y, err = op.LoRALinear(x, w, bias, leaf(l.a), leaf(l.b), l.scale, drop)
	}
	if err != nil {
		b.Fail(fmt.Errorf("%s: %w", module, err))
	}
	return y
}

// updates calls use with each row of B·A, whose index is that of an output.
func (l *layer) updates(use func(i int, row []float64)) {
	products(l.a.Value, l.b.Value, l.rank, l.In, l.Out, use)
}

// products calls use with each row of b·a, in float64.
func products(a, b []float32, rank, in, out int, use func(i int, row []float64)) {
	sum := make([]float64, in)
	for i := range out {
		clear(sum)
		for r := range rank {
			bir := float64(b[i*rank+r])
			for j, v := range a[r*in : (r+1)*in] {
				sum[j] += float64(bir * float64(v))
			}
		}
		use(i, sum)
	}
}
