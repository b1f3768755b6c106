package tokenizer

import (
	"os"
	"path/filepath"

	library "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/normalizer"
)

// Library returns the tokenizer as parts of github.com/sugarme/tokenizer, for
// programs written to its interfaces. Ids are those of EncodeSpecial, or of Encode
// without special tokens; they come by a longer way and far more slowly.
//
// Its own parts differ from Hugging Face's: the loader drops added tokens and
// stops the program on patterns with look-ahead, byte fallback is missing, and a few
// merges of runs of spaces are wrong. So pre-tokenizer, model, decoder and
// post-processor are ours. Added tokens are found by the pre-tokenizer, and the
// normalizer is part of it, since some are looked for before it; the library's own
// list of them stays empty, and its Decode leaves none out.
func (t *Tokenizer) Library() *library.Tokenizer {
	l := library.NewTokenizer(libraryModel{t})
	l.WithPreTokenizer(libraryWords{t})
	l.WithDecoder(libraryDecoder{t})
	l.WithPostProcessor(libraryPost{t})
	return l
}

var (
	_ library.Model         = libraryModel{}
	_ library.PreTokenizer  = libraryWords{}
	_ library.Decoder       = libraryDecoder{}
	_ library.PostProcessor = libraryPost{}
)

// libraryModel turns words into tokens. Words of a byte-level tokenizer are written as
// characters of the vocabulary.
type libraryModel struct{ t *Tokenizer }

func (m libraryModel) Tokenize(word string) ([]library.Token, error) {
	if m.t.ofBytes() {
		word = fromByteLevel(word)
	}
	var tokens []library.Token
	at := 0
	for _, s := range m.t.model.word(word) {
		value, _ := m.t.Token(s.id)
		tokens = append(tokens, library.Token{Id: int(s.id), Value: value, Offsets: []int{at, at + int(s.n)}})
		at += int(s.n)
	}
	return tokens, nil
}

func (m libraryModel) TokenToId(token string) (int, bool) {
	id, ok := m.t.ID(token)
	return int(id), ok
}

func (m libraryModel) IdToToken(id int) (string, bool) { return m.t.Token(int32(id)) }

func (m libraryModel) GetVocab() map[string]int {
	vocab := make(map[string]int, len(m.t.tokens))
	for id, token := range m.t.tokens {
		if token != "" {
			vocab[token] = id
		}
	}
	return vocab
}

func (m libraryModel) GetVocabSize() int { return len(m.GetVocab()) }

// Save writes the tokenizer's files to the folder of a path.
func (m libraryModel) Save(path string, _ ...string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return m.t.Save(path)
	}
	return m.t.Save(filepath.Dir(path))
}

// libraryWords cuts out added tokens and splits the rest into words.
type libraryWords struct{ t *Tokenizer }

func (w libraryWords) PreTokenize(s *library.PreTokenizedString) (*library.PreTokenizedString, error) {
	return s.Split(func(_ int, n *normalizer.NormalizedString) []library.SplitIdx {
		var out []library.SplitIdx
		w.t.walk(n.GetNormalized(), pass{}, all, func(p piece) {
			value, _ := w.t.Token(p.id)
			out = append(out, library.SplitIdx{
				Normalized: normalizer.NewNormalizedFrom(value),
				Tokens:     []library.Token{{Id: int(p.id), Value: value, Offsets: []int{0, len(value)}}},
			})
		}, func(v view) {
			word := normalizer.NewNormalizedFrom(v.text)
			if w.t.ofBytes() {
				word = byteLevelPiece(v.text)
			}
			out = append(out, library.SplitIdx{Normalized: word})
		})
		return out
	}), nil
}

// byteLevelPiece writes the bytes of a word as characters and keeps which byte
// each came from.
func byteLevelPiece(word string) *normalizer.NormalizedString {
	var changes []normalizer.ChangeMap
	for _, r := range word {
		for i, b := range []byte(string(r)) {
			changes = append(changes, normalizer.ChangeMap{RuneVal: string(byteToRune[b]), Changes: min(i, 1)})
		}
	}
	return normalizer.NewNormalizedFrom(word).Transform(changes, 0)
}

type libraryDecoder struct{ t *Tokenizer }

func (l libraryDecoder) Decode(tokens []string) string {
	d := l.t.newDecoder(false)
	for _, token := range tokens {
		d.from(0, token, true)
	}
	d.end()
	return d.take()
}

func (l libraryDecoder) DecodeChain(tokens []string) []string { return []string{l.Decode(tokens)} }

// libraryPost puts the post-processor's tokens around a text.
type libraryPost struct{ t *Tokenizer }

func (p libraryPost) AddedTokens(bool) int { return len(p.t.before) + len(p.t.after) }

func (p libraryPost) Process(encoding, second *library.Encoding, special bool) *library.Encoding {
	out := library.DefaultProcess(encoding, second, special)
	if !special || p.AddedTokens(second != nil) == 0 {
		return out
	}
	whole := p.tokens(p.t.before)
	whole = whole.MergeWith(out, false)
	return whole.MergeWith(p.tokens(p.t.after), false)
}

func (p libraryPost) tokens(ids []int32) *library.Encoding {
	var ts []library.Token
	for _, id := range ids {
		value, _ := p.t.Token(id)
		ts = append(ts, library.Token{Id: int(id), Value: value, Offsets: []int{0, 0}})
	}
	return library.NewEncodingFromTokens(ts, 0)
}
