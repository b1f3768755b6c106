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
	"strings"
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
	if t.normalize, err = newNormalizer(j.Normalizer); err != nil {
		return err
	}
	if absent(j.PreTokenizer) {
		return errors.New("pre_tokenizer: there is none; only byte-level tokenizers are supported")
	}
	if t.split, t.prefix, err = newSplitter(j.PreTokenizer); err != nil {
		return err
	}
	if t.bpe, err = newBPE(j.Model, j.AddedTokens); err != nil {
		return err
	}
	if t.added, err = newAddedTokens(j.AddedTokens, t.normalize); err != nil {
		return err
	}
	var d struct {
		Type string `json:"type"`
	}
	if !absent(j.Decoder) {
		if err := json.Unmarshal(j.Decoder, &d); err != nil {
			return fmt.Errorf("decoder: %w", err)
		}
	}
	if d.Type != "ByteLevel" {
		return fmt.Errorf("decoder %q is not supported (supported: ByteLevel)", d.Type)
	}
	if !absent(j.PostProcessor) {
		return t.postProcessor(j.PostProcessor)
	}
	return nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func newNormalizer(raw json.RawMessage) (func(string) string, error) {
	if absent(raw) {
		return nil, nil
	}
	var n struct {
		Type        string            `json:"type"`
		Normalizers []json.RawMessage `json:"normalizers"`
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	switch n.Type {
	case "NFC":
		return nfc, nil
	case "Sequence":
		var all []func(string) string
		for _, inner := range n.Normalizers {
			f, err := newNormalizer(inner)
			if err != nil {
				return nil, err
			}
			if f != nil {
				all = append(all, f)
			}
		}
		if len(all) == 0 {
			return nil, nil
		}
		return func(s string) string {
			for _, f := range all {
				s = f(s)
			}
			return s
		}, nil
	}
	return nil, fmt.Errorf("normalizer %q is not supported (supported: NFC, Sequence)", n.Type)
}

// modelJSON is the entry "model" of a byte-level BPE.
type modelJSON struct {
	Type         string            `json:"type"`
	Dropout      *float64          `json:"dropout"`
	UnkToken     *string           `json:"unk_token"`
	Prefix       *string           `json:"continuing_subword_prefix"`
	Suffix       *string           `json:"end_of_word_suffix"`
	FuseUnk      bool              `json:"fuse_unk"`
	ByteFallback bool              `json:"byte_fallback"`
	IgnoreMerges bool              `json:"ignore_merges"`
	Vocab        map[string]int32  `json:"vocab"`
	Merges       []json.RawMessage `json:"merges"`
}

// maxID bounds ids, so that a hostile file cannot ask for a table of all int32.
const maxID = 1 << 22

func newBPE(raw json.RawMessage, added []addedToken) (*bpe, error) {
	var j modelJSON
	if absent(raw) {
		return nil, errors.New("model: there is none")
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	set := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case j.Type != "BPE":
		return nil, fmt.Errorf("model %q is not supported (supported: BPE)", j.Type)
	case j.Dropout != nil && *j.Dropout != 0:
		return nil, fmt.Errorf("model: dropout %g is not supported", *j.Dropout)
	case set(j.Prefix), set(j.Suffix):
		return nil, errors.New("model: continuing_subword_prefix and end_of_word_suffix are not supported")
	case j.ByteFallback:
		return nil, errors.New("model: byte_fallback is not supported")
	}
	m := &bpe{
		ids: j.Vocab, merges: make(map[pair]merge, len(j.Merges)),
		ignoreMerges: j.IgnoreMerges,
	}
	if m.ids == nil {
		return nil, errors.New("model: vocab is missing")
	}
	for i := range m.bytes {
		m.bytes[i] = -1
		if id, ok := m.ids[string(byteToRune[i])]; ok {
			m.bytes[i] = id
		} else if set(j.UnkToken) {
			return nil, fmt.Errorf("model: vocab lacks the byte %#02x and unk_token is set, which is not supported", i)
		}
	}
	for rank, raw := range j.Merges {
		if err := m.addMerge(rank, raw); err != nil {
			return nil, fmt.Errorf("model: merge %d: %w", rank, err)
		}
	}
	for _, t := range added {
		if old, ok := m.ids[t.Content]; ok && old != t.ID {
			return nil, fmt.Errorf("added token %q has id %d but vocab has it as %d", t.Content, t.ID, old)
		}
		m.ids[t.Content] = t.ID
	}
	return m, m.fillTokens()
}

// addMerge reads a merge in either spelling: "a b" or ["a", "b"].
func (m *bpe) addMerge(rank int, raw json.RawMessage) error {
	var ab []string
	var text string
	if json.Unmarshal(raw, &text) == nil {
		ab = strings.Split(text, " ")
	} else if err := json.Unmarshal(raw, &ab); err != nil {
		return err
	}
	if len(ab) != 2 {
		return fmt.Errorf("%s is no pair", raw)
	}
	a, okA := m.ids[ab[0]]
	b, okB := m.ids[ab[1]]
	id, okC := m.ids[ab[0]+ab[1]]
	if !okA || !okB || !okC {
		return fmt.Errorf("%q and %q, or the two joined, are not in vocab", ab[0], ab[1])
	}
	m.merges[pair{a, b}] = merge{rank: rank, id: id}
	return nil
}

// fillTokens makes the table from ids to tokens.
func (m *bpe) fillTokens() error {
	for token, id := range m.ids {
		if id < 0 || id >= maxID {
			return fmt.Errorf("token %q has the id %d, outside 0…%d", token, id, maxID-1)
		}
		for int(id) >= len(m.tokens) {
			m.tokens = append(m.tokens, make([]string, int(id)+1-len(m.tokens))...)
		}
		if m.tokens[id] != "" {
			return fmt.Errorf("tokens %q and %q share the id %d", m.tokens[id], token, id)
		}
		m.tokens[id] = token
	}
	m.lengths = make([]int, len(m.tokens))
	for id, token := range m.tokens {
		m.lengths[id] = len(fromByteLevel(token))
	}
	return nil
}

// postProcessor reads which tokens are put around a single text.
func (t *Tokenizer) postProcessor(raw json.RawMessage) error {
	var p struct {
		Type       string                       `json:"type"`
		Processors []json.RawMessage            `json:"processors"`
		Single     []map[string]json.RawMessage `json:"single"`
		Special    map[string]struct {
			IDs []int32 `json:"ids"`
		} `json:"special_tokens"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	switch p.Type {
	case "ByteLevel": // moves offsets only
		return nil
	case "Sequence":
		for _, inner := range p.Processors {
			if err := t.postProcessor(inner); err != nil {
				return err
			}
		}
		return nil
	case "TemplateProcessing":
		into := &t.before
		for _, piece := range p.Single {
			if piece["Sequence"] != nil {
				into = &t.after
				continue
			}
			var s struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(piece["SpecialToken"], &s); err != nil || len(p.Special[s.ID].IDs) == 0 {
				return fmt.Errorf("post_processor TemplateProcessing: the token %q is not among special_tokens", s.ID)
			}
			*into = append(*into, p.Special[s.ID].IDs...)
		}
		return nil
	}
	return fmt.Errorf("post_processor %q is not supported (supported: ByteLevel, TemplateProcessing, Sequence)", p.Type)
}
