package study

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gotune/data/world"
	"gotune/train"
)

// A hasher names the bytes of files and folders, and knows how often corpora tell their
// facts. Each is looked at once.
type hasher struct {
	sync.Mutex
	known map[string]string
	told  map[string]float64
}

// perFact is how often a pass of a corpus tells each fact; 0 where that is not known.
func (h *hasher) perFact(path string) float64 {
	name, ok := strings.CutPrefix(path, "world:")
	if !ok {
		return 0
	}
	h.Lock()
	defer h.Unlock()
	times, ok := h.told[path]
	if !ok {
		times, _ = world.Generate(world.Config{Seed: world.DefaultSeed}).PerFact(name) // the run has read the corpus
		if h.told == nil {
			h.told = make(map[string]float64)
		}
		h.told[path] = times
	}
	return times
}

// of returns the SHA-256 of what a path of data holds; of a corpus of the toy world
// the world's version.
func (h *hasher) of(path string) (string, error) {
	if strings.HasPrefix(path, "world:") {
		return fmt.Sprint("world ", world.Version), nil
	}
	return h.once(path, func() (fs.FS, error) {
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			return os.DirFS(path), err
		}
		return oneFile{os.DirFS(filepath.Dir(path)), filepath.Base(path)}, nil
	})
}

// model returns the SHA-256 of a model's or an adapter's folder.
func (h *hasher) model(name string) (string, error) {
	return h.once("model "+name, func() (fs.FS, error) { return train.OpenModel(name) })
}

func (h *hasher) once(name string, open func() (fs.FS, error)) (string, error) {
	h.Lock()
	defer h.Unlock()
	if sum, ok := h.known[name]; ok {
		return sum, nil
	}
	src, err := open()
	if err != nil {
		return "", err
	}
	sum, err := hashAll(src)
	if err != nil {
		return "", err
	}
	if h.known == nil {
		h.known = make(map[string]string)
	}
	h.known[name] = sum
	return sum, nil
}

// oneFile is a folder of which one file is seen.
type oneFile struct {
	fs.FS
	name string
}

// hashAll names the files below a folder and their bytes.
func hashAll(src fs.FS) (string, error) {
	h := sha256.New()
	add := func(name string) error {
		f, err := src.Open(name)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(h, "%s\n", name)
		_, err = io.Copy(h, f)
		return errors.Join(err, f.Close())
	}
	var err error
	if one, ok := src.(oneFile); ok {
		err = add(one.name)
	} else {
		err = fs.WalkDir(src, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return add(path)
		})
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// notOfContent are keys that change no bit of what a run computes, or only how it is
// kept.
var notOfContent = []string{"output", "threads", "max_memory", "gradient_checkpointing", "save_steps", "save_total_limit", "report_to"}

// keyOf names a run by its content: its recipe, the run it begins with, the bytes of
// the files it reads, and the arithmetic. Keys of the recipe that are as by default
// do not count, so that a key which recipes get later changes no name.
func (h *hasher) keyOf(r train.Recipe, from string) (string, error) {
	plain := flat(train.DefaultRecipe())
	sum := sha256.New()
	add := func(what, value string) { fmt.Fprintf(sum, "%s=%q\n", what, value) }
	all := flat(r)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		_, last, staged := strings.Cut(key, ".")
		if !staged {
			last = key
		}
		if !slices.Contains(notOfContent, key) && all[key] != plain[last] {
			add(key, all[key])
		}
	}
	if len(r.Stages) > 1 { // their keys above stand in the order of their names, and may be of the same data
		var names []string
		for _, stage := range r.Stages {
			names = append(names, stage.Name)
		}
		add("stages", strings.Join(names, " "))
	}
	add("arithmetic", train.Arithmetic())
	if from != "" {
		add("from", from)
	} else if !r.Pretraining() {
		name, err := h.model(r.Model)
		if err != nil {
			return "", err
		}
		add("model bytes", name)
	}
	stages := []train.Stage{r.Stage}
	if len(r.Stages) > 0 {
		stages = r.Stages
	}
	lists := []train.Datasets{r.EvalData, r.RetainData}
	for _, s := range stages {
		lists = append(lists, s.Data)
	}
	paths := []string{}
	for _, file := range []string{r.Adapter, r.Tokenizer} {
		if file != "" {
			paths = append(paths, file)
		}
	}
	for _, list := range lists {
		for _, d := range list {
			if d.Path == "-" {
				return "", errors.New("data is -, but a study reads its data many times: name a file")
			}
			paths = append(paths, d.Path)
		}
	}
	for _, path := range paths {
		name, err := h.of(path)
		if err != nil {
			return "", fmt.Errorf("data: %w", err)
		}
		add(path, name)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}
