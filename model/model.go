// Package model holds the language models: their configuration, their weights in
// Hugging Face's folder layout, the graph of each architecture, and generation.
//
// An architecture is one file with a function that builds the graph from named
// weights; the registry below is the only place that lists them. The same graph
// serves training, evaluation and generation with a cache.
package model

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/internal/rng"
)

// An architecture lists a family's weights and builds its graph.
type architecture struct {
	// weights lists every weight with its shape, in the family's own order.
	weights func(c Config) []weight
	// hidden builds everything up to the input of the head: [N, C].
	hidden func(b *Builder, c Config) *gorgonia.Node
	// head names the weight of the head, [V, C].
	head func(c Config) string
	// embedding names the table of token embeddings, [V, C].
	embedding string
}

var architectures = map[string]architecture{
	"llama": {weights: llamaWeights, hidden: llamaHidden, head: llamaHead, embedding: llamaEmbedding},
}

// A weight is what an architecture expects under a name.
type weight struct {
	name  string
	shape []int
	init  initKind
}

type initKind int

const (
	initNormal initKind = iota // normal(0, initializer_range)
	initOne
	initZero
)

// A Model is a configuration and its weights in float32.
type Model struct {
	Config  Config
	Weights map[string]hf.Tensor
	arch    architecture
}

// New returns a model with random weights: matrices normal with the deviation
// initializer_range, norms 1 and biases 0, as transformers initialises. Each
// weight draws from a stream of its own name.
func New(c Config, seed uint64) (*Model, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("making a model: %w", err)
	}
	m := &Model{Config: c, Weights: make(map[string]hf.Tensor), arch: architectures[c.ModelType]}
	for _, w := range m.arch.weights(c) {
		t := hf.Tensor{Shape: w.shape, Data: make([]float32, hf.Size(w.shape))}
		switch w.init {
		case initNormal:
			r := rng.New(seed, "init", w.name)
			for i := range t.Data {
				t.Data[i] = float32(r.Normal() * c.InitializerRange)
			}
		case initOne:
			for i := range t.Data {
				t.Data[i] = 1
			}
		}
		m.Weights[w.name] = t
	}
	return m, nil
}

// Load reads config.json and model.safetensors of a model folder. The name is
// for messages. Missing, unexpected and misshapen tensors are listed.
func Load(ctx context.Context, src fs.FS, name string) (*Model, error) {
	c, err := LoadConfig(src, name)
	if err != nil {
		return nil, err
	}
	m := &Model{Config: c, Weights: make(map[string]hf.Tensor), arch: architectures[c.ModelType]}
	if err := m.read(ctx, src, name); err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}

func (m *Model) read(ctx context.Context, src fs.FS, name string) error {
	const file = "model.safetensors"
	if _, err := fs.Stat(src, file); err != nil {
		if _, sharded := fs.Stat(src, file+".index.json"); sharded == nil {
			return fmt.Errorf("the weights are split into several files (%s.index.json), which is not supported; save them as one %s", file, file)
		}
		return fmt.Errorf("the folder has no %s: %w", file, err)
	}
	f, closeFile, err := hf.OpenFS(src, file, file)
	if err != nil {
		return err
	}
	err = m.readFrom(ctx, f)
	return errors.Join(err, closeFile())
}

func (m *Model) readFrom(ctx context.Context, f *hf.File) error {
	want := make(map[string][]int)
	for _, w := range m.arch.weights(m.Config) {
		want[w.name] = w.shape
	}
	var unexpected []string
	for _, e := range f.Entries() {
		shape, ok := want[e.Name]
		switch {
		case !ok && m.ignored(e.Name):
			continue
		case !ok:
			unexpected = append(unexpected, e.Name)
			continue
		case !slices.Equal(shape, e.Shape):
			return fmt.Errorf("tensor %s has shape %v, config.json asks for %v", e.Name, e.Shape, shape)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := f.Read(e)
		if err != nil {
			return err
		}
		m.Weights[e.Name] = t
		delete(want, e.Name)
	}
	var faults []string
	if missing := slices.Sorted(maps.Keys(want)); len(missing) > 0 {
		faults = append(faults, fmt.Sprintf("missing tensors: %s", abridge(missing)))
	}
	if len(unexpected) > 0 {
		faults = append(faults, fmt.Sprintf("unexpected tensors: %s", abridge(unexpected)))
	}
	if faults != nil {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}

// ignored reports tensors that older files hold beside the weights: a copy of a
// tied head, and tables of the rotary embedding.
func (m *Model) ignored(name string) bool {
	return m.Config.TieWordEmbeddings && name == "lm_head.weight" || strings.HasSuffix(name, ".rotary_emb.inv_freq")
}

// abridge joins the first few names of a list.
func abridge(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Save writes config.json and model.safetensors to a folder, which is made if
// need be. Weights are stored as d; config.json says so.
func (m *Model) Save(dir string, d hf.DType) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	c := m.Config
	c.TorchDType = d.Torch()
	raw, err := c.JSON()
	if err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	if err := hf.WriteFile(filepath.Join(dir, "model.safetensors"), m.Weights, d); err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	if err := disk.WriteBytes(filepath.Join(dir, "config.json"), raw); err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	return nil
}

// Count returns the number of parameters; a tied head counts once.
func (m *Model) Count() int {
	n := 0
	for _, t := range m.Weights {
		n += len(t.Data)
	}
	return n
}

// TokenRows returns the tables that have a row for each token: the embedding and,
// where it is not tied, the head.
func (m *Model) TokenRows() []hf.Tensor {
	tables := []hf.Tensor{m.Weights[m.arch.embedding]}
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
		if module, ok := strings.CutSuffix(w.name, "_proj.weight"); ok {
			names = append(names, module+"_proj")
		}
	}
	return names
}

// A Parameter is a tensor that training changes. Grad has the size of Value.
type Parameter struct {
	Name  string
	Shape []int
	Value []float32
	Grad  []float32
}

// Parameters lists all weights as parameters for full tuning, in order of name,
// with new gradients. A tied embedding is one parameter.
func (m *Model) Parameters() []Parameter {
	var ps []Parameter
	for _, name := range slices.Sorted(maps.Keys(m.Weights)) {
		t := m.Weights[name]
		ps = append(ps, Parameter{Name: name, Shape: t.Shape, Value: t.Data, Grad: make([]float32, len(t.Data))})
	}
	return ps
}
