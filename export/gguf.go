package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gotune/internal/disk"
	"gotune/internal/gguf"
	"gotune/model"
	"gotune/tokenizer"
)

// A File is a model as GGUF. Its weights are made from the model's as they are written,
// one after the other.
type File struct {
	// Notes are what llama.cpp computes otherwise than the model, in words.
	Notes []string

	keys    keys
	meta    gguf.Metadata
	tensors []gguf.Tensor
	origin  map[string]origin // of weights, by their names in GGUF
}

// An origin is the weight of the model that a tensor was made from.
type origin struct {
	name   string
	shape  []int
	layout layout
	shift  float32
}

// CheckType refuses a dtype that [NewGGUF] does not take.
func CheckType(dtype string) error {
	_, err := parseType(dtype)
	return err
}

// parseType reads the name of a type.
func parseType(name string) (gguf.Type, error) {
	names := map[string]gguf.Type{"float32": gguf.F32, "float16": gguf.F16, "bfloat16": gguf.BF16, "q8_0": gguf.Q8_0}
	if t, ok := names[name]; ok {
		return t, nil
	}
	return 0, fmt.Errorf("dtype is %q; a GGUF file takes float32, float16, bfloat16 or q8_0", name)
}

// NewGGUF lays a model out as GGUF. Matrices are stored as dtype says (float32, float16,
// bfloat16 or q8_0; a matrix whose rows are no multiple of 32 as float16 in place of
// q8_0), norms, biases and tables of positions as float32, as llama.cpp's own converter
// does. The name is what general.name says; the template, where it is not empty, takes
// the place of the tokenizer's.
func NewGGUF(m *model.Model, t *tokenizer.Tokenizer, name, template, dtype string) (*File, error) {
	f, err := newGGUF(m, t, name, template, dtype)
	if err != nil {
		return nil, fmt.Errorf("GGUF: %w", err)
	}
	return f, nil
}

func newGGUF(m *model.Model, t *tokenizer.Tokenizer, name, template, dtype string) (*File, error) {
	kind, err := parseType(dtype)
	if err != nil {
		return nil, err
	}
	raw, err := m.Config.JSON()
	if err != nil {
		return nil, err
	}
	k, err := parseKeys(raw)
	if err != nil {
		return nil, err
	}
	words, err := newVocabulary(t, k.whole("vocab_size"))
	if err != nil {
		return nil, err
	}
	if template != "" {
		words.template = template
	}
	if err := words.checkName(name); err != nil {
		return nil, err
	}
	f, err := lay(k, weightsOf(m), kind, name)
	if err != nil {
		return nil, err
	}
	f.meta = append(f.meta, words.metadata()...)
	f.Notes = append(f.Notes, words.notes...)
	return f, nil
}

// A weight is a tensor of the model by its own name.
type weight struct {
	name   string
	shape  []int
	values func() []float32
}

func weightsOf(m *model.Model) []weight {
	var all []weight
	for name, t := range m.Weights {
		all = append(all, weight{name, t.Shape, func() []float32 { return t.Data }})
	}
	for name, w := range m.Frozen {
		all = append(all, weight{name, []int{w.Rows, w.Cols}, w.Float32s})
	}
	return all
}

// lay describes a model and places its weights.
func lay(k keys, weights []weight, kind gguf.Type, name string) (*File, error) {
	family, err := findFamily(k.text("model_type"))
	if err != nil {
		return nil, err
	}
	d := &description{arch: family.arch, keys: k}
	d.meta = gguf.Metadata{
		{Key: "general.architecture", Value: gguf.Text(family.arch)}, {Key: "general.type", Value: gguf.Text("model")},
		{Key: "general.name", Value: gguf.Text(name)}, {Key: "general.file_type", Value: gguf.Uint(kind.FileType())},
		{Key: "general.quantization_version", Value: gguf.Uint(2)},
	}
	d.common()
	if err := d.possible(); err != nil {
		return nil, err
	}
	if err := family.describe(d); err != nil {
		return nil, err
	}
	f := &File{Notes: d.notes, keys: k, meta: d.meta, tensors: d.extra, origin: make(map[string]origin)}
	for _, w := range weights {
		if err := f.add(family, w, kind); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(f.tensors, func(a, b gguf.Tensor) int {
		return cmp.Or(cmp.Compare(blockOf(a.Name), blockOf(b.Name)), strings.Compare(a.Name, b.Name))
	})
	return f, nil
}

// blockOf returns the number of the block that a tensor is in, −1 for one outside.
func blockOf(name string) int {
	if parts := strings.Split(name, "."); parts[0] == "blk" {
		if n, err := strconv.Atoi(parts[1]); err == nil {
			return n
		}
	}
	return -1
}

func (f *File) add(family family, w weight, kind gguf.Type) error {
	name, l, err := family.place(w.name)
	if err != nil {
		return err
	}
	o := origin{w.name, w.shape, l, 0}
	if strings.HasSuffix(name, "norm.weight") {
		o.shift = family.shift
	}
	info := gguf.Info{Name: name, Shape: l.shape(w.shape), Type: storage(name, l.shape(w.shape), kind)}
	f.origin[name] = o
	f.tensors = append(f.tensors, gguf.Tensor{Info: info, Values: func() ([]float32, error) {
		values := l.apply(f.keys, w.values(), w.shape)
		if o.shift != 0 {
			values = shifted(values, o.shift)
		}
		return values, nil
	}})
	return nil
}

func shifted(values []float32, by float32) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = v + by
	}
	return out
}

