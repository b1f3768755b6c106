package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gotune/internal/gguf"
	"gotune/tokenizer"
)

// The types of tokens in GGUF.
const (
	normalToken  = 1
	unknownToken = 2
	controlToken = 3
	userToken    = 4
	unusedToken  = 5
	byteToken    = 6
)

// A vocabulary is a tokenizer as llama.cpp knows it: "gpt2", byte-level BPE with merges and
// the name of a pre-tokenizer, or "llama", SentencePiece's BPE with scores.
type vocabulary struct {
	model, pre  string
	tokens      []string
	types       []int32
	scores      []float32 // of "llama"
	merges      []string  // of "gpt2"
	prefixSpace bool      // of "llama": a text gets a space before it
	ids         gguf.Metadata
	template    string
	notes       []string
}

// tokenizerJSON is the part of tokenizer.json that GGUF has a place for.
type tokenizerJSON struct {
	Added        []addedToken `json:"added_tokens"`
	Normalizer   *component   `json:"normalizer"`
	PreTokenizer *component   `json:"pre_tokenizer"`
	Model        struct {
		Type         string
		Vocab        json.RawMessage
		Merges       []json.RawMessage
		UnkToken     *string `json:"unk_token"`
		ByteFallback bool    `json:"byte_fallback"`
		IgnoreMerges bool    `json:"ignore_merges"`
	}
}

type addedToken struct {
	ID      int
	Content string
	Special bool
}

// A component is a normalizer or pre-tokenizer, or a sequence of them.
type component struct {
	Type           string
	Normalizers    []component
	PreTokenizers  []component `json:"pretokenizers"`
	AddPrefixSpace bool        `json:"add_prefix_space"`
	UseRegex       *bool       `json:"use_regex"`
	Individual     bool        `json:"individual_digits"`
	Behavior       string
	PrependScheme  string          `json:"prepend_scheme"`
	Prepend        string          `json:"prepend"`
	Content        json.RawMessage `json:"content"`
	Pattern        struct{ Regex, String string }
}

// parts returns a component's parts in order.
func (c *component) parts() []component {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []component{*c}
	}
	var all []component
	for _, inner := range append(c.Normalizers, c.PreTokenizers...) {
		all = append(all, inner.parts()...)
	}
	return all
}

func newVocabulary(t *tokenizer.Tokenizer, size int) (*vocabulary, error) {
	raw := t.File("tokenizer.json")
	if raw == nil {
		return nil, errors.New("the tokenizer has no tokenizer.json, which the export is made from")
	}
	var j tokenizerJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	if j.Model.Type != "BPE" && j.Model.Type != "" {
		return nil, fmt.Errorf("tokenizer.json: a model of the type %s has no counterpart in GGUF (supported: BPE)", j.Model.Type)
	}
	var ids map[string]int
	if err := json.Unmarshal(j.Model.Vocab, &ids); err != nil {
		return nil, fmt.Errorf("tokenizer.json: model.vocab: %w", err)
	}
	v := &vocabulary{template: t.ChatTemplate()}
	if err := v.list(t, j, ids, size); err != nil {
		return nil, err
	}
	merges, err := pairsOf(j.Model.Merges)
	if err != nil {
		return nil, err
	}
	if j.Model.ByteFallback {
		err = v.sentencePiece(j, merges, ids)
	} else {
		err = v.byteLevel(j, merges)
	}
	if err != nil {
		return nil, err
	}
	v.roles(t, j, ids)
	return v, nil
}

// list makes the table of tokens, which has a row for each of the model's.
func (v *vocabulary) list(t *tokenizer.Tokenizer, j tokenizerJSON, ids map[string]int, size int) error {
	if t.VocabSize() > size {
		return fmt.Errorf("the tokenizer has %d tokens, the model %d (vocab_size)", t.VocabSize(), size)
	}
	v.tokens, v.types = make([]string, size), make([]int32, size)
	for i := range v.tokens {
		v.tokens[i], v.types[i] = fmt.Sprintf("[PAD%d]", i), unusedToken
	}
	for token, id := range ids {
		if id < 0 || id >= size {
			return fmt.Errorf("tokenizer.json: token %q has the id %d, and the model %d tokens", token, id, size)
		}
		v.tokens[id], v.types[id] = token, normalToken
	}
	var config struct {
		Added map[string]addedToken `json:"added_tokens_decoder"`
	}
	_ = json.Unmarshal(t.File("tokenizer_config.json"), &config) // it was read before, or is absent
	for text, token := range config.Added {
		var err error
		if token.ID, err = strconv.Atoi(text); err == nil {
			j.Added = append(j.Added, token)
		}
	}
	for _, token := range j.Added {
		if token.ID < 0 || token.ID >= size {
			return fmt.Errorf("the added token %q has the id %d, and the model %d tokens", token.Content, token.ID, size)
		}
		v.added(token)
	}
	return nil
}

