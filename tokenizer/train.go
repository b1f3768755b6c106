package tokenizer

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gotune/internal/disk"
)

// TrainConfig says what tokenizer to train.
type TrainConfig struct {
	// VocabSize is the number of tokens, with the special tokens and the 256
	// bytes.
	VocabSize int
	// SpecialTokens get the first ids, in their order.
	SpecialTokens []string
	// EOS and Pad name special tokens by role; empty for none.
	EOS, Pad string
	// ChatTemplate is written to tokenizer_config.json; it may be empty.
	ChatTemplate string
}

// Train makes a byte-level BPE from texts, split into words as GPT-2 does. All
// bytes are in the vocabulary, so nothing is unknown. The most frequent pair is
// merged first, of equally frequent ones the one with the lower ids, as the
// trainer of Hugging Face's tokenizers has it; the result is the same.
func Train(ctx context.Context, texts iter.Seq[string], c TrainConfig) (*Tokenizer, error) {
	least := 256 + len(c.SpecialTokens)
	if c.VocabSize < least {
		return nil, fmt.Errorf("training a tokenizer: a vocabulary of %d does not hold the 256 bytes and %d special tokens; use at least %d", c.VocabSize, len(c.SpecialTokens), least)
	}
	counts := make(map[string]int)
	for text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		eachWord(wordGPT2)(text, func(start, end int) { counts[text[start:end]]++ })
	}
	if len(counts) == 0 {
		return nil, errors.New("training a tokenizer: there is no text")
	}
	tr := newTrainer(c, counts)
	if err := tr.run(ctx, c.VocabSize); err != nil {
		return nil, err
	}
	files, err := tr.files(c)
	if err != nil {
		return nil, fmt.Errorf("training a tokenizer: %w", err)
	}
	t, err := parse(files)
	if err != nil {
		return nil, fmt.Errorf("training a tokenizer: %w", err)
	}
	return t, nil
}

// Save writes the tokenizer's files to a folder, which is made if need be.
func (t *Tokenizer) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the tokenizer: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if err := disk.WriteBytes(filepath.Join(dir, name), t.files[name]); err != nil {
			return fmt.Errorf("saving the tokenizer: %w", err)
		}
	}
	return nil
}

// trainWord is a word as symbols, with how often it stands in the texts.
type trainWord struct {
	symbols []int32
	count   int
}

type trainer struct {
	tokens []string
	ids    map[string]int32
	merges [][2]string
	words  []trainWord
	counts map[pair]int
	where  map[pair]map[int]bool // words that may hold a pair
	queue  trainQueue
}

// counted is a pair with its count when it was queued.
type counted struct {
	pair  pair
	count int
}

// trainQueue has the most frequent pair on top, of equal ones the lowest.
type trainQueue []counted

func (q trainQueue) Len() int { return len(q) }
func (q trainQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.pair.a, b.pair.a), cmp.Compare(a.pair.b, b.pair.b)) < 0
}
func (q trainQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *trainQueue) Push(x any)   { *q = append(*q, x.(counted)) }
func (q *trainQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func newTrainer(c TrainConfig, counts map[string]int) *trainer {
	tr := &trainer{ids: make(map[string]int32), counts: make(map[pair]int), where: make(map[pair]map[int]bool)}
	for _, s := range c.SpecialTokens {
		tr.id(s)
	}
	alphabet := slices.Clone(byteToRune[:])
	slices.Sort(alphabet)
	for _, r := range alphabet {
		tr.id(string(r))
	}
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		w := trainWord{count: counts[text]}
		for i := range len(text) {
			w.symbols = append(w.symbols, tr.ids[string(byteToRune[text[i]])])
		}
		for i := 0; i+1 < len(w.symbols); i++ {
			tr.change(pair{w.symbols[i], w.symbols[i+1]}, w.count, len(tr.words))
		}
		tr.words = append(tr.words, w)
	}
	for p, n := range tr.counts {
		tr.queue = append(tr.queue, counted{p, n})
	}
	heap.Init(&tr.queue)
	return tr
}

// id returns the id of a token, giving it the next one if it is new.
func (tr *trainer) id(token string) int32 {
	id, ok := tr.ids[token]
	if !ok {
		id = int32(len(tr.tokens))
		tr.ids[token] = id
		tr.tokens = append(tr.tokens, token)
	}
	return id
}

