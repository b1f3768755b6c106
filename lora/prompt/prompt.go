// Package prompt adapts a model by virtual tokens before each text, and leaves its
// weights as they are. In prompt tuning (Lester et al. 2021, arXiv:2104.08691) the
// embeddings of V virtual tokens are learned, [V, C]. In prefix tuning (Li and Liang 2021,
// arXiv:2101.00190) it is their keys and values in each layer, which no layer before
// computes: [V, 2·L·KVHeads·HeadDim], where columns 2l and 2l+1 of that width are the keys
// and the values of layer l; or a projection that makes them: a matrix of V rows and two
// linear layers with a hyperbolic tangent between. Files are those of PEFT.
//
// A text stands at positions V, V+1, … as it does in PEFT. Whoever lays texts out puts V
// placeholders before each, whose ids do not matter; [gotune/data] and
// [gotune/model.Generator] do it when told how many there are. So each text of a packed row
// has its own, and attention knows nothing of them.
//
// The package lies in the folder of lora because it is the same concept: what is trained
// beside frozen weights, and stored in PEFT's two files. It has what [lora.Adapter] has, but
// that it cannot be merged.
//
// Differs from PEFT in that the first token of a text is never learned, from the last
// virtual token neither, so that losses can be compared with those of other adapters; and in
// that NEFTune's noise counts the virtual tokens among those of a row.
package prompt

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"gotune/internal/hf"
	"gotune/internal/op"
	"gotune/internal/rng"
	"gotune/model"
)

// The kinds of virtual tokens, as peft_type has them.
const (
	PromptTuning = "PROMPT_TUNING"
	PrefixTuning = "PREFIX_TUNING"
)

// Inits are the ways in which prompt tuning begins, as prompt_tuning_init has them: from the
// normal distribution, from the embeddings of tokens drawn from the vocabulary, and from
// those of a text.
func Inits() []string { return []string{Random, SampleVocab, Text} }

// The names of Inits.
const (
	Random      = "RANDOM"
	SampleVocab = "SAMPLE_VOCAB"
	Text        = "TEXT"
)

// Config says what is learned.
type Config struct {
	Type          string // PromptTuning or PrefixTuning
	VirtualTokens int

	Init     string  // of prompt tuning, one of Inits
	InitText string  // of the init Text, for the record
	InitIDs  []int32 // its tokens, which are repeated or cut to the number of virtual tokens

	Projection        bool // of prefix tuning
	EncoderHiddenSize int  // width of the projection's hidden layer; 0 is that of keys
}

// Validate checks what can be checked without a model.
func (c Config) Validate() error {
	switch {
	case c.Type != PromptTuning && c.Type != PrefixTuning:
		return fmt.Errorf("peft_type is %q; virtual tokens are %s or %s", c.Type, PromptTuning, PrefixTuning)
	case c.VirtualTokens < 1:
		return fmt.Errorf("num_virtual_tokens is %d; there must be at least one", c.VirtualTokens)
	case c.Type == PromptTuning && (c.Projection || c.EncoderHiddenSize != 0):
		return fmt.Errorf("prefix_projection and encoder_hidden_size belong to %s", PrefixTuning)
	case c.Type == PrefixTuning && (c.Init != "" && c.Init != Random):
		return fmt.Errorf("prompt_tuning_init %s belongs to %s", c.Init, PromptTuning)
	case c.Init != "" && !slices.Contains(Inits(), c.Init):
		return fmt.Errorf("prompt_tuning_init is %q, which is not supported (supported: %s)", c.Init, strings.Join(Inits(), ", "))
	case c.Init == Text && c.InitText == "":
		return fmt.Errorf("prompt_tuning_init is %s, but prompt_tuning_init_text is empty", Text)
	case c.EncoderHiddenSize < 0:
		return fmt.Errorf("encoder_hidden_size is %d; it must not be negative", c.EncoderHiddenSize)
	}
	return nil
}