var norm = regexp.MustCompile(`_norm\.weight$`)

// storage chooses the type of a tensor.
func storage(name string, shape []int, kind gguf.Type) gguf.Type {
	switch {
	case len(shape) < 2, norm.MatchString(name), name == "position_embd.weight":
		return gguf.F32
	case !kind.Fits(shape[len(shape)-1]):
		return gguf.F16
	}
	return kind
}

// Write writes the file to w.
func (f *File) Write(w io.Writer) error { return gguf.Write(w, f.meta, f.tensors) }

// read returns the model that a file of the disk holds, after a look at every bit of it.
// The configuration is that of the model that the file was made from.
func (f *File) read(path string, c model.Config) (*model.Model, error) {
	in, err := gguf.OpenFile(path)
	if err != nil {
		return nil, err
	}
	m, err := f.assemble(in, c)
	return m, errors.Join(err, in.Close())
}

func (f *File) assemble(in *gguf.File, c model.Config) (*model.Model, error) {
	if err := in.Check(f.meta, f.tensors); err != nil {
		return nil, err
	}
	weights := make(map[string]model.Tensor)
	for _, t := range in.Tensors {
		o, ok := f.origin[t.Name]
		if !ok {
			continue // factors of the rotary embedding, which the configuration says too
		}
		values, err := in.Read(t)
		if err != nil {
			return nil, err
		}
		if values = o.layout.undo(f.keys, values, o.shape); o.shift != 0 {
			values = shifted(values, -o.shift)
		}
		weights[o.name] = model.Tensor{Shape: o.shape, Data: values}
	}
	return model.Assemble(c, weights)
}

// Save writes the file to path, aside at first: it is read back, its logits are compared
// with those of the view, and only if they agree within what the dtype allows does it get
// its name. Otherwise nothing is left of it.
func (f *File) Save(ctx context.Context, path string, v *View, c model.Config) (Proof, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), disk.Unfinished+filepath.Base(path)+"-")
	if err != nil {
		return Proof{}, fmt.Errorf("writing %s: %w", path, err)
	}
	proof, err := f.save(ctx, filepath.Join(dir, filepath.Base(path)), path, v, c)
	return proof, errors.Join(err, os.RemoveAll(dir))
}

func (f *File) save(ctx context.Context, aside, path string, v *View, c model.Config) (Proof, error) {
	if err := disk.WriteFile(aside, f.Write); err != nil {
		return Proof{}, err
	}
	m, err := f.read(aside, c)
	if err != nil {
		return Proof{}, err
	}
	proof, err := v.Compare(ctx, m, nil, f.precision())
	if err != nil {
		return proof, fmt.Errorf("%s, read back: %w", path, err)
	}
	if err := os.Rename(aside, path); err != nil {
		return proof, err
	}
	return proof, disk.SyncDir(filepath.Dir(path))
}

// precision returns that of the coarsest matrix.
func (f *File) precision() Precision {
	coarsest := Precision(0)
	for _, t := range f.tensors {
		coarsest = max(coarsest, precisions[t.Type])
	}
	return coarsest
}

// Tensors lists the names of the tensors in order.
func (f *File) Tensors() []string {
	var names []string
	for _, t := range f.tensors {
		names = append(names, t.Name)
	}
	return names
}

// Families lists the model types that can be exported as GGUF.
func Families() []string { return slices.Sorted(maps.Keys(families)) }
