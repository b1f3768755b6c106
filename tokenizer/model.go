package tokenizer

import (
	"encoding/json"
	"fmt"
)

// A model turns a word of the pre-tokenizer into ids.
type model interface {
	word(word string) []symbol
	vocabulary() []string // by id; "" where an id is not used
	id(token string) (int32, bool)
}

// A symbol is a token in a word: its id, and how many bytes of the word it stands
// for.
type symbol struct{ id, n int32 }

// models read the entry "model" of tokenizer.json. With bytes the words come as bytes
// of text and the vocabulary writes bytes as characters, if the model can do so; else
// the pre-tokenizer's last stage writes them.
var models = map[string]func(c component, bytes bool) (model, error){
	"BPE":       newBPE,
	"Unigram":   newUnigram,
	"WordPiece": newWordPiece,
	"WordLevel": newWordLevel,
}

func newModel(raw json.RawMessage, bytes bool) (model, error) {
	if absent(raw) {
		return nil, fmt.Errorf("model: there is none")
	}
	var keys struct {
		Type   string          `json:"type"`
		Merges json.RawMessage `json:"merges"`
	}
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if keys.Type == "" && keys.Merges != nil {
		keys.Type = "BPE" // early files do not say it
	}
	c := component{"model", keys.Type, raw}
	build, err := find(c, models)
	if err != nil {
		return nil, err
	}
	return build(c, bytes)
}

// maxID bounds ids, so that a hostile file cannot ask for a table of all int32.
const maxID = 1 << 22

// tableOf turns a vocabulary around.
func tableOf(c component, ids map[string]int32) ([]string, error) {
	if ids == nil {
		return nil, c.errorf("vocab is missing")
	}
	var table []string
	for token, id := range ids {
		if err := enter(&table, token, id); err != nil {
			return nil, c.errorf("vocab: %w", err)
		}
	}
	return table, nil
}

// enter puts a token at its id.
func enter(table *[]string, token string, id int32) error {
	if id < 0 || id >= maxID {
		return fmt.Errorf("token %q has the id %d, outside 0…%d", token, id, maxID-1)
	}
	for int(id) >= len(*table) {
		*table = append(*table, make([]string, int(id)+1-len(*table))...)
	}
	if was := (*table)[id]; was != "" && was != token {
		return fmt.Errorf("tokens %q and %q share the id %d", was, token, id)
	}
	(*table)[id] = token
	return nil
}

// byteTokens are the ids of the tokens <0x00>…<0xFF> that stand for single bytes, −1
// where the vocabulary has none.
func byteTokens(ids map[string]int32) *[256]int32 {
	var all [256]int32
	for b := range all {
		all[b] = -1
		if id, ok := ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			all[b] = id
		}
	}
	return &all
}

// appendBytes appends the tokens of the bytes of a text, or nothing if one is missing.
func appendBytes(to []symbol, tokens *[256]int32, text string) ([]symbol, bool) {
	start := len(to)
	for i := range len(text) {
		id := tokens[text[i]]
		if id < 0 {
			return to[:start], false
		}
		to = append(to, symbol{id, 1})
	}
	return to, true
}

// A scratch belongs to one call at a time. It keeps the ids of words, so that
// calls wait for each other nowhere.
type scratch struct{ words map[string][]symbol }

// A scratch holds at most cacheWords words of at most cacheLength bytes.
const (
	cacheWords  = 1 << 15
	cacheLength = 64
)

func (t *Tokenizer) scratch() *scratch {
	if s, ok := t.pool.Get().(*scratch); ok {
		return s
	}
	return &scratch{words: make(map[string][]symbol)}
}

func (t *Tokenizer) release(s *scratch) { t.pool.Put(s) }

// word returns the tokens of one word of the pre-tokenizer.
func (s *scratch) word(m model, word string) []symbol {
	if len(word) > cacheLength {
		return m.word(word)
	}
	known, ok := s.words[word]
	if !ok {
		known = m.word(word)
		if len(s.words) == cacheWords {
			clear(s.words) // what came once may not come again
		}
		s.words[string([]byte(word))] = known
	}
	return known
}
