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

// The files of a tokenizer. One of the first two is needed.
const (
	tokenizerFile = "tokenizer.json"
	modelFile     = "tokenizer.model" // of SentencePiece
	configFile    = "tokenizer_config.json"
	specialsFile  = "special_tokens_map.json"
	addedFile     = "added_tokens.json"
	templateFile  = "chat_template.jinja"
)

// Load reads the tokenizer of a model folder: tokenizer.json, else tokenizer.model, and
// beside it what says which tokens begin, end and fill a text (tokenizer_config.json,
// special_tokens_map.json, else config.json) and which are added (added_tokens.json).
// The name is for messages.
func Load(src fs.FS, name string) (*Tokenizer, error) {
	files := make(map[string][]byte)
	for _, file := range []string{tokenizerFile, modelFile, configFile, specialsFile, addedFile, templateFile, "config.json"} {
		raw, err := fs.ReadFile(src, file)
		switch {
		case err == nil:
			files[file] = raw
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("tokenizer %s: reading %s: %w", name, file, err)
		}
	}
	if files[tokenizerFile] == nil && files[modelFile] == nil {
		return nil, fmt.Errorf("tokenizer %s: the folder has neither %s nor %s", name, tokenizerFile, modelFile)
	}
	t, err := parse(files)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", name, err)
	}
	return t, nil
}

// LoadFile reads a folder, or a tokenizer.json or tokenizer.model with what stands
// beside it. A file of another name stands alone; one that ends in .model is
// SentencePiece's.
func LoadFile(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if info.IsDir() {
		return Load(os.DirFS(path), path)
	}
	if base := filepath.Base(path); base == tokenizerFile || base == modelFile {
		if base == modelFile { // whatever tokenizer.json stands beside it
			return loadModel(path)
		}
		return Load(os.DirFS(filepath.Dir(path)), path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	file := tokenizerFile
	if filepath.Ext(path) == ".model" {
		file = modelFile
	}
	t, err := parse(map[string][]byte{file: raw})
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
	if files[tokenizerFile] == nil {
		if err := convertSentencePiece(files); err != nil {
			return nil, err
		}
	}
	var j tokenizerJSON
	if err := json.Unmarshal(files[tokenizerFile], &j); err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerFile, err)
	}
	names, err := specialNames(files)
	if err != nil {
		return nil, err
	}
	more, err := configTokens(files, names, j.AddedTokens)
	if err != nil {
		return nil, err
	}
	j.AddedTokens = append(j.AddedTokens, more...)
	t := &Tokenizer{files: files}
	if err := t.build(j, names); err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerFile, err)
	}
	if err := t.readSpecials(); err != nil {
		return nil, err
	}
	delete(files, "config.json") // the model's, not the tokenizer's
	return t, nil
}

// configTokens lists the tokens that tokenizer_config.json or, in older folders,
// added_tokens.json adds to those of tokenizer.json, by their ids.
func configTokens(files map[string][]byte, names []string, known []addedToken) ([]addedToken, error) {
	var c struct {
		Tokens map[string]addedToken `json:"added_tokens_decoder"`
	}
	if raw := files[configFile]; raw != nil {
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", configFile, err)
		}
	}
	if c.Tokens != nil || files[addedFile] == nil {
		more, err := moreTokens(c.Tokens, known)
		if err != nil {
			return nil, fmt.Errorf("%s: added_tokens_decoder: %w", configFile, err)
		}
		return more, nil
	}
	var older map[string]int32
	if err := json.Unmarshal(files[addedFile], &older); err != nil {
		return nil, fmt.Errorf("%s: %w", addedFile, err)
	}
	tokens := make(map[string]addedToken)
	for text, id := range older {
		special := slices.Contains(names, text)
		tokens[strconv.Itoa(int(id))] = addedToken{Content: text, Normalized: !special, Special: special}
	}
	return moreTokens(tokens, known)
}

// moreTokens are those by id whose texts are not known, in the order of ids.
func moreTokens(tokens map[string]addedToken, known []addedToken) ([]addedToken, error) {
	var more []addedToken
	for text, t := range tokens {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no id", text)
		}
		t.ID = int32(id)
		if !slices.ContainsFunc(known, func(k addedToken) bool { return k.Content == t.Content }) {
			more = append(more, t)
		}
	}
	slices.SortFunc(more, func(a, b addedToken) int { return int(a.ID) - int(b.ID) })
	return more, nil
}

func (t *Tokenizer) build(j tokenizerJSON, names []string) (err error) {
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
	j.AddedTokens = t.withSpecial(j.AddedTokens, names)
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

// withSpecial marks the tokens that the files name by role as special, and adds those
// that stand in the vocabulary alone, as transformers does.
func (t *Tokenizer) withSpecial(list []addedToken, names []string) []addedToken {
	for _, name := range names {
		if i := slices.IndexFunc(list, func(a addedToken) bool { return a.Content == name }); i >= 0 {
			list[i].Special = true
		} else if id, ok := t.model.id(name); ok {
			list = append(list, addedToken{ID: id, Content: name, Special: true})
		}
	}
	return list
}

// loadModel reads a tokenizer.model with what stands beside it, but for a
// tokenizer.json.
func loadModel(path string) (*Tokenizer, error) {
	return Load(withoutJSON{os.DirFS(filepath.Dir(path))}, path)
}

// withoutJSON is a folder without its tokenizer.json.
type withoutJSON struct{ fs.FS }

func (w withoutJSON) Open(name string) (fs.File, error) {
	if name == tokenizerFile {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return w.FS.Open(name)
}
