package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// bpe merges the symbols of a word, the pair with the lowest rank first (Sennrich et
// al. 2016, arXiv:1508.07909). Symbols are bytes at first (Radford et al. 2019), or
// characters; one that the vocabulary lacks becomes the tokens of its bytes, the
// unknown token or nothing.
type bpe struct {
	ids          map[string]int32 // by token
	tokens       []string         // by id; "" where an id is not used
	merges       map[pair]merge
	ignoreMerges bool
	ofBytes      *bytewise // nil if words come as characters
	prefix       string    // of characters that do not begin a word
	suffix       string    // of the last character of a word
	fallback     *[256]int32
	unknown      int32 // −1 for none
	fuseUnknown  bool
}

// bytewise is what a model needs whose words come as bytes.
type bytewise struct {
	ids     [256]int32 // of each byte, −1 if the vocabulary lacks it
	lengths []int32    // by id: the bytes a token stands for
}

type pair struct{ a, b int32 }

// merge is what a pair becomes; a lower rank is merged first.
type merge struct {
	rank int
	id   int32
}

// bpeJSON is the entry "model" of a BPE.
type bpeJSON struct {
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

func newBPE(c component, bytes bool) (model, error) {
	var j bpeJSON
	if err := c.read(&j); err != nil {
		return nil, err
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	if j.Dropout != nil && *j.Dropout != 0 {
		return nil, c.errorf("dropout %g is not supported", *j.Dropout)
	}
	m := &bpe{
		ids: j.Vocab, merges: make(map[pair]merge, len(j.Merges)), ignoreMerges: j.IgnoreMerges,
		prefix: text(j.Prefix), suffix: text(j.Suffix), unknown: -1, fuseUnknown: j.FuseUnk,
	}
	var err error
	if m.tokens, err = tableOf(c, j.Vocab); err != nil {
		return nil, err
	}
	if j.ByteFallback {
		m.fallback = byteTokens(m.ids)
	}
	if token := text(j.UnkToken); token != "" {
		if id, ok := m.ids[token]; ok {
			m.unknown = id
		}
	}
	if bytes {
		m.ofBytes = m.bytewise(j)
	}
	if token := text(j.UnkToken); token != "" && m.unknown < 0 && m.ofBytes == nil {
		return nil, c.errorf("unk_token %q is not in vocab", token)
	}
	for rank, raw := range j.Merges {
		if err := m.addMerge(rank, raw); err != nil {
			return nil, c.errorf("merge %d: %w", rank, err)
		}
	}
	return m, nil
}

// bytewise returns nil where a word of bytes would not give what its characters do.
func (m *bpe) bytewise(j bpeJSON) *bytewise {
	b := &bytewise{lengths: make([]int32, len(m.tokens))}
	for i := range b.ids {
		b.ids[i] = -1
		if id, ok := m.ids[string(byteToRune[i])]; ok {
			b.ids[i] = id
		} else if j.UnkToken != nil && *j.UnkToken != "" || j.ByteFallback {
			return nil
		}
	}
	if m.prefix != "" || m.suffix != "" {
		return nil
	}
	for id, token := range m.tokens {
		b.lengths[id] = int32(len(fromByteLevel(token)))
	}
	return b
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
	id, okC := m.ids[ab[0]+strings.TrimPrefix(ab[1], m.prefix)]
	if !okA || !okB || !okC {
		return fmt.Errorf("%q and %q, or the two joined, are not in vocab", ab[0], ab[1])
	}
	m.merges[pair{a, b}] = merge{rank: rank, id: id}
	return nil
}

func (m *bpe) vocabulary() []string { return m.tokens }

func (m *bpe) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

func (m *bpe) word(word string) []symbol {
	if m.ignoreMerges {
		token := word
		if m.ofBytes != nil {
			token = toByteLevel(word)
		}
		if id, ok := m.ids[token]; ok {
			return []symbol{{id, int32(len(word))}}
		}
	}
	var symbols []symbol
	if m.ofBytes != nil {
		symbols = m.ofBytes.symbols(word)
	} else {
		symbols = m.characters(word)
	}
	if len(symbols) > 32 {
		return m.mergeLong(symbols)
	}
	return m.mergeShort(symbols)
}

// symbols leaves out bytes that the vocabulary lacks, as the reference implementation
// does without an unknown token.
func (b *bytewise) symbols(word string) []symbol {
	symbols := make([]symbol, 0, len(word))
	for i := range len(word) {
		if id := b.ids[word[i]]; id >= 0 {
			symbols = append(symbols, symbol{id, 1})
		}
	}
	return symbols
}

// characters are the symbols of a word before any merge.
func (m *bpe) characters(word string) []symbol {
	symbols := make([]symbol, 0, len(word))
	pending := int32(0) // bytes of unknown characters that are not written yet
	flush := func() {
		if pending > 0 {
			symbols = append(symbols, symbol{m.unknown, pending})
			pending = 0
		}
	}
	for i, n := 0, 0; i < len(word); i += n {
		_, n = utf8.DecodeRuneInString(word[i:])
		token := word[i : i+n]
		if i > 0 && m.prefix != "" {
			token = m.prefix + token
		}
		if i+n == len(word) && m.suffix != "" {
			token += m.suffix
		}
		if id, ok := m.ids[token]; ok {
			flush()
			symbols = append(symbols, symbol{id, int32(n)})
			continue
		}
		if m.fallback != nil {
			// Unknown characters before are written after these bytes, as in the
			// reference implementation.
			var ok bool
			if symbols, ok = appendBytes(symbols, m.fallback, token); ok {
				continue
			}
		}
		if m.unknown < 0 {
			continue
		}
		if !m.fuseUnknown {
			flush()
		}
		pending += int32(n)
	}
	flush()
	return symbols
}

func (m *bpe) mergeShort(symbols []symbol) []symbol {
	for {
		best, at := merge{rank: -1}, 0
		for i := 0; i+1 < len(symbols); i++ {
			if c, ok := m.merges[pair{symbols[i].id, symbols[i+1].id}]; ok && (best.rank < 0 || c.rank < best.rank) {
				best, at = c, i
			}
		}
		if best.rank < 0 {
			return symbols
		}
		symbols[at] = symbol{best.id, symbols[at].n + symbols[at+1].n}
		symbols = append(symbols[:at+1], symbols[at+2:]...)
	}
}

// candidate is a pair that may be merged, the symbol at place and its neighbour, in
// the order of ranks and then from left to right.
type candidate struct {
	order uint64 // rank<<32 | place
	pair  pair
	id    int32
}

// queue is a binary heap with the lowest order on top.
type queue []candidate

func (q *queue) push(c candidate) {
	h := append(*q, c)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2].order > c.order {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = c
	*q = h
}

func (q *queue) pop() candidate {
	h := *q
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1].order < h[child].order {
			child++
		}
		if child >= len(h) || h[child].order >= last.order {
			h[i] = last
			break
		}
		h[i] = h[child]
		i = child
	}
	*q = h
	return top
}