// An Adapter is the virtual tokens of a model.
type Adapter struct {
	Config  Config
	shape   shape
	table   model.Parameter // or what the projection makes the table of
	project []model.Parameter
}

// shape is what of a model the virtual tokens depend on, and its heads of queries for the
// record.
type shape struct{ hidden, layers, queries, heads, kv int }

func shapeOf(m *model.Model) shape {
	c := m.Config
	return shape{hidden: c.HiddenSize, layers: c.Layers, queries: c.Heads, heads: c.KVHeads, kv: c.KVHeads * c.HeadDim}
}

// width is the number of columns of the table of keys and values, or of embeddings.
func (s shape) width(kind string) int {
	if kind == PromptTuning {
		return s.hidden
	}
	return 2 * s.layers * s.kv
}

// The names of what is trained, which are PEFT's without the name of the adapter.
const (
	tableName = "prompt_encoder.embedding.weight"
	innerName = "prompt_encoder.transform.0"
	outerName = "prompt_encoder.transform.2"
)

// New makes the virtual tokens of a model. Tables are drawn from the normal distribution,
// linear layers uniform in ±1/√in, as PEFT does; each from a stream of its own name.
func New(c Config, m *model.Model, seed uint64) (*Adapter, error) {
	ad, err := empty(c, m, true)
	if err != nil {
		return nil, err
	}
	r := rng.New(seed, "prompt init", ad.table.Name)
	for i := range ad.table.Value {
		ad.table.Value[i] = float32(r.Normal())
	}
	if c.Type == PromptTuning {
		return ad, ad.embed(m, r)
	}
	for i, p := range ad.project {
		in := ad.project[i&^1].Shape[1] // a bias follows its weight
		r, bound := rng.New(seed, "prompt init", p.Name), 1/math.Sqrt(float64(in))
		for k := range p.Value {
			p.Value[k] = float32((2*r.Float64() - 1) * bound)
		}
	}
	return ad, nil
}

// Outline is New without values, for what can be checked before the weights are read. The
// model may be an outline itself.
func Outline(c Config, m *model.Model) (*Adapter, error) { return empty(c, m, false) }

// embed begins prompt tuning from the embeddings of tokens, which the model must have.
func (ad *Adapter) embed(m *model.Model, r *rng.Stream) error {
	var ids []int32
	switch c := ad.Config; {
	case c.Init == SampleVocab:
		for range c.VirtualTokens {
			ids = append(ids, int32(r.IntN(m.Config.VocabSize)))
		}
	case c.Init == Text && len(c.InitIDs) == 0:
		return fmt.Errorf("prompt_tuning_init_text %q has no token", c.InitText)
	case c.Init == Text:
		for i := range c.VirtualTokens {
			ids = append(ids, c.InitIDs[i%len(c.InitIDs)])
		}
	default:
		return nil
	}
	rows, err := m.EmbeddingRows(ids)
	if err != nil {
		return fmt.Errorf("prompt_tuning_init: %w", err)
	}
	copy(ad.table.Value, rows)
	return nil
}

// empty makes an adapter with all values 0. Without values there is no memory for them.
func empty(c Config, m *model.Model, values bool) (*Adapter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := shapeOf(m)
	if c.VirtualTokens >= m.Config.MaxPositions {
		return nil, fmt.Errorf("num_virtual_tokens is %d, but the model has only %d positions", c.VirtualTokens, m.Config.MaxPositions)
	}
	if c.Type == PromptTuning && c.Init == "" {
		c.Init = Random
	}
	if c.Type == PrefixTuning && c.EncoderHiddenSize == 0 {
		c.EncoderHiddenSize = s.kv
	}
	ad := &Adapter{Config: c, shape: s}
	if !c.Projection {
		ad.table = parameter(values, tableName, c.VirtualTokens, s.width(c.Type))
		return ad, nil
	}
	ad.table = parameter(values, tableName, c.VirtualTokens, s.kv)
	ad.project = []model.Parameter{
		parameter(values, innerName+".weight", c.EncoderHiddenSize, s.kv), parameter(values, innerName+".bias", c.EncoderHiddenSize),
		parameter(values, outerName+".weight", s.width(c.Type), c.EncoderHiddenSize), parameter(values, outerName+".bias", s.width(c.Type)),
	}
	return ad, nil
}

