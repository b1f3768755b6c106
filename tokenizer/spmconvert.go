package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// spmConfig are the keys of tokenizer_config.json that say how a SentencePiece model is
// used.
type spmConfig struct {
	Class  string                `json:"tokenizer_class"`
	Legacy *bool                 `json:"legacy"`
	Prefix *bool                 `json:"add_prefix_space"`
	AddBOS bool                  `json:"add_bos_token"`
	AddEOS bool                  `json:"add_eos_token"`
	Added  map[string]addedToken `json:"added_tokens_decoder"`
}

// A spmConverter writes a SentencePiece model as the tokenizer.json that transformers
// 5.24 makes of it: for Llama's and Gemma's classes what these do, else what the model
// itself says.
type spmConverter struct {
	*sentencePiece
	spmConfig
	llama, gemma bool
	vocab        []string          // by id
	names        map[string]string // of tokens by their role
}

// convertSentencePiece adds tokenizer.json to files that hold tokenizer.model, and to
// tokenizer_config.json the names of the tokens that begin and end a text.
func convertSentencePiece(files map[string][]byte) error {
	m, err := readSentencePiece(files[modelFile])
	if err != nil {
		return fmt.Errorf("%s: %w", modelFile, err)
	}
	c := &spmConverter{sentencePiece: m}
	if raw := files[configFile]; raw != nil {
		if err := json.Unmarshal(raw, &c.spmConfig); err != nil {
			return fmt.Errorf("%s: %w", configFile, err)
		}
	}
	class := strings.TrimSuffix(c.Class, "Fast")
	c.llama = class == "LlamaTokenizer" && m.kind == 2
	c.gemma = class == "GemmaTokenizer" && m.kind == 2
	for _, p := range m.pieces {
		c.vocab = append(c.vocab, p.text)
	}
	if !c.llama && !c.gemma {
		c.rename()
	}
	if files[configFile], err = c.config(files); err != nil {
		return fmt.Errorf("%s: %w", configFile, err)
	}
	raw, err := c.tokenizer()
	if err != nil {
		return fmt.Errorf("%s: %w", modelFile, err)
	}
	files[tokenizerFile] = raw
	return nil
}

// rename gives pieces the names that tokenizer_config.json has for their ids.
func (c *spmConverter) rename() {
	for id, p := range c.pieces {
		t, ok := c.Added[fmt.Sprint(id)]
		if ok && t.Content != p.text && !slices.Contains(c.vocab, t.Content) {
			c.vocab[id] = t.Content
		}
	}
}

// config names BOS and EOS where no file does.
func (c *spmConverter) config(files map[string][]byte) ([]byte, error) {
	keys, named := make(map[string]json.RawMessage), make(map[string]json.RawMessage)
	for file, into := range map[string]*map[string]json.RawMessage{configFile: &keys, specialsFile: &named} {
		if files[file] == nil {
			continue
		}
		if err := json.Unmarshal(files[file], into); err != nil {
			return nil, err
		}
	}
	changed := files[configFile] == nil
	c.names = make(map[string]string)
	for key, id := range map[string]int32{"bos_token": c.bos, "eos_token": c.eos} {
		var name namedToken
		if raw := cmp.Or(string(keys[key]), string(named[key])); raw != "" && raw != "null" {
			if err := json.Unmarshal([]byte(raw), &name); err != nil {
				return nil, fmt.Errorf("key %q: %w", key, err)
			}
			c.names[key] = string(name)
			continue
		}
		if id < 0 || int(id) >= len(c.vocab) {
			continue
		}
		c.names[key] = c.vocab[id]
		raw, err := json.Marshal(c.vocab[id])
		if err != nil {
			return nil, err
		}
		keys[key], changed = raw, true
	}
	if !changed {
		return files[configFile], nil
	}
	return json.MarshalIndent(keys, "", " ")
}

func (c *spmConverter) tokenizer() ([]byte, error) {
	model, err := c.model()
	if err != nil {
		return nil, err
	}
	added, err := c.added()
	if err != nil {
		return nil, err
	}
	root := ordered{
		{"version", "1.0"}, {"truncation", nil}, {"padding", nil}, {"added_tokens", added}, {"normalizer", c.normalizers()},
		{"pre_tokenizer", c.preTokenizer()}, {"post_processor", c.postProcessor(added)}, {"decoder", c.decoder()}, {"model", model},
	}
	raw, err := root.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, raw)
	return b.Bytes(), err
}

