package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// WeightsFile holds the weights of a model folder, unless they are split into
// files that IndexFile names.
const (
	WeightsFile = "model.safetensors"
	IndexFile   = WeightsFile + ".index.json"
)

// ModelFiles says in words what a model folder holds.
const ModelFiles = "config.json, model.safetensors and tokenizer.json"

// maxIndex is the longest index that is read.
const maxIndex = 64 << 20

// WeightFiles lists the files that hold the weights of a model folder: one, or the
// index and the files that it names, in order. A name that is no plain one is an
// error: an index comes from elsewhere and must not lead out of its folder.
func WeightFiles(src fs.FS) ([]string, error) {
	_, missing := fs.Stat(src, WeightsFile)
	if missing == nil {
		return []string{WeightsFile}, nil
	}
	index, err := readIndex(src)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noWeights(src, missing)
	}
	if err != nil {
		return nil, err
	}
	return append([]string{IndexFile}, shards(index)...), nil
}

// noWeights is the error of a folder without weights, which may have them in another
// format.
func noWeights(src fs.FS, missing error) error {
	for _, pattern := range []string{"*.bin", "*.gguf", "*.pt", "*.pth", "*.ckpt"} {
		if other, err := fs.Glob(src, pattern); err == nil && len(other) > 0 {
			return fmt.Errorf("the folder has its weights in %s, and weights are read from %s alone: convert them, with transformers by AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER): %w", other[0], WeightsFile, missing)
		}
	}
	return fmt.Errorf("the folder has neither %s nor %s; a model folder holds %s: %w", WeightsFile, IndexFile, ModelFiles, missing)
}

// readIndex returns the file of each tensor.
func readIndex(src fs.FS) (map[string]string, error) {
	in, err := src.Open(IndexFile)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxIndex+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", IndexFile, err)
	}
	if len(raw) > maxIndex {
		return nil, fmt.Errorf("%s is longer than %d MiB", IndexFile, maxIndex>>20)
	}
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", IndexFile, err)
	}
	if len(index.Map) == 0 {
		return nil, fmt.Errorf("%s has no weight_map", IndexFile)
	}
	for tensor, file := range index.Map {
		if !fs.ValidPath(file) || strings.ContainsAny(file, `/\:`) || !strings.HasSuffix(file, ".safetensors") {
			return nil, fmt.Errorf("%s puts tensor %q into %q, which is not the name of a .safetensors file in the folder", IndexFile, tensor, file)
		}
	}
	return index.Map, nil
}

// shards lists the files of an index in order.
func shards(index map[string]string) []string {
	return slices.Compact(slices.Sorted(maps.Values(index)))
}

// OpenModel opens the weights of a model folder, from one file or several, as one
// file, mapped into memory as [MapFS] does it. The caller closes it.
func OpenModel(src fs.FS) (*File, error) {
	names, err := WeightFiles(src)
	if err != nil {
		return nil, err
	}
	if len(names) == 1 {
		return MapFS(src, names[0], names[0])
	}
	index, err := readIndex(src)
	if err != nil {
		return nil, err
	}
	f := &File{name: IndexFile}
	for _, name := range shards(index) {
		if err := f.join(src, name, index); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	for _, e := range f.entries {
		delete(index, e.Name)
	}
	if len(index) > 0 {
		tensor := slices.Sorted(maps.Keys(index))[0]
		return nil, errors.Join(fmt.Errorf("%s puts tensor %q into %s, which does not hold it", IndexFile, tensor, index[tensor]), f.Close())
	}
	slices.SortFunc(f.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return f, nil
}

// join adds a file and its tensors.
func (f *File) join(src fs.FS, name string, index map[string]string) error {
	part, err := MapFS(src, name, name)
	if err != nil {
		return err
	}
	f.parts = append(f.parts, part)
	for _, e := range part.entries {
		if in, ok := index[e.Name]; !ok || in != name {
			return fmt.Errorf("%s holds tensor %q, which %s puts elsewhere", name, e.Name, IndexFile)
		}
	}
	f.entries = append(f.entries, part.entries...)
	return nil
}
