package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gotune/internal/disk"
	"gotune/internal/hf"
)

// generationFile is that file's name.
const generationFile = "generation_config.json"

// Load reads config.json and the weights of a model folder, from model.safetensors
// or the files that model.safetensors.index.json names, all as float32. The name is
// for messages. Missing, unexpected and misshapen tensors are listed. Weights stored
// in float32 stay in the file, which is mapped into memory; see [hf.MapFS] for what
// becomes of them if it is written to meanwhile. Training them does not change it.
func Load(ctx context.Context, src fs.FS, name string) (*Model, error) {
	return load(ctx, src, name, (*Model).keep)
}

// A keeper reads a tensor of a file and puts it into a model under a name.
type keeper func(m *Model, f *hf.File, e hf.Entry, name string) error

// keep reads a weight that can be trained.
func (m *Model) keep(f *hf.File, e hf.Entry, name string) error {
	t, err := f.Read(e)
	m.Weights[name] = t
	m.inFile = m.inFile || f.InPlace(e)
	return err
}

func load(ctx context.Context, src fs.FS, name string, keep keeper) (*Model, error) {
	c, err := LoadConfig(src, name)
	if err != nil {
		return nil, err
	}
	m := empty(c)
	if m.generation, err = fs.ReadFile(src, generationFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model %s: reading %s: %w", name, generationFile, err)
	}
	if err := m.read(ctx, src, keep); err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}

func (m *Model) read(ctx context.Context, src fs.FS, keep keeper) error {
	f, err := hf.OpenModel(src)
	if err != nil {
		return err
	}
	if err := m.readFrom(ctx, f, keep); err != nil || !m.inFile {
		return errors.Join(err, f.Close())
	}
	m.file = f
	return nil
}

// Unchanged returns an error if the file that weights lie in was written to since
// the model was loaded.
func (m *Model) Unchanged() error {
	if m.file == nil {
		return nil
	}
	return m.file.Unchanged()
}

// Close gives the memory of weights that lie in a file back. The model must not be
// used afterwards, nor what was made from it. A program that has one model to its
// end need not close it.
func (m *Model) Close() error {
	if m.file == nil {
		return nil
	}
	f := m.file
	m.file, m.Weights, m.Frozen = nil, nil, nil
	return f.Close()
}

func (m *Model) readFrom(ctx context.Context, f *hf.File, keep keeper) error {
	want := make(map[string][]int)
	for _, w := range m.arch.weights(m.Config) {
		want[w.name] = w.shape
	}
	var unexpected []string
	for _, e := range f.Entries() {
		name := m.nameOf(e)
		shape, ok := want[name]
		switch {
		case !ok && m.ignored(name):
			if err := m.checkCopy(f, e, name); err != nil {
				return err
			}
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
		if err := keep(m, f, e, name); err != nil {
			return err
		}
		delete(want, name)
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

// nameOf returns the name of a tensor of a file, "" for one that is no weight.
func (m *Model) nameOf(e hf.Entry) string {
	if m.arch.rename != nil {
		return m.arch.rename(e.Name)
	}
	return e.Name
}

// ignored reports tensors that older files hold beside the weights: a copy of a
// tied head, tables of the rotary embedding, and masks.
func (m *Model) ignored(name string) bool {
	return name == "" || m.tiedHead(name) || strings.HasSuffix(name, ".rotary_emb.inv_freq")
}

func (m *Model) tiedHead(name string) bool {
	return m.Config.TieWordEmbeddings && (name == "lm_head.weight" || name == "embed_out.weight")
}

// checkCopy makes sure that the head of a tied model, where a file holds it, is a copy of
// the embedding. transformers takes another one for a head that is not tied, whatever
// config.json says.
func (m *Model) checkCopy(f *hf.File, head hf.Entry, name string) error {
	all := f.Entries()
	i := slices.IndexFunc(all, func(e hf.Entry) bool { return m.nameOf(e) == m.arch.embedding })
	if !m.tiedHead(name) || i < 0 {
		return nil
	}
	a, err := f.Bytes(head)
	if err != nil {
		return err
	}
	b, err := f.Bytes(all[i])
	if err != nil {
		return err
	}
	if head.DType != all[i].DType || !slices.Equal(head.Shape, all[i].Shape) || !bytes.Equal(a, b) {
		return fmt.Errorf("tensor %s differs from %s, but config.json says that they are one: set \"tie_word_embeddings\" to false", head.Name, all[i].Name)
	}
	return nil
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
// need be, and generation_config.json where the model was loaded with one. Weights are
// stored as d; config.json says so. Frozen ones are widened.
func (m *Model) Save(dir string, d DType) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	c := m.Config
	c.TorchDType = d.Torch()
	raw, err := c.JSON()
	if err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	if err := hf.WriteFile(filepath.Join(dir, "model.safetensors"), m.Thawed().Weights, d); err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	files := map[string][]byte{"config.json": raw}
	if m.generation != nil {
		files[generationFile] = m.generation
	}
	for name, text := range files {
		if err := disk.WriteBytes(filepath.Join(dir, name), text); err != nil {
			return fmt.Errorf("saving the model: %w", err)
		}
	}
	return nil
}