// added enters an added token, which llama.cpp looks for in the text as it is.
func (v *vocabulary) added(t addedToken) {
	if t.Special || looksSpecial(t.Content) {
		v.tokens[t.ID], v.types[t.ID] = t.Content, controlToken
		return
	}
	v.tokens[t.ID], v.types[t.ID] = strings.ReplaceAll(t.Content, "▁", " "), userToken
}

// looksSpecial reports added tokens that are control tokens though their files do not mark
// them so, by the rule of llama.cpp's converter.
func looksSpecial(token string) bool {
	between := func(first, last string) bool {
		return strings.HasPrefix(token, first) && strings.HasSuffix(token, last)
	}
	return slices.Contains([]string{"<pad>", "<mask>", "<2mass>", "[@BOS@]"}, token) ||
		between("<|", "|>") || between("<｜", "｜>") || between("<unused", ">")
}

// pairsOf reads merges in either spelling.
func pairsOf(raw []json.RawMessage) ([][2]string, error) {
	merges := make([][2]string, len(raw))
	for i, m := range raw {
		var text string
		if json.Unmarshal(m, &text) == nil {
			a, b, _ := strings.Cut(text, " ")
			merges[i] = [2]string{a, b}
		} else if err := json.Unmarshal(m, &merges[i]); err != nil {
			return nil, fmt.Errorf("tokenizer.json: merge %d: %w", i, err)
		}
	}
	return merges, nil
}

