package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gotune/data/inspect"
	"gotune/internal/hf"
	"gotune/model"
	"gotune/tokenizer"
	"gotune/train"
)

// modelDescription is a model folder in Hugging Face's layout.
type modelDescription struct {
	Kind       string                `json:"kind"` // model
	Path       string                `json:"path"`
	Family     string                `json:"model_type"`
	Shape      *model.Config         `json:"config,omitempty"`      // of a supported model
	Refused    string                `json:"unsupported,omitempty"` // why gotune cannot use it
	Weights    []weightsDescription  `json:"weights"`
	Parameters int                   `json:"parameters"`
	Tokenizer  *tokenizerDescription `json:"tokenizer,omitempty"`
}

func describeModel(name string) (description, error) {
	src, err := train.OpenModel(name)
	if err != nil {
		return nil, err
	}
	d := &modelDescription{Kind: "model", Path: name, Weights: []weightsDescription{}}
	raw, err := fs.ReadFile(src, "config.json")
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	var family struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(raw, &family); err != nil {
		return nil, fmt.Errorf("model %s: config.json: %w", name, err)
	}
	d.Family = family.ModelType
	if c, err := model.LoadConfig(src, name); err != nil {
		d.Refused = err.Error()
	} else {
		d.Shape = &c
	}
	files, err := fs.Glob(src, "*.safetensors")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasPrefix(file, "optimizer") {
			continue // of a checkpoint
		}
		w, err := readWeights(src, file, path.Join(filepath.ToSlash(name), file))
		if err != nil {
			return nil, err
		}
		d.Weights = append(d.Weights, *w)
		d.Parameters += w.Parameters
	}
	d.Tokenizer, err = readTokenizer(src, name)
	if errors.Is(err, errNoTokenizer) {
		return d, nil
	}
	return d, err
}

func (d *modelDescription) print(p *page) error {
	p.title(d.Path, "a model of the family %s", inspect.Visible(d.Family))
	if d.Refused != "" {
		p.line("unsupported", "%s", inspect.Visible(d.Refused))
	}
	if c := d.Shape; c != nil {
		p.line("layers", "%d of width %d, feed-forward %d", c.Layers, c.HiddenSize, c.IntermediateSize)
		size := c.HeadDim
		if size == 0 {
			size = c.HiddenSize / c.Heads
		}
		p.line("heads", "%d of size %d, %d for keys and values", c.Heads, size, c.KVHeads)
		tied := "a head of its own"
		if c.TieWordEmbeddings {
			tied = "the head is the embedding"
		}
		p.line("vocabulary", "%d tokens, %s", c.VocabSize, tied)
		p.line("context", "%d tokens", c.MaxPositions)
		if r := c.Rope; r.Kind != "" {
			p.line("rotations", "scaled by %s", r.Kind)
		}
		if c.SlidingWindow > 0 {
			sliding := 0
			for i := range c.Layers {
				sliding += min(c.Window(i), 1)
			}
			p.line("window", "%d tokens, in %d of %d layers", c.SlidingWindow, sliding, c.Layers)
		}
	}
	if len(d.Weights) == 0 {
		p.line("weights", "none: the folder has no .safetensors file")
	} else {
		p.line("parameters", "%s", count(d.Parameters))
	}
	for _, w := range d.Weights {
		p.line("weights", "%s: %s", inspect.Visible(path.Base(filepath.ToSlash(w.Path))), w.summary())
	}
	if d.Tokenizer == nil {
		p.line("tokenizer", "none: the folder has neither tokenizer.json nor tokenizer.model")
		return p.err
	}
	d.Tokenizer.lines(p)
	return p.err
}

// weightsDescription is a safetensors file.
type weightsDescription struct {
	Kind       string            `json:"kind"` // weights
	Path       string            `json:"path"`
	Parameters int               `json:"parameters"`
	DTypes     map[string]int    `json:"dtypes"` // values stored in each
	Metadata   map[string]string `json:"metadata,omitempty"`
	Tensors    []tensor          `json:"tensors"`
}

type tensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
}

func describeWeights(name string) (description, error) {
	return readWeights(os.DirFS(filepath.Dir(name)), filepath.Base(name), name)
}