func (c *spmConverter) model() (ordered, error) {
	if c.kind == 1 {
		vocab := make([][2]any, len(c.vocab))
		for id, text := range c.vocab {
			vocab[id] = [2]any{text, float64(c.pieces[id].score)}
		}
		return ordered{{"type", "Unigram"}, {"unk_id", c.unk}, {"vocab", vocab}, {"byte_fallback", c.byteFallback}}, nil
	}
	ids := make(map[string]int32, len(c.vocab))
	vocab := make(ordered, len(c.vocab))
	for id, text := range c.vocab {
		if was, ok := ids[text]; ok {
			return nil, fmt.Errorf("pieces %d and %d are both %q", was, id, text)
		}
		ids[text] = int32(id)
		vocab[id] = entry{text, id}
	}
	var unknown any
	if !c.llama {
		unknown = c.vocab[c.unk]
	}
	return ordered{
		{"type", "BPE"}, {"dropout", nil}, {"unk_token", unknown}, {"continuing_subword_prefix", nil}, {"end_of_word_suffix", nil}, {"fuse_unk", true},
		{"byte_fallback", c.byteFallback || c.llama || c.gemma}, {"ignore_merges", !c.llama && !c.gemma && len(c.users()) > 0}, {"vocab", vocab}, {"merges", c.merges(ids)},
	}, nil
}

// merges are all pairs of pieces that make a piece: first those that make the piece
// with the best score or, for Llama's and Gemma's classes, with the lowest id. Without
// such a class only normal pieces are made and merged.
func (c *spmConverter) merges(ids map[string]int32) [][2]string {
	type ranked struct {
		score       float32
		id, a, b    int32
		left, right string
	}
	all := c.llama || c.gemma
	usable := func(text string) (int32, bool) {
		id, ok := ids[text]
		return id, ok && (all || c.pieces[id].kind == normalPiece)
	}
	var list []ranked
	for id, text := range c.vocab {
		if _, ok := usable(text); !ok {
			continue
		}
		for i := range text {
			if a, ok := usable(text[:i]); i > 0 && ok {
				if b, ok := usable(text[i:]); ok {
					list = append(list, ranked{c.pieces[id].score, int32(id), a, b, text[:i], text[i:]})
				}
			}
		}
	}
	slices.SortFunc(list, func(x, y ranked) int {
		if all {
			return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(utf8.RuneCountInString(x.left), utf8.RuneCountInString(y.left)))
		}
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.id, y.id), strings.Compare(x.left, y.left))
	})
	merges := make([][2]string, len(list))
	for i, m := range list {
		merges[i] = [2]string{m.left, m.right}
	}
	return merges
}

// users lists the pieces that are tokens wherever they stand.
func (c *spmConverter) users() []string {
	var all []string
	for id, p := range c.pieces {
		if p.kind == userPiece {
			all = append(all, c.vocab[id])
		}
	}
	return all
}

// added lists control pieces and what tokenizer_config.json adds. Llama's and Gemma's
// classes also look for user-defined pieces in the text as it is.
func (c *spmConverter) added() ([]addedToken, error) {
	var list []addedToken
	for id, p := range c.pieces {
		control := p.kind == controlPiece || p.kind == unknownPiece
		if !control && !(p.kind == userPiece && (c.llama || c.gemma)) {
			continue
		}
		t := addedToken{ID: int32(id), Content: c.vocab[id], Special: control}
		if said, ok := c.Added[fmt.Sprint(id)]; ok && said.Content == t.Content {
			said.ID = t.ID
			t = said
		}
		list = append(list, t)
	}
	more, err := moreTokens(c.Added, list)
	if err != nil {
		return nil, fmt.Errorf("%s: added_tokens_decoder: %w", configFile, err)
	}
	list = append(list, more...)
	if !c.llama && !c.gemma && c.dummyPrefix {
		for i := range list {
			list[i].Normalized = false
		}
	}
	return list, nil
}

func sequence(key string, parts []any) any { return ordered{{"type", "Sequence"}, {key, parts}} }