// mergeLong is mergeShort in n·log n: a list of symbols and a queue.
func (m *bpe) mergeLong(symbols []symbol) []symbol {
	n := int32(len(symbols))
	next, prev := make([]int32, n), make([]int32, n)
	var q queue
	consider := func(i int32) {
		if i < 0 || next[i] >= n {
			return
		}
		p := pair{symbols[i].id, symbols[next[i]].id}
		if c, ok := m.merges[p]; ok {
			q.push(candidate{order: uint64(c.rank)<<32 | uint64(i), pair: p, id: c.id})
		}
	}
	for i := range n {
		next[i], prev[i] = i+1, i-1
	}
	for i := range n {
		consider(i)
	}
	for len(q) > 0 {
		c := q.pop()
		i := int32(c.order & (1<<32 - 1))
		if symbols[i].id != c.pair.a || next[i] >= n || symbols[next[i]].id != c.pair.b {
			continue // a neighbour has been merged meanwhile
		}
		gone := next[i]
		symbols[i] = symbol{c.id, symbols[i].n + symbols[gone].n}
		symbols[gone].id = -1
		next[i] = next[gone]
		if next[i] < n {
			prev[next[i]] = i
		}
		consider(prev[i])
		consider(i)
	}
	out := symbols[:0]
	for _, s := range symbols {
		if s.id >= 0 {
			out = append(out, s)
		}
	}
	return out
}
