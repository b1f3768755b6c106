package model

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"gotune/internal/hf"
	"gotune/internal/kernel"
)

// Base says how frozen weights are stored; see [ParseBase].
type Base string

// The ways to store the matrices of a frozen model. Norms and biases are float32
// in any.
const (
	// BaseAuto keeps a matrix as the file does: bf16 as bf16, float32 as float32;
	// fp16 becomes float32. Every result has the bits of BaseFP32.
	BaseAuto Base = "auto"
	BaseFP32 Base = "fp32"
	// BaseBF16 rounds to bf16.
	BaseBF16 Base = "bf16"
	// BaseInt8 and BaseNF4 quantise the linear layers inside the blocks, see
	// [kernel.Quantise]. Embedding and head are kept as by BaseAuto, as QLoRA does.
	BaseInt8 Base = "int8"
	BaseNF4  Base = "nf4"
)

// Bases lists the ways to store a frozen model.
func Bases() []string {
	return []string{string(BaseAuto), string(BaseFP32), string(BaseBF16), string(BaseInt8), string(BaseNF4)}
}

// ParseBase reads auto, fp32, bf16, int8 or nf4.
func ParseBase(name string) (Base, error) {
	if !slices.Contains(Bases(), name) {
		return "", fmt.Errorf("base precision is %q, which is not supported (supported: %s)", name, strings.Join(Bases(), ", "))
	}
	return Base(name), nil
}

// LoadFrozen is Load of a model that is not trained itself: its matrices are
// stored as base says, one after the other as they are read.
func LoadFrozen(ctx context.Context, src fs.FS, name string, base Base) (*Model, error) {
	return load(ctx, src, name, func(m *Model, f *hf.File, e hf.Entry, name string) error {
		return m.freeze(f, e, name, base)
	})
}

// OutlineFrozen is [Outline] of what LoadFrozen would read from a folder, as far as the
// memory goes; without a folder the weights count as float32.
func OutlineFrozen(c Config, src fs.FS, name string, base Base) (*Model, error) {
	m, err := Outline(c)
	if err != nil {
		return nil, err
	}
	types := make(map[string]hf.DType)
	if src != nil {
		f, err := hf.OpenModel(src)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", name, err)
		}
		for _, e := range f.Entries() {
			types[m.nameOf(e)] = e.DType
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("model %s: %w", name, err)
		}
	}
	for name, t := range m.Weights {
		if len(t.Shape) == 2 {
			w := kernel.Blank(m.storage(name, types[name], base), t.Shape[0], t.Shape[1])
			m.Frozen[name] = &w
			delete(m.Weights, name)
		}
	}
	return m, nil
}

// freeze reads a weight as base says.
func (m *Model) freeze(f *hf.File, e hf.Entry, name string, base Base) error {
	if len(e.Shape) != 2 {
		t, err := f.ReadCopy(e)
		m.Weights[name] = t
		return err
	}
	var w kernel.Weights
	rows, cols := e.Shape[0], e.Shape[1]
	switch storage := m.storage(name, e.DType, base); {
	case storage == kernel.Float32:
		t, err := f.Read(e)
		if err != nil {
			return err
		}
		w = kernel.Dense(t.Data, rows, cols)
		m.inFile = m.inFile || f.InPlace(e)
	case storage == kernel.BFloat16 && e.DType == hf.BF16:
		data, inFile, err := f.ReadBF16(e)
		if err != nil {
			return err
		}
		w = kernel.Halves(data, rows, cols)
		m.inFile = m.inFile || inFile
	default:
		q := kernel.NewQuantiser(storage, rows, cols)
		if err := f.ReadPieces(e, q.Add); err != nil {
			return err
		}
		w = q.Weights()
	}
	m.Frozen[name] = &w
	return nil
}

