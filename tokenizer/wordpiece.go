package tokenizer

import (
	"unicode/utf8"
)

// wordPiece takes from the start of a word the longest token, and so on (Wu et al.
// 2016, arXiv:1609.08144; Devlin et al. 2019). A word that cannot be cut so is the
// unknown token.
type wordPiece struct {
	ids     map[string]int32
	tokens  []string
	unknown int32
	prefix  string // of tokens that do not begin a word
	limit   int    // longer words, in characters, are unknown
	longest int    // token, in bytes
}

type wordJSON struct {
	Vocab    map[string]int32 `json:"vocab"`
	UnkToken string           `json:"unk_token"`
	Prefix   string           `json:"continuing_subword_prefix"`
	Limit    int              `json:"max_input_chars_per_word"`
}

// newWords reads what WordPiece and WordLevel share.
func newWords(c component, j *wordJSON) (tokens []string, unknown int32, err error) {
	if err := c.read(j); err != nil {
		return nil, 0, err
	}
	if tokens, err = tableOf(c, j.Vocab); err != nil {
		return nil, 0, err
	}
	unknown, ok := j.Vocab[j.UnkToken]
	if !ok {
		return nil, 0, c.errorf("unk_token %q is not in vocab", j.UnkToken)
	}
	return tokens, unknown, nil
}

func newWordPiece(c component, _ bool) (model, error) {
	j := wordJSON{UnkToken: "[UNK]", Prefix: "##", Limit: 100}
	tokens, unknown, err := newWords(c, &j)
	if err != nil {
		return nil, err
	}
	m := &wordPiece{ids: j.Vocab, tokens: tokens, unknown: unknown, prefix: j.Prefix, limit: j.Limit}
	for _, token := range tokens {
		m.longest = max(m.longest, len(token))
	}
	return m, nil
}

func (m *wordPiece) vocabulary() []string { return m.tokens }

func (m *wordPiece) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

func (m *wordPiece) word(word string) []symbol {
	whole := []symbol{{m.unknown, int32(len(word))}}
	if utf8.RuneCountInString(word) > m.limit {
		return whole
	}
	var out []symbol
	for start := 0; start < len(word); {
		id, n := m.longestAt(word[start:], start > 0)
		if n == 0 {
			return whole
		}
		out = append(out, symbol{id, int32(n)})
		start += n
	}
	return out
}

// longestAt returns the longest token with which a rest of a word begins.
func (m *wordPiece) longestAt(rest string, inside bool) (id int32, n int) {
	prefix := ""
	if inside {
		prefix = m.prefix
	}
	for n = min(len(rest), m.longest); n > 0; n-- {
		if n < len(rest) && !utf8.RuneStart(rest[n]) {
			continue
		}
		if id, ok := m.ids[prefix+rest[:n]]; ok {
			return id, n
		}
	}
	return 0, 0
}

// wordLevel knows whole words alone.
type wordLevel struct {
	ids     map[string]int32
	tokens  []string
	unknown int32
}

func newWordLevel(c component, _ bool) (model, error) {
	var j wordJSON
	tokens, unknown, err := newWords(c, &j)
	if err != nil {
		return nil, err
	}
	return &wordLevel{j.Vocab, tokens, unknown}, nil
}

func (m *wordLevel) vocabulary() []string { return m.tokens }

func (m *wordLevel) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

func (m *wordLevel) word(word string) []symbol {
	id, ok := m.ids[word]
	if !ok {
		id = m.unknown
	}
	return []symbol{{id, int32(len(word))}}
}