func replacing(kind, pattern, content string) ordered {
	return ordered{{"type", "Replace"}, {"pattern", ordered{{kind, pattern}}}, {"content", content}}
}

// legacy reports whether every part between added tokens gets a space before it, and
// not the first alone.
func (c *spmConverter) legacy() bool {
	if c.Legacy != nil {
		return *c.Legacy
	}
	return !c.llama
}

func (c *spmConverter) normalizers() any {
	switch {
	case c.llama:
		return nil
	case c.gemma:
		return replacing("String", " ", "▁")
	}
	parts := []any{}
	if len(c.charsmap) > 0 {
		parts = append(parts, ordered{{"type", "Precompiled"}, {"precompiled_charsmap", c.charsmap}})
	}
	if c.squeeze {
		parts = append(parts, replacing("Regex", `\A +| +\z`, ""), replacing("Regex", " {2,}", " "))
	}
	if c.escape {
		parts = append(parts, replacing("String", " ", "▁"))
	}
	if c.dummyPrefix && c.legacy() {
		// Metaspace puts nothing before a text that begins with ▁; SentencePiece does.
		parts = append(parts, replacing("Regex", `\A▁`, "▁▁"))
	}
	return sequence("normalizers", parts)
}

func (c *spmConverter) preTokenizer() any {
	scheme := "first"
	switch {
	case c.gemma:
		return ordered{{"type", "Split"}, {"pattern", ordered{{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}}
	case c.llama && !c.spaced():
		scheme = "never"
	case c.legacy():
		scheme = "always"
	}
	metaspace := ordered{{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", false}}
	if c.llama {
		return metaspace
	}
	parts := []any{}
	if c.dummyPrefix {
		parts = append(parts, metaspace)
	}
	if users := c.users(); len(users) > 0 {
		slices.SortStableFunc(users, func(a, b string) int { return utf8.RuneCountInString(b) - utf8.RuneCountInString(a) })
		for i, u := range users {
			users[i] = regexp.QuoteMeta(u)
		}
		pattern := ordered{{"Regex", strings.Join(users, "|")}}
		parts = append(parts, ordered{{"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}, {"invert", false}})
	}
	return sequence("pretokenizers", parts)
}

// spaced reports whether Llama's class puts a space before a text.
func (c *spmConverter) spaced() bool { return c.Prefix == nil || *c.Prefix }

// postProcessor puts BOS and EOS around a text where tokenizer_config.json asks for it.
func (c *spmConverter) postProcessor(added []addedToken) any {
	type part = ordered
	text := func(id string) any { return part{{"Sequence", part{{"id", id}, {"type_id", 0}}}} }
	single, special := []any{text("A")}, part{}
	token := func(role string) (any, bool) {
		name := c.names[role]
		id := int32(slices.Index(c.vocab, name))
		if i := slices.IndexFunc(added, func(t addedToken) bool { return t.Content == name }); i >= 0 {
			id = added[i].ID
		}
		if id < 0 || name == "" {
			return nil, false
		}
		special = append(special, entry{name, part{{"id", name}, {"ids", []int32{id}}, {"tokens", []string{name}}}})
		return part{{"SpecialToken", part{{"id", name}, {"type_id", 0}}}}, true
	}
	if bos, ok := token("bos_token"); ok && c.AddBOS {
		single = slices.Insert(single, 0, bos)
	}
	if eos, ok := token("eos_token"); ok && c.AddEOS {
		single = append(single, eos)
	}
	return part{{"type", "TemplateProcessing"}, {"single", single}, {"pair", append(slices.Clone(single), text("B"))}, {"special_tokens", special}}
}

func (c *spmConverter) decoder() any {
	parts := []any{replacing("String", "▁", " ")}
	bytes := c.byteFallback || c.llama || c.gemma
	if bytes {
		parts = append(parts, ordered{{"type", "ByteFallback"}})
	}
	prefix := c.dummyPrefix && !c.gemma
	if c.llama {
		prefix = c.spaced()
	}
	if prefix || bytes {
		parts = append(parts, ordered{{"type", "Fuse"}})
	}
	if prefix {
		parts = append(parts, ordered{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}})
	}
	return sequence("decoders", parts)
}
