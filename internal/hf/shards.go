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
		return nil, fmt.Errorf("the folder has no %s: %w", WeightsFile, missing)
	}
	if err != nil {
		return nil, err
	}
	return append([]string{IndexFile}, shards(index)...), nil
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
// file. The caller closes it by the returned function.
func OpenModel(src fs.FS) (*File, func() error, error) {
	names, err := WeightFiles(src)
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 1 {
		return OpenFS(src, names[0], names[0])
	}
	index, err := readIndex(src)
	if err != nil {
		return nil, nil, err
	}
	var all joined
	f := &File{name: IndexFile}
	for _, name := range shards(index) {
		if err := all.open(src, name, index, f); err != nil {
			return nil, nil, errors.Join(err, all.close())
		}
	}
	for _, e := range f.entries {
		delete(index, e.Name)
	}
	if len(index) > 0 {
		tensor := slices.Sorted(maps.Keys(index))[0]
		return nil, nil, errors.Join(fmt.Errorf("%s puts tensor %q into %s, which does not hold it", IndexFile, tensor, index[tensor]), all.close())
	}
	slices.SortFunc(f.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	f.r = all.reader
	return f, all.close, nil
}

// joined is several files read as one, one after the other.
type joined struct {
	reader concatenation
	closes []func() error
}

// open adds a file and its tensors.
func (j *joined) open(src fs.FS, name string, index map[string]string, into *File) error {
	f, closeFile, err := OpenFS(src, name, name)
	if err != nil {
		return err
	}
	j.closes = append(j.closes, closeFile)
	start, size := j.reader.end(), int64(0)
	for _, e := range f.entries {
		if in, ok := index[e.Name]; !ok || in != name {
			return fmt.Errorf("%s holds tensor %q, which %s puts elsewhere", name, e.Name, IndexFile)
		}
		size = max(size, e.offset+e.bytes)
		e.offset += start
		into.entries = append(into.entries, e)
	}
	j.reader = append(j.reader, part{f.r, start, size})
	return nil
}

func (j *joined) close() error {
	var err error
	for _, c := range j.closes {
		err = errors.Join(err, c())
	}
	return err
}

// A concatenation reads files as if each stood behind the one before. What is read
// at a time, a tensor or a part of one, lies in one of them.
type concatenation []part

type part struct {
	io.ReaderAt
	start, size int64
}

func (c concatenation) end() int64 {
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1].start + c[len(c)-1].size
}

// ReadAt implements io.ReaderAt.
func (c concatenation) ReadAt(p []byte, offset int64) (int, error) {
	for i := len(c) - 1; i >= 0; i-- {
		if offset >= c[i].start {
			return c[i].ReaderAt.ReadAt(p, offset-c[i].start)
		}
	}
	return 0, io.EOF
}