// storage chooses how a matrix of a file is stored.
func (m *Model) storage(name string, d hf.DType, base Base) kernel.Storage {
	_, linear := m.linear[strings.TrimSuffix(name, ".weight")]
	switch {
	case base == BaseBF16:
		return kernel.BFloat16
	case base == BaseInt8 && linear:
		return kernel.Int8
	case base == BaseNF4 && linear:
		return kernel.NF4
	case base != BaseFP32 && d == hf.BF16:
		return kernel.BFloat16
	}
	return kernel.Float32
}

// NewFrozen is New of a model that is not trained itself: its matrices are stored as
// base says while they are made; auto is float32.
func NewFrozen(c Config, seed uint64, base Base) (*Model, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("making a model: %w", err)
	}
	m := empty(c)
	piece := make([]float32, 1<<16)
	for _, w := range m.arch.weights(c) {
		if len(w.shape) != 2 {
			m.Weights[w.name] = w.random(c, seed)
			continue
		}
		var frozen kernel.Weights
		if storage := m.storage(w.name, hf.F32, base); storage == kernel.Float32 {
			frozen = kernel.Dense(w.random(c, seed).Data, w.shape[0], w.shape[1])
		} else {
			q, next := kernel.NewQuantiser(storage, w.shape[0], w.shape[1]), w.values(c, seed)
			for rest := hf.Size(w.shape); rest > 0; rest -= len(piece) {
				piece = piece[:min(cap(piece), rest)]
				next(piece)
				q.Add(piece)
			}
			frozen = q.Weights()
		}
		m.Frozen[w.name] = &frozen
	}
	return m, nil
}

// LayOutForGeneration lays the frozen matrices that products are made with out anew, one
// after the other, so that a [Generator] reads them faster: see [kernel.Weights.InPanels].
// They take as much memory as before, but those that lay in the model's file are
// copies from then on. No result changes. Gradients can still be computed, but slowly.
func (m *Model) LayOutForGeneration(team *Team) {
	for _, name := range slices.Sorted(maps.Keys(m.Frozen)) {
		if m.linear[strings.TrimSuffix(name, ".weight")] == outIn || name == m.arch.head(m.Config) {
			w := m.Frozen[name].InPanels(team)
			m.Frozen[name] = &w
		}
	}
}

// Thawed returns a model with the same numbers, all of which can be trained: frozen
// matrices are widened to float32. Weights that are float32 are shared with m.
func (m *Model) Thawed() *Model {
	thawed := *m
	thawed.Weights, thawed.Frozen = maps.Clone(m.Weights), make(map[string]*Matrix)
	for name, w := range m.Frozen {
		thawed.Weights[name] = Tensor{Shape: []int{w.Rows, w.Cols}, Data: w.Float32s()}
	}
	return &thawed
}

// Stored counts the weights that are held in one way.
type Stored struct {
	Storage string `json:"storage"` // fp32, bf16, int8 or nf4
	Count   int    `json:"count"`
}

// Stored tells how the weights are held, the largest share first.
func (m *Model) Stored() []Stored {
	counts := make(map[string]int)
	for _, t := range m.Weights {
		counts[kernel.Float32.String()] += len(t.Data)
	}
	for _, w := range m.Frozen {
		counts[w.Storage().String()] += w.Len()
	}
	var all []Stored
	for storage, n := range counts {
		all = append(all, Stored{storage, n})
	}
	slices.SortFunc(all, func(a, b Stored) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Storage, b.Storage))
	})
	return all
}

// ReadBytes returns how many bytes of weights a forward pass reads, whatever the number
// of its tokens: all but tables that are only looked up.
func (m *Model) ReadBytes() int64 {
	var n int64
	multiplied := func(name string) bool {
		_, linear := m.linear[strings.TrimSuffix(name, ".weight")]
		return linear || name == m.arch.head(m.Config)
	}
	for name, t := range m.Weights {
		if len(t.Shape) < 2 || multiplied(name) {
			n += 4 * int64(len(t.Data))
		}
	}
	for name, w := range m.Frozen {
		if multiplied(name) {
			n += w.Bytes()
		}
	}
	return n
}
