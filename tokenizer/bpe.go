package tokenizer

import (
	"container/heap"
	"strings"
)

// bpe holds vocabulary and merges. Words are given as raw bytes.
type bpe struct {
	tokens       []string         // by id; "" where an id is not used
	lengths      []int            // by id: the bytes a token stands for
	ids          map[string]int32 // by token
	bytes        [256]int32       // id of each byte, -1 if the vocabulary lacks it
	merges       map[pair]merge
	ignoreMerges bool
}

// A scratch belongs to one call at a time. It keeps the ids of words, so that
// calls wait for each other nowhere.
type scratch struct{ words map[string][]int32 }

// A scratch holds at most cacheWords words of at most cacheLength bytes.
const (
	cacheWords  = 1 << 15
	cacheLength = 64
)

func (t *Tokenizer) scratch() *scratch {
	if s, ok := t.pool.Get().(*scratch); ok {
		return s
	}
	return &scratch{words: make(map[string][]int32)}
}

func (t *Tokenizer) release(s *scratch) { t.pool.Put(s) }

type pair struct{ a, b int32 }

// merge is what a pair becomes; a lower rank is merged first.
type merge struct {
	rank int
	id   int32
}

// appendWord appends the ids of one word of the pre-tokenizer.
func (s *scratch) appendWord(ids []int32, m *bpe, word string) []int32 {
	if len(word) > cacheLength {
		return append(ids, m.word(word)...)
	}
	known, ok := s.words[word]
	if !ok {
		known = m.word(word)
		if len(s.words) == cacheWords {
			clear(s.words) // what came once may not come again
		}
		s.words[strings.Clone(word)] = known
	}
	return append(ids, known...)
}

// word applies the merges to the bytes of a word. Bytes that the vocabulary
// lacks are left out, as in the reference implementation without an unknown
// token.
func (m *bpe) word(word string) []int32 {
	if m.ignoreMerges {
		if id, ok := m.ids[toByteLevel(word)]; ok {
			return []int32{id}
		}
	}
	symbols := make([]int32, 0, len(word))
	for i := range len(word) {
		if id := m.bytes[word[i]]; id >= 0 {
			symbols = append(symbols, id)
		}
	}
	if len(symbols) > 32 {
		return m.mergeLong(symbols)
	}
	for {
		best, at := merge{rank: -1}, 0
		for i := 0; i+1 < len(symbols); i++ {
			if c, ok := m.merges[pair{symbols[i], symbols[i+1]}]; ok && (best.rank < 0 || c.rank < best.rank) {
				best, at = c, i
			}
		}
		if best.rank < 0 {
			return symbols
		}
		symbols[at] = best.id
		symbols = append(symbols[:at+1], symbols[at+2:]...)
	}
}

// candidate is a pair that may be merged: the symbol at place and its neighbour.
type candidate struct {
	rank  int
	place int32
	pair  pair
	id    int32
}

// queue orders candidates by rank, then from left to right.
type queue []candidate

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].place < q[j].place
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(candidate)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// mergeLong is the loop of word in n·log n: a list of symbols and a queue.
func (m *bpe) mergeLong(symbols []int32) []int32 {
	n := int32(len(symbols))
	next, prev := make([]int32, n), make([]int32, n)
	var q queue
	consider := func(i int32) {
		if i < 0 || next[i] >= n {
			return
		}
		p := pair{symbols[i], symbols[next[i]]}
		if c, ok := m.merges[p]; ok {
			heap.Push(&q, candidate{rank: c.rank, place: i, pair: p, id: c.id})
		}
	}
	for i := range n {
		next[i], prev[i] = i+1, i-1
	}
	for i := range n {
		consider(i)
	}
	for len(q) > 0 {
		c := heap.Pop(&q).(candidate)
		i := c.place
		if symbols[i] != c.pair.a || next[i] >= n || symbols[next[i]] != c.pair.b {
			continue // a neighbour has been merged meanwhile
		}
		gone := next[i]
		symbols[i], symbols[gone] = c.id, -1
		next[i] = next[gone]
		if next[i] < n {
			prev[next[i]] = i
		}
		consider(prev[i])
		consider(i)
	}
	out := symbols[:0]
	for _, s := range symbols {
		if s >= 0 {
			out = append(out, s)
		}
	}
	return out
}
