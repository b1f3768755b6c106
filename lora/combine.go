package lora

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"gotune/model"
)

// Combinations are the ways to put adapters together, those of PEFT's
// add_weighted_adapter: cat and svd sum the updates, Σ wᵢ·sᵢ·Bᵢ·Aᵢ, as one of the sum of
// the ranks, exactly, or of a lower rank as near as can be; linear sums the matrices
// themselves, √|wᵢ·sᵢ|·Bᵢ and ±√|wᵢ·sᵢ|·Aᵢ, which mixes the adapters with each other.
var Combinations = []string{"cat", "linear", "svd"}

// Combine puts adapters of one model together, each with a weight, which may be negative.
// The result has the scale 1: alpha is the rank. A rank other than 0 is that of svd, whose
// default is the largest of the adapters'. What one of them trained whole is taken as it is.
//
// An adapter with DoRA has no update that could be added to another, and a module that two
// adapters trained whole has no sum: both are errors. PiSSA and OLoRA have to be made plain.
//
// Differs from PEFT, which keeps use_rslora of the first adapter, so that the result is too
// large by the root of its rank, and which drops what is trained whole.
func Combine(ads []*Adapter, weights []float64, combination string, rank int) (*Adapter, error) {
	sum, err := combine(ads, weights, combination, rank)
	if err != nil {
		return nil, fmt.Errorf("combining adapters: %w", err)
	}
	return sum, nil
}

func combine(ads []*Adapter, weights []float64, combination string, rank int) (*Adapter, error) {
	c, err := combined(ads, weights, combination, rank)
	if err != nil {
		return nil, err
	}
	sum := &Adapter{Config: c, layers: make(map[string]*layer), model: ads[0].model}
	for _, module := range sum.model.Projections() {
		var parts []*layer
		var factors []float64
		for i, ad := range ads {
			if l := ad.layers[module]; l != nil {
				parts, factors = append(parts, l), append(factors, weights[i]*l.scale)
			}
		}
		if parts == nil {
			continue
		}
		l := blankLayer(module, parts[0].Projection, c.Rank, c.Alpha)
		switch combination {
		case "cat":
			concatenate(l, parts, factors)
		case "linear":
			mix(l, parts, factors)
		case "svd":
			wide := blankLayer(module, l.Projection, totalRank(parts), 1)
			concatenate(wide, parts, factors)
			if _, err := reduce(l, wide, 1); err != nil {
				return nil, fmt.Errorf("%s: %w", module, err)
			}
		}
		sum.modules, sum.layers[module] = append(sum.modules, module), l
	}
	for _, ad := range ads {
		sum.whole = append(sum.whole, ad.whole...)
		if ad.changed() {
			sum.before = ad.before
		}
	}
	return sum, nil
}