// preTokenizers names what llama.cpp has for a split: the patterns that come after each
// other, and whether whole words in the vocabulary are taken as they are.
var preTokenizers = []struct {
	name         string
	split        string
	ignoreMerges bool
}{
	{"gpt-2", "ByteLevel", false},
	{"smollm", "Digits ByteLevel", false},
	{"llama-bpe", split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), true},
	{"dbrx", split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), false},
	{"qwen2", split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), false},
	{"tekken", split("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), true},
	{"gpt-4o", split("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"), false},
}

// split is the text of a split by a pattern before bytes become characters.
func split(pattern string) string { return "Split " + pattern + " Bytes" }

// splitOf returns the text of a pre-tokenizer.
func splitOf(c *component) string {
	var words []string
	for _, p := range c.parts() {
		switch {
		case p.AddPrefixSpace:
			words = append(words, p.Type+" with add_prefix_space")
		case p.Type == "ByteLevel" && p.UseRegex != nil && !*p.UseRegex:
			words = append(words, "Bytes")
		case p.Type == "Split":
			words = append(words, "Split "+p.Pattern.Regex+p.Pattern.String)
		case p.Type == "Digits" && !p.Individual:
			words = append(words, "Digits in groups")
		default:
			words = append(words, p.Type)
		}
	}
	return strings.Join(words, " ")
}

func (v *vocabulary) byteLevel(j tokenizerJSON, merges [][2]string) error {
	found := splitOf(j.PreTokenizer)
	for _, p := range preTokenizers {
		if p.split == found && (p.ignoreMerges == j.Model.IgnoreMerges || v.pre == "") {
			v.pre = p.name
		}
	}
	if v.pre == "" {
		return fmt.Errorf("tokenizer.json: llama.cpp has no name for the pre_tokenizer %s", found)
	}
	for _, p := range j.Normalizer.parts() {
		v.notes = append(v.notes, fmt.Sprintf("llama.cpp leaves out the tokenizer's normalizer %s", p.Type))
	}
	v.model = "gpt2"
	space := strings.NewReplacer(" ", "Ġ")
	for _, m := range merges {
		v.merges = append(v.merges, space.Replace(m[0])+" "+space.Replace(m[1]))
	}
	return nil
}

var byteName = regexp.MustCompile(`^<0x[0-9A-Fa-f]{2}>$`)

// sentencePiece gives each token a score. llama.cpp joins the two neighbours whose token
// has the highest, so that the rank of the first merge that makes it, negated, is one.
func (v *vocabulary) sentencePiece(j tokenizerJSON, merges [][2]string, ids map[string]int) error {
	v.model, v.pre = "llama", "default"
	for _, p := range append(j.Normalizer.parts(), j.PreTokenizer.parts()...) {
		switch p.Type {
		case "Prepend":
			v.prefixSpace = true
		case "Metaspace":
			v.prefixSpace = p.PrependScheme != "never"
		case "Replace", "Split":
		default:
			return fmt.Errorf("tokenizer.json: %s has no counterpart in GGUF's tokenizer \"llama\"", p.Type)
		}
	}
	v.scores = make([]float32, len(v.tokens))
	last := float32(-len(merges))
	for id := range v.scores {
		v.scores[id] = last
	}
	known := make(map[[2]string]bool, len(merges))
	for rank := len(merges) - 1; rank >= 0; rank-- {
		known[merges[rank]] = true
		if id, ok := ids[merges[rank][0]+merges[rank][1]]; ok {
			v.scores[id] = float32(-rank)
		}
	}
	for id, token := range v.tokens {
		switch {
		case v.types[id] == normalToken && byteName.MatchString(token):
			v.types[id], v.scores[id] = byteToken, 0
		case v.types[id] == controlToken, v.types[id] == userToken:
			v.scores[id] = -1000
		case v.types[id] == normalToken:
			v.complete(token, known, ids)
		}
	}
	return nil
}

// complete notes tokens that llama.cpp would make of two others and the tokenizer does
// not.
func (v *vocabulary) complete(token string, known map[[2]string]bool, ids map[string]int) {
	const note = "llama.cpp joins any two tokens whose text is a token, and the tokenizer has no merge for some: texts may be split otherwise"
	if slices.Contains(v.notes, note) {
		return
	}
	for i := range token {
		if i == 0 {
			continue
		}
		_, a := ids[token[:i]]
		_, b := ids[token[i:]]
		if a && b && !known[[2]string{token[:i], token[i:]}] {
			v.notes = append(v.notes, note)
			return
		}
	}
}

// roles says which tokens begin, end and fill a text, and which are put around it.
func (v *vocabulary) roles(t *tokenizer.Tokenizer, j tokenizerJSON, ids map[string]int) {
	add := func(key string, value gguf.Value) {
		v.ids = append(v.ids, gguf.Pair{Key: "tokenizer.ggml." + key, Value: value})
	}
	if id, ok := t.BOS(); ok {
		add("bos_token_id", gguf.Uint(uint32(id)))
	}
	eos, ends := t.EOS()
	if ends {
		add("eos_token_id", gguf.Uint(uint32(eos)))
	}
	if id, ok := v.unknown(t, j, ids); ok {
		add("unknown_token_id", gguf.Uint(uint32(id)))
		if v.model == "llama" {
			v.types[id] = unknownToken
		}
	}
	if id, ok := t.Pad(); ok {
		add("padding_token_id", gguf.Uint(uint32(id)))
	}
	around := t.EncodeSpecial("a")
	add("add_bos_token", gguf.Flag(t.AddsBOS()))
	add("add_eos_token", gguf.Flag(ends && len(around) > 0 && around[len(around)-1] == eos))
	if v.model == "llama" {
		add("add_space_prefix", gguf.Flag(v.prefixSpace))
	}
}

// unknown finds the token that stands for what cannot be encoded.
func (v *vocabulary) unknown(t *tokenizer.Tokenizer, j tokenizerJSON, ids map[string]int) (int, bool) {
	var c map[string]json.RawMessage
	_ = json.Unmarshal(t.File("tokenizer_config.json"), &c) // it was read before, or is absent
	var name string
	var object struct{ Content string }
	if json.Unmarshal(c["unk_token"], &name) != nil && json.Unmarshal(c["unk_token"], &object) == nil {
		name = object.Content
	}
	if name == "" && j.Model.UnkToken != nil {
		name = *j.Model.UnkToken
	}
	if id, ok := ids[name]; ok {
		return id, true
	}
	id, ok := t.ID(name)
	return int(id), ok && name != ""
}

// checkName refuses names by which llama.cpp takes a model for a Phi-3, whose tokens it then
// looks for: without them it cannot open the file.
func (v *vocabulary) checkName(model string) error {
	lower := strings.ToLower(model)
	if !strings.Contains(lower, "phi3") && !strings.Contains(lower, "phi-3") {
		return nil
	}
	for _, token := range []string{"</s>", "<unk>", "<s>", "<|endoftext|>"} {
		if !slices.Contains(v.tokens, token) {
			return fmt.Errorf("llama.cpp takes a model that is called %s for one with Phi-3's tokenizer, and %s is no token of this one: name its folder otherwise", model, token)
		}
	}
	return nil
}

// metadata returns the keys of the tokenizer.
func (v *vocabulary) metadata() gguf.Metadata {
	m := gguf.Metadata{
		{Key: "tokenizer.ggml.model", Value: gguf.Text(v.model)}, {Key: "tokenizer.ggml.pre", Value: gguf.Text(v.pre)},
		{Key: "tokenizer.ggml.tokens", Value: gguf.Texts(v.tokens)}, {Key: "tokenizer.ggml.token_type", Value: gguf.Ints(v.types)},
	}
	if v.scores != nil {
		m = append(m, gguf.Pair{Key: "tokenizer.ggml.scores", Value: gguf.Floats(v.scores)})
	}
	if v.merges != nil {
		m = append(m, gguf.Pair{Key: "tokenizer.ggml.merges", Value: gguf.Texts(v.merges)})
	}
	m = append(m, v.ids...)
	if v.template != "" {
		m = append(m, gguf.Pair{Key: "tokenizer.chat_template", Value: gguf.Text(v.template)})
	}
	return m
}