func (tr *trainer) change(p pair, by, word int) {
	tr.counts[p] += by
	if by > 0 {
		if tr.where[p] == nil {
			tr.where[p] = make(map[int]bool)
		}
		tr.where[p][word] = true
	}
}

func (tr *trainer) run(ctx context.Context, size int) error {
	for len(tr.tokens) < size && len(tr.queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := heap.Pop(&tr.queue).(counted)
		if now := tr.counts[top.pair]; now != top.count {
			if now > 0 {
				heap.Push(&tr.queue, counted{top.pair, now})
			}
			continue
		}
		if top.count < 1 {
			break
		}
		a, b := tr.tokens[top.pair.a], tr.tokens[top.pair.b]
		id := tr.id(a + b)
		tr.merges = append(tr.merges, [2]string{a, b})
		touched := make(map[pair]bool)
		for word := range tr.where[top.pair] {
			tr.merge(word, top.pair, id, touched)
		}
		delete(tr.where, top.pair)
		for p := range touched {
			if tr.counts[p] > 0 {
				heap.Push(&tr.queue, counted{p, tr.counts[p]})
			}
		}
	}
	return nil
}

// merge replaces a pair in one word, from left to right, and counts anew what
// stands beside it. Pairs that became more frequent are noted in touched.
func (tr *trainer) merge(word int, p pair, id int32, touched map[pair]bool) {
	w := &tr.words[word]
	put := func(q pair, by int) {
		tr.change(q, by*w.count, word)
		if by > 0 {
			touched[q] = true
		}
	}
	s := w.symbols
	for i := 0; i+1 < len(s); i++ {
		if s[i] != p.a || s[i+1] != p.b {
			continue
		}
		if i > 0 {
			put(pair{s[i-1], p.a}, -1)
			put(pair{s[i-1], id}, 1)
		}
		s[i] = id
		s = append(s[:i+1], s[i+2:]...)
		if i+1 < len(s) {
			put(pair{p.b, s[i+1]}, -1)
			put(pair{id, s[i+1]}, 1)
		}
	}
	w.symbols = s
}

// files writes tokenizer.json and tokenizer_config.json as the libraries of
// Hugging Face read them.
func (tr *trainer) files(c TrainConfig) (map[string][]byte, error) {
	special := make([]addedToken, 0, len(c.SpecialTokens))
	for _, s := range c.SpecialTokens {
		special = append(special, addedToken{ID: tr.ids[s], Content: s, Special: true})
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	root := ordered{
		{"version", "1.0"}, {"truncation", nil}, {"padding", nil}, {"added_tokens", special}, {"normalizer", nil},
		{"pre_tokenizer", byteLevel}, {"post_processor", nil}, {"decoder", byteLevel},
	}
	vocab := make(ordered, len(tr.tokens))
	for id, token := range tr.tokens {
		vocab[id] = entry{token, id}
	}
	merges := tr.merges
	if merges == nil {
		merges = [][2]string{}
	}
	root = append(root, entry{"model", ordered{
		{"type", "BPE"}, {"dropout", nil}, {"unk_token", nil}, {"continuing_subword_prefix", nil}, {"end_of_word_suffix", nil},
		{"fuse_unk", false}, {"byte_fallback", false}, {"ignore_merges", false}, {"vocab", vocab}, {"merges", merges},
	}})
	config := ordered{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}}
	for _, role := range []entry{{"eos_token", c.EOS}, {"pad_token", c.Pad}, {"chat_template", c.ChatTemplate}} {
		if role.value != "" {
			config = append(config, role)
		}
	}
	files := make(map[string][]byte)
	for name, v := range map[string]ordered{tokenizerFile: root, configFile: config} {
		raw, err := v.MarshalJSON()
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := json.Indent(&b, raw, "", " "); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
		files[name] = b.Bytes()
	}
	return files, nil
}

// ordered is a JSON object whose keys keep their order.
type ordered []entry

type entry struct {
	key   string
	value any
}

// MarshalJSON writes the keys in order and no character as an HTML escape.
func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, e := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(e.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(e.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
