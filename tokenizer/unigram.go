package tokenizer

import (
	"math"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// unigram cuts a word into the tokens whose scores, logarithms of probabilities, have
// the largest sum (Kudo 2018, arXiv:1804.10959), by Viterbi's way.
type unigram struct {
	ids      map[string]int32
	tokens   []string
	scores   []float64 // by id
	sorted   []int32   // ids in the order of their texts
	unknown  int32     // −1 for none
	lowest   float64   // of the unknown token
	fallback *[256]int32
}

// unknownPenalty is how far below the lowest score an unknown character is.
const unknownPenalty = 10

// scored is an entry of the vocabulary: ["text", -1.5].
type scored struct {
	text  string
	score float64
}

func (s *scored) UnmarshalJSON(b []byte) error {
	return readPair(b, &s.text, &s.score)
}

func newUnigram(c component, _ bool) (model, error) {
	var j struct {
		Vocab        []scored `json:"vocab"`
		UnkID        *int32   `json:"unk_id"`
		ByteFallback bool     `json:"byte_fallback"`
	}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	switch {
	case len(j.Vocab) == 0:
		return nil, c.errorf("vocab is missing")
	case len(j.Vocab) > maxID:
		return nil, c.errorf("vocab has %d tokens, more than %d", len(j.Vocab), maxID)
	case j.UnkID != nil && (*j.UnkID < 0 || int(*j.UnkID) >= len(j.Vocab)):
		return nil, c.errorf("unk_id %d is not in vocab", *j.UnkID)
	}
	m := &unigram{ids: make(map[string]int32, len(j.Vocab)), unknown: -1, lowest: math.Inf(1)}
	for id, v := range j.Vocab {
		m.ids[v.text] = int32(id) // of equal texts the last
		m.tokens = append(m.tokens, v.text)
		m.scores = append(m.scores, v.score)
		m.lowest = min(m.lowest, v.score)
	}
	m.lowest -= unknownPenalty
	for _, id := range m.ids {
		if m.tokens[id] != "" {
			m.sorted = append(m.sorted, id)
		}
	}
	slices.SortFunc(m.sorted, func(a, b int32) int { return strings.Compare(m.tokens[a], m.tokens[b]) })
	if j.UnkID != nil {
		m.unknown = *j.UnkID
	}
	if j.ByteFallback {
		m.fallback = byteTokens(m.ids)
	}
	return m, nil
}

func (m *unigram) vocabulary() []string { return m.tokens }

func (m *unigram) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

// beginnings yields the tokens with which a text begins, from short to long.
func (m *unigram) beginnings(text string, yield func(id int32, length int)) {
	left := m.sorted // tokens that begin with text[:at]
	for at := 0; at < len(text) && len(left) > 0; at++ {
		c := text[at]
		from := sort.Search(len(left), func(i int) bool { return m.tokens[left[i]][at] >= c })
		left = left[from:]
		to := sort.Search(len(left), func(i int) bool { return m.tokens[left[i]][at] > c })
		left = left[:to]
		if len(left) > 0 && len(m.tokens[left[0]]) == at+1 {
			yield(left[0], at+1)
			left = left[1:]
		}
	}
}

// step is how the best way to a place in a word ends.
type step struct {
	score float64
	from  int // −1 if there is no way
	id    int32
}

func (m *unigram) word(word string) []symbol {
	steps := make([]step, len(word)+1)
	for i := range steps {
		steps[i].from = -1
	}
	steps[0].from = 0
	for at, n := 0, 0; at < len(word); at += n {
		_, n = utf8.DecodeRuneInString(word[at:])
		score, single := steps[at].score, false
		reach := func(to int, by float64, id int32) {
			if s := score + by; steps[to].from < 0 || s > steps[to].score {
				steps[to] = step{s, at, id}
			}
		}
		m.beginnings(word[at:], func(id int32, length int) {
			reach(at+length, m.scores[id], id)
			single = single || length == n
		})
		if !single {
			reach(at+n, m.lowest, m.unknown)
		}
	}
	var path []symbol // from the end, unknown characters in a row as one
	for to := len(word); to > 0; to = steps[to].from {
		s := symbol{steps[to].id, int32(to - steps[to].from)}
		if last := len(path) - 1; last >= 0 && s.id == m.unknown && path[last].id == m.unknown {
			path[last].n += s.n
			continue
		}
		path = append(path, s)
	}
	slices.Reverse(path)
	return m.known(word, path)
}

// known looks the parts of a word up. Unknown ones become the tokens of their bytes,
// the unknown token or, without one, nothing.
func (m *unigram) known(word string, path []symbol) []symbol {
	var out []symbol
	at := 0
	for _, s := range path {
		text := word[at : at+int(s.n)]
		at += int(s.n)
		if id, ok := m.ids[text]; ok {
			out = append(out, symbol{id, s.n})
			continue
		}
		if m.fallback != nil {
			var ok bool
			if out, ok = appendBytes(out, m.fallback, text); ok {
				continue
			}
		}
		if m.unknown >= 0 {
			out = append(out, symbol{m.unknown, s.n})
		}
	}
	return out
}