// combined checks what is to be put together and returns the config of the result.
func combined(ads []*Adapter, weights []float64, combination string, rank int) (Config, error) {
	c := Config{Bias: "none"}
	if len(ads) == 0 || len(ads) != len(weights) {
		return c, fmt.Errorf("there are %d adapters and %d weights", len(ads), len(weights))
	}
	if !slices.Contains(Combinations, combination) {
		return c, fmt.Errorf("the combination is %q, which is not supported (supported: %s)", combination, strings.Join(Combinations, ", "))
	}
	if rank < 0 || rank > 0 && combination != "svd" {
		return c, fmt.Errorf("the rank is %d, but %s has a rank of its own: it is for svd, and above 0", rank, combination)
	}
	total, largest := 0, 0
	modules := make(map[string]bool)
	for i, ad := range ads {
		ranks := ad.Ranks()
		most := ranks[len(ranks)-1]
		switch {
		case math.IsNaN(weights[i]) || math.IsInf(weights[i], 0):
			return c, fmt.Errorf("the weight of adapter %d is %g", i+1, weights[i])
		case ad.model != ads[0].model:
			return c, fmt.Errorf("adapter %d is of another model", i+1)
		case ad.Config.DoRA:
			return c, fmt.Errorf("adapter %d is DoRA, whose update depends on the base and cannot be added to another: merge it into the weights", i+1)
		case ad.Config.ChangesBase():
			return c, fmt.Errorf("adapter %d begins with a part of the base (%s): make it plain first", i+1, ad.Config.Init)
		case len(ad.whole) > 0 && len(c.ModulesToSave)+count(c.Bias != "none") > 0:
			return c, fmt.Errorf("adapter %d trained %s whole, and one before it trained modules too: their sum means nothing", i+1, ad.whole[0].Name)
		case combination == "linear" && (len(ranks) > 1 || i > 0 && most != largest):
			return c, fmt.Errorf("adapter %d has the ranks %v; linear needs one rank, the same for all: take cat or svd", i+1, ranks)
		}
		if len(ad.whole) > 0 {
			c.ModulesToSave, c.Bias, c.EnsureTied = ad.Config.ModulesToSave, ad.Config.Bias, ad.Config.EnsureTied
			if c.Bias == "lora_only" && len(ads) > 1 {
				return c, fmt.Errorf("adapter %d trained the biases of its own layers (bias lora_only), which another's layers would not have", i+1)
			}
		}
		total, largest = total+most, max(largest, most)
		for _, module := range ad.modules {
			modules[module] = true
		}
	}
	for _, module := range ads[0].model.Projections() {
		if modules[module] {
			c.Targets = append(c.Targets, module)
		}
	}
	c.Rank = map[string]int{"cat": total, "linear": largest, "svd": largest}[combination]
	if rank > 0 {
		c.Rank = rank
	}
	c.Alpha = float64(c.Rank)
	return c, nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func blankLayer(module string, p model.Projection, rank int, alpha float64) *layer {
	return &layer{
		Projection: p, rank: rank, alpha: alpha, scale: alpha / float64(rank),
		a: parameter(true, module+".lora_A.weight", rank, p.In), b: parameter(true, module+".lora_B.weight", p.Out, rank),
	}
}

func totalRank(parts []*layer) int {
	n := 0
	for _, l := range parts {
		n += l.rank
	}
	return n
}

// concatenate lays the matrices of parts side by side, each A times its factor; the rest,
// if there is room, is 0.
func concatenate(into *layer, parts []*layer, factors []float64) {
	at := 0
	for i, l := range parts {
		for j, v := range l.a.Value {
			into.a.Value[at*l.In+j] = float32(factors[i] * float64(v))
		}
		for o := range l.Out {
			copy(into.b.Value[o*into.rank+at:], l.b.Value[o*l.rank:(o+1)*l.rank])
		}
		at += l.rank
	}
}

// mix sums the matrices of parts, each times the root of its factor, whose sign goes to A.
func mix(into *layer, parts []*layer, factors []float64) {
	sum := func(dst []float32, of func(l *layer) []float32, factor func(f float64) float64) {
		for j := range dst {
			s := 0.0
			for i, l := range parts {
				s += float64(factor(factors[i]) * float64(of(l)[j]))
			}
			dst[j] = float32(s)
		}
	}
	root := func(f float64) float64 { return math.Sqrt(math.Abs(f)) }
	sum(into.a.Value, func(l *layer) []float32 { return l.a.Value }, func(f float64) float64 { return math.Copysign(root(f), f) })
	sum(into.b.Value, func(l *layer) []float32 { return l.b.Value }, root)
}

// reduce sets a layer to the nearest of its rank to scale·B·A of another (Eckart & Young
// 1936): of the singular values σ of that update the largest, B = U·√σ/√s and A = √σ/√s·Vᵀ,
// with s the layer's own scale. It returns the share of Σσ² that is left. The singular values
// are those of the small product of the triangles of B and Aᵀ.
func reduce(into, from *layer, scale float64) (kept float64, err error) {
	qb, rb := triangles(denseOf(from.b.Value, from.Out, from.rank))
	qa, ra := triangles(mat.DenseCopyOf(denseOf(from.a.Value, from.rank, from.In).T()))
	var small, u, v mat.Dense
	small.Mul(rb, ra.T())
	small.Scale(scale, &small)
	rows, cols := small.Dims()
	left, values, right, err := singular(&small, min(rows, cols))
	if err != nil {
		return 0, err
	}
	var all, some float64
	for i, s := range values {
		all += s * s
		if i < into.rank {
			some += s * s
		}
	}
	n := min(into.rank, len(values))
	rowsL, _ := left.Dims()
	rowsR, _ := right.Dims()
	u.Mul(qb, left.Slice(0, rowsL, 0, n))
	v.Mul(qa, right.Slice(0, rowsR, 0, n))
	for i := range n {
		root := math.Sqrt(values[i] / into.scale)
		scaleColumn(&u, i, root)
		scaleColumn(&v, i, root)
	}
	clear(into.a.Value)
	clear(into.b.Value)
	copy(into.a.Value, float32s(v.T()))
	for i, x := range float32s(&u) {
		into.b.Value[i/n*into.rank+i%n] = x
	}
	if all == 0 {
		return 1, nil
	}
	return some / all, nil
}

// triangles returns a thin Q and the R of a matrix; of one that is wider than tall, the
// identity and itself.
func triangles(m *mat.Dense) (q, r *mat.Dense) {
	rows, cols := m.Dims()
	if rows <= cols {
		q = mat.NewDense(rows, rows, nil)
		for i := range rows {
			q.Set(i, i, 1)
		}
		return q, m
	}
	q, r = basis(m), new(mat.Dense)
	r.Mul(q.T(), m)
	return q, r
}

func denseOf(values []float32, rows, cols int) *mat.Dense {
	d := mat.NewDense(rows, cols, nil)
	for i, v := range values {
		d.RawMatrix().Data[i] = float64(v)
	}
	return d
}