// readWeights reads the header of a safetensors file.
func readWeights(src fs.FS, file, name string) (*weightsDescription, error) {
	f, err := hf.OpenFS(src, file, name)
	if err != nil {
		return nil, err
	}
	d := &weightsDescription{Kind: "weights", Path: name, DTypes: make(map[string]int), Metadata: f.Metadata(), Tensors: []tensor{}}
	for _, e := range f.Entries() {
		shape := e.Shape
		if shape == nil {
			shape = []int{}
		}
		d.Tensors = append(d.Tensors, tensor{e.Name, string(e.DType), shape})
		d.DTypes[string(e.DType)] += hf.Size(e.Shape)
		d.Parameters += hf.Size(e.Shape)
	}
	return d, f.Close()
}

// summary says how many tensors and values there are in which type.
func (d *weightsDescription) summary() string {
	text := fmt.Sprintf("%d tensors", len(d.Tensors))
	for _, dtype := range slices.Sorted(maps.Keys(d.DTypes)) {
		text += fmt.Sprintf(", %s values in %s", count(d.DTypes[dtype]), inspect.Visible(dtype))
	}
	return text
}

func (d *weightsDescription) print(p *page) error {
	p.title(d.Path, "tensors in the safetensors format")
	p.line("content", "%s", d.summary())
	for _, key := range slices.Sorted(maps.Keys(d.Metadata)) {
		p.line("metadata", "%s: %s", inspect.Visible(key), inspect.Visible(clip(d.Metadata[key], 200)))
	}
	for _, t := range d.Tensors {
		p.text("    %-5s %-14s %s\n", inspect.Visible(t.DType), fmt.Sprint(t.Shape), inspect.Visible(t.Name))
	}
	return p.err
}

// tokenizerDescription is a tokenizer's folder, or the part of a model folder.
type tokenizerDescription struct {
	Kind     string `json:"kind"` // tokenizer
	Path     string `json:"path"`
	Refused  string `json:"unsupported,omitempty"` // why gotune cannot use it
	Tokens   int    `json:"tokens"`
	BOS      string `json:"bos_token,omitempty"`
	EOS      string `json:"eos_token,omitempty"`
	Pad      string `json:"pad_token,omitempty"`
	AddsBOS  bool   `json:"adds_bos"`
	Template bool   `json:"chat_template"`
	SHA256   string `json:"sha256,omitempty"`
}

var errNoTokenizer = errors.New("the folder has neither tokenizer.json nor tokenizer.model")

func describeTokenizer(name string) (description, error) {
	return readTokenizer(os.DirFS(name), name)
}

func readTokenizer(src fs.FS, name string) (*tokenizerDescription, error) {
	_, wrong := fs.Stat(src, "tokenizer.json")
	if _, err := fs.Stat(src, "tokenizer.model"); wrong != nil && err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", name, errNoTokenizer)
	}
	d := &tokenizerDescription{Kind: "tokenizer", Path: name}
	t, err := tokenizer.Load(src, name)
	if err != nil {
		d.Refused = err.Error()
		return d, nil
	}
	d.Tokens, d.AddsBOS, d.Template, d.SHA256 = t.VocabSize(), t.AddsBOS(), t.ChatTemplate() != "", t.SHA256()
	for _, s := range []struct {
		get  func() (int32, bool)
		text *string
	}{{t.BOS, &d.BOS}, {t.EOS, &d.EOS}, {t.Pad, &d.Pad}} {
		if id, ok := s.get(); ok {
			*s.text, _ = t.Token(id)
		}
	}
	return d, nil
}

func (d *tokenizerDescription) print(p *page) error {
	p.title(d.Path, "a tokenizer")
	d.lines(p)
	return p.err
}

func (d *tokenizerDescription) lines(p *page) {
	if d.Refused != "" {
		p.line("tokenizer", "unsupported: %s", inspect.Visible(d.Refused))
		return
	}
	text := fmt.Sprintf("%d tokens", d.Tokens)
	for _, s := range []struct{ role, token string }{{"begins", d.BOS}, {"ends", d.EOS}, {"fills", d.Pad}} {
		if s.token != "" {
			text += fmt.Sprintf(", %s %s", inspect.Visible(s.token), s.role)
		}
	}
	p.line("tokenizer", "%s", text)
	template := "none of its own; chatml is used unless another is named"
	if d.Template {
		template = "its own"
	}
	p.line("chat template", "%s", template)
}
