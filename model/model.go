// Package model holds the language models: their configuration, their weights in
// Hugging Face's folder layout, the graph of each architecture, and generation.
//
// [Load] reads a model, [New] makes one with random weights. A [Generator] continues
// texts; a [Program] computes losses and, of what is trained, gradients, on the
// threads of a [Team] and in the memory of an [Arena].
//
// An architecture is one file with a function that builds the graph from named
// weights; one registry lists them. The same graph serves training, evaluation and
// generation with a cache.
package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"gotune/internal/hf"
	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/pages"
	"gotune/internal/rng"
)

// An architecture reads a family's config.json, lists its weights and builds its
// graph.
type architecture struct {
	// parse reads a config.json and refuses keys that it does not understand.
	parse func(raw []byte, keys map[string]json.RawMessage) (Config, error)
	// file returns what is written as config.json.
	file     func(c Config) (any, error)
	validate func(c Config) error
	// weights lists every weight with its shape, in the family's own order.
	weights func(c Config) []weight
	// rename returns the name of a tensor that other files hold under an older
	// one, or "" for one that is no weight. It may be nil.
	rename func(name string) string
	// hidden builds everything up to the input of the head: [N, C].
	hidden func(b *Builder, c Config) *gorgonia.Node
	// head names the weight of the head, [V, C].
	head func(c Config) string
	// embedding names the table of token embeddings, [V, C].
	embedding string
	// embeddingScale is what the table of embeddings is multiplied by where it is looked
	// up; nil is 1.
	embeddingScale func(c Config) float64
}

var architectures = map[string]architecture{
	"gemma":       gemmaFamily,
	"gemma2":      gemma2Family,
	"gemma3_text": gemma3Family,
	"glm":         glmFamily,
	"glm4":        glm4Family,
	"gpt2":        gpt2Family,
	"gpt_neox":    gptNeoXFamily,
	"granite":     graniteFamily,
	"llama":       llamaFamily,
	"mistral":     mistralFamily,
	"olmo2":       olmo2Family,
	"phi3":        phi3Family,
	"qwen2":       qwen2Family,
	"qwen3":       qwen3Family,
}

// A weight is what an architecture expects under a name.
type weight struct {
	name   string
	shape  []int
	init   initKind
	layout layout // of a linear layer inside the blocks
}

type initKind int

const (
	initNormal   initKind = iota // normal(0, initializer_range)
	initResidual                 // the same divided by √(2·layers)
	initOne
	initZero
)

// layout says how the weight of a linear layer lies in memory.
type layout int

const (
	noLayer layout = iota
	outIn          // [out, in]
	inOut          // [in, out], as in transformers' Conv1D
)

// A Model is a configuration and its weights.
type Model struct {
	Config Config
	// Weights are float32 and can be trained.
	Weights map[string]Tensor
	// Frozen are matrices that cannot be trained, see [LoadFrozen]. A name is in one
	// of the two maps.
	Frozen map[string]*Matrix
	// Arithmetic is how products with the weights are made, in programs and generators
	// that are made from then on.
	Arithmetic Arithmetic

	arch   architecture
	linear map[string]layout // of the linear layers inside the blocks, by module
	ropes  *ropeTables
	file   *hf.File // that weights lie in, or nil
	inFile bool     // some weight does
	// generation is the text of generation_config.json, which is read by other programs
	// and written again as it is; nil if there is none.
	generation []byte
}

// empty returns a model without its weights.
func empty(c Config) *Model {
	m := &Model{Config: c, Weights: make(map[string]Tensor), Frozen: make(map[string]*Matrix), arch: architectures[c.ModelType], linear: make(map[string]layout)}
	m.ropes = &ropeTables{tables: make(map[string]*op.RoPETable)}
	for _, w := range m.arch.weights(c) {
		if w.layout != noLayer {
			m.linear[strings.TrimSuffix(w.name, ".weight")] = w.layout
		}
	}
	return m
}

// Outline returns a model with the names and shapes of its weights but no values,
// for what can be checked before they are read. Its graphs can be measured and not
// run.
func Outline(c Config) (*Model, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("outline of a model: %w", err)
	}
	m := empty(c)
	for _, w := range m.arch.weights(c) {
		m.Weights[w.name] = hf.Tensor{Shape: w.shape}
	}
	return m, nil
}

// New returns a model with random weights: matrices normal with the deviation
// initializer_range (in GPT-2 those that end in the residual stream with that over
// √(2·layers)), norms 1 and biases 0, as transformers initialises. Each
// weight draws from a stream of its own name.
func New(c Config, seed uint64) (*Model, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("making a model: %w", err)
	}
	m := empty(c)
	for _, w := range m.arch.weights(c) {
		m.Weights[w.name] = w.random(c, seed)
	}
	return m, nil
}

