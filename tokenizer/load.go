package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// The files of a tokenizer. Only the first is needed.
const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	specialsFile  = "special_tokens_map.json"
	templateFile  = "chat_template.jinja"
)

// Load reads the tokenizer of a model folder: tokenizer.json, and beside it what
// says which tokens begin, end and fill a text (tokenizer_config.json,
// special_tokens_map.json, else config.json). The name is for messages.
func Load(src fs.FS, name string) (*Tokenizer, error) {
	files := make(map[string][]byte)
	for _, file := range []string{tokenizerFile, configFile, specialsFile, templateFile, "config.json"} {
		raw, err := fs.ReadFile(src, file)
		switch {
		case err == nil:
			files[file] = raw
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("tokenizer %s: reading %s: %w", name, file, err)
		}
	}
	if files[tokenizerFile] == nil {
		return nil, fmt.Errorf("tokenizer %s: the folder has no %s", name, tokenizerFile)
	}
	t, err := parse(files)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", name, err)
	}
	return t, nil
}

// LoadFile reads a folder, or a tokenizer.json with what stands beside it.
func LoadFile(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if info.IsDir() {
		return Load(os.DirFS(path), path)
	}
	if filepath.Base(path) == tokenizerFile {
		return Load(os.DirFS(filepath.Dir(path)), path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := parse(map[string][]byte{tokenizerFile: raw})
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", path, err)
	}
	return t, nil
}

// tokenizerJSON is the part of tokenizer.json that is read. Truncation and
// padding are left to the caller of a tokenizer.
type tokenizerJSON struct {
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

func parse(files map[string][]byte) (*Tokenizer, error) {
	var j tokenizerJSON
	if err := json.Unmarshal(files[tokenizerFile], &j); err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerFile, err)
	}
	more, err := configTokens(files[configFile], j.AddedTokens)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	j.AddedTokens = append(j.AddedTokens, more...)
	t := &Tokenizer{files: files}
	if err := t.build(j); err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerFile, err)
	}
	if err := t.readSpecials(); err != nil {
		return nil, err
	}
	delete(files, "config.json") // the model's, not the tokenizer's
	return t, nil
}

// configTokens lists the tokens that tokenizer_config.json adds to those of
// tokenizer.json, by their ids.
func configTokens(raw []byte, known []addedToken) ([]addedToken, error) {
	var c struct {
		Tokens map[string]addedToken `json:"added_tokens_decoder"`
	}
	if raw == nil {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	var more []addedToken
	for text, t := range c.Tokens {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("added_tokens_decoder: %q is no id", text)
		}
		t.ID = int32(id)
		if !slices.ContainsFunc(known, func(k addedToken) bool { return k.Content == t.Content }) {
			more = append(more, t)
		}
	}
	slices.SortFunc(more, func(a, b addedToken) int { return int(a.ID) - int(b.ID) })
	return more, nil
}

func (t *Tokenizer) build(j tokenizerJSON) (err error) {
	if t.normalizers, err = newNormalizers(j.Normalizer); err != nil {
		return err
	}
	if err := t.readPreTokenizer(j.PreTokenizer); err != nil {
		return err
	}
	bytes := len(t.stages) > 0 && t.stages[len(t.stages)-1].bytes
	if t.model, err = newModel(j.Model, bytes); err != nil {
		return err
	}
	if t.ofBytes() {
		t.stages = t.stages[:len(t.stages)-1] // the model's words are bytes
	}
	if t.added, err = newAddedTokens(j.AddedTokens, t.normalizers); err != nil {
		return err
	}
	t.tokens = slices.Clone(t.model.vocabulary())
	for _, a := range j.AddedTokens {
		if id, ok := t.model.id(a.Content); ok && id != a.ID {
			return fmt.Errorf("added token %q has id %d but vocab has it as %d", a.Content, a.ID, id)
		}
		if err := enter(&t.tokens, a.Content, a.ID); err != nil {
			return fmt.Errorf("added_tokens: %w", err)
		}
	}
	if t.decoders, err = newDecoders(j.Decoder); err != nil {
		return err
	}
	return t.readPostProcessor(j.PostProcessor)
}

// ofBytes reports whether words are given to the model as the bytes of the text.
func (t *Tokenizer) ofBytes() bool {
	m, ok := t.model.(*bpe)
	return ok && m.ofBytes != nil
}