func parameter(values bool, name string, shape ...int) model.Parameter {
	p := model.Parameter{Name: name, Shape: shape}
	if values {
		n := hf.Size(shape)
		p.Value, p.Grad = make([]float32, n), make([]float32, n)
	}
	return p
}

// Parameters lists what is trained in order of name.
func (ad *Adapter) Parameters() []model.Parameter {
	ps := append([]model.Parameter{ad.table}, ad.project...)
	slices.SortFunc(ps, func(p, q model.Parameter) int { return strings.Compare(p.Name, q.Name) })
	return ps
}

// Count returns the number of trained values.
func (ad *Adapter) Count() int {
	n := 0
	for _, p := range ad.Parameters() {
		n += len(p.Value)
	}
	return n
}

// Virtual returns the number of virtual tokens before each text.
func (ad *Adapter) Virtual() int { return ad.Config.VirtualTokens }

// Method says in a line what is learned.
func (c Config) Method() string {
	name := "prompt tuning"
	if c.Type == PrefixTuning {
		name = "prefix tuning"
	}
	if c.Projection {
		name += " by a projection"
	}
	if c.Projection && c.EncoderHiddenSize > 0 {
		name += fmt.Sprintf(" of %d", c.EncoderHiddenSize)
	}
	return fmt.Sprintf("%s: %d virtual tokens", name, c.VirtualTokens)
}

// Describe says in a line what is trained, which is always all of it.
func (ad *Adapter) Describe([]model.Parameter) string { return ad.Config.Method() }

// Whole returns nil: virtual tokens train no weights of the model.
func (ad *Adapter) Whole() []string { return nil }

// Release does nothing: virtual tokens change nothing of the model.
func (ad *Adapter) Release() {}

// Project is the hook that puts the virtual tokens into a model's graph.
func (ad *Adapter) Project(b *model.Builder, place string, x *gorgonia.Node) *gorgonia.Node {
	if ad.Config.Type == PromptTuning {
		if place == model.Embedded {
			return b.Prompt(x, b.Leaf(ad.table.Name, ad.table.Shape, ad.table.Value))
		}
		return nil
	}
	if place == model.Embedded {
		ad.tableOf(b) // outside of all blocks, so that it is computed once
		return nil
	}
	for layer := range ad.shape.layers {
		from := 2 * layer * ad.shape.kv
		switch place {
		case model.ValuesOf(layer):
			from += ad.shape.kv
		case model.KeysOf(layer):
		default:
			continue
		}
		return b.Prompt(x, b.Columns(ad.tableOf(b), from, from+ad.shape.kv))
	}
	return nil
}

// tableOf is the table of keys and values in a graph.
func (ad *Adapter) tableOf(b *model.Builder) *gorgonia.Node {
	leaf := func(p model.Parameter) *gorgonia.Node { return b.Leaf(p.Name, p.Shape, p.Value) }
	if !ad.Config.Projection {
		return leaf(ad.table)
	}
	return b.Once("prompt_embeddings", func() (*gorgonia.Node, error) {
		hidden, err := op.Linear(leaf(ad.table), op.Leaf(leaf(ad.project[0])), leaf(ad.project[1]))
		if err != nil {
			return nil, err
		}
		if hidden, err = op.Tanh(hidden); err != nil {
			return nil, err
		}
		return op.Linear(hidden, op.Leaf(leaf(ad.project[2])), leaf(ad.project[3]))
	})
}

// Merge returns an error: virtual tokens are no update of weights.
func (ad *Adapter) Merge(*model.Model) (*model.Model, error) {
	return nil, fmt.Errorf("merging: an adapter of virtual tokens (%s) is no update of weights, and cannot be written into them", ad.Config.Type)
}