// random returns a new weight.
func (w weight) random(c Config, seed uint64) Tensor {
	t := Tensor{Shape: w.shape, Data: pages.Make[float32](hf.Size(w.shape))}
	w.values(c, seed)(t.Data)
	return t
}

// values returns a function that makes the values of a new weight, in order, so many
// at a time as it is given room for.
func (w weight) values(c Config, seed uint64) func(dst []float32) {
	constant := func(v float32) func([]float32) {
		return func(dst []float32) {
			for i := range dst {
				dst[i] = v
			}
		}
	}
	deviation := c.InitializerRange
	switch w.init {
	case initOne:
		return constant(1)
	case initZero:
		return constant(0)
	case initResidual:
		deviation /= math.Sqrt(float64(2 * c.Layers))
	}
	r := rng.New(seed, "init", w.name)
	return func(dst []float32) {
		for i := range dst {
			dst[i] = float32(r.Normal() * deviation)
		}
	}
}

// Count returns the number of parameters; a tied head counts once.
func (m *Model) Count() int {
	n := 0
	for _, t := range m.Weights {
		n += hf.Size(t.Shape)
	}
	for _, w := range m.Frozen {
		n += w.Len()
	}
	return n
}

// Bytes returns the memory of the weights.
func (m *Model) Bytes() int64 {
	n := int64(0)
	for _, t := range m.Weights {
		n += 4 * int64(hf.Size(t.Shape))
	}
	for _, w := range m.Frozen {
		n += w.Bytes()
	}
	return n
}

// CacheBytes returns the memory of keys and values of so many tokens while
// generating.
func (m *Model) CacheBytes(tokens int) int64 {
	return 2 * 4 * int64(m.Config.Layers) * int64(capacity(tokens, m.Config.MaxPositions)) * int64(m.Config.KVHeads*m.Config.HeadDim)
}

// TokenRows returns the tables that have a row for each token: the embedding and,
// where it is not tied, the head. They must not be frozen.
func (m *Model) TokenRows() []Tensor {
	tables := []Tensor{m.Weights[m.arch.embedding]}
	if head := m.arch.head(m.Config); head != m.arch.embedding {
		tables = append(tables, m.Weights[head])
	}
	return tables
}

// Projections lists the linear layers inside the blocks that an adapter can
// replace, by module name such as model.layers.0.self_attn.q_proj, in order.
func (m *Model) Projections() []string {
	var names []string
	for _, w := range m.arch.weights(m.Config) {
		if w.layout != noLayer {
			names = append(names, strings.TrimSuffix(w.name, ".weight"))
		}
	}
	return names
}

// A Projection describes a linear layer.
type Projection struct {
	In, Out int
	// Conv1D says that the weight is stored as [In, Out], as in GPT-2, and not as
	// [Out, In].
	Conv1D bool
}

// Projection describes one of the layers that Projections lists.
func (m *Model) Projection(module string) Projection {
	shape := m.Weights[module+".weight"].Shape
	if w := m.Frozen[module+".weight"]; w != nil {
		shape = []int{w.Rows, w.Cols}
	}
	if m.linear[module] == inOut {
		return Projection{In: shape[0], Out: shape[1], Conv1D: true}
	}
	return Projection{In: shape[1], Out: shape[0]}
}

// A Parameter is a tensor that training changes. Grad has the size of Value.
type Parameter struct {
	Name  string
	Shape []int
	Value []float32
	Grad  []float32
}

// Parameters lists all weights that are not frozen as parameters for full tuning, in order of name,
// with new gradients. A tied embedding is one parameter.
func (m *Model) Parameters() []Parameter {
	var ps []Parameter
	for _, name := range slices.Sorted(maps.Keys(m.Weights)) {
		t := m.Weights[name]
		ps = append(ps, Parameter{Name: name, Shape: t.Shape, Value: t.Data, Grad: pages.Make[float32](len(t.Data))})
	}
	return ps
}

// EmbeddingRows returns what the model looks up for ids, one row after the other, with the
// scale of families that have one. The weights must be in memory.
func (m *Model) EmbeddingRows(ids []int32) ([]float32, error) {
	name, c := m.arch.embedding, m.Config.HiddenSize
	rows := make([]float32, 0, len(ids)*c)
	for _, id := range ids {
		if id < 0 || int(id) >= m.Config.VocabSize {
			return nil, fmt.Errorf("token id %d is outside the model's vocabulary of %d", id, m.Config.VocabSize)
		}
		row := make([]float32, c)
		if w := m.Frozen[name]; w != nil {
			w.Widen(row, int(id)*c)
		} else {
			copy(row, m.Weights[name].Data[int(id)*c:])
		}
		if m.arch.embeddingScale != nil {
			kernel.Scale(nil, row, row, float32(m.arch.embeddingScale(m.Config)), false)
		}
		rows = append(rows, row...)
	}
	return rows, nil
}
