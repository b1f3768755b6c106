package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	library "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/normalizer"
)

// Library returns the tokenizer as parts of github.com/sugarme/tokenizer, for
// programs written to its interfaces. Ids are those of EncodeSpecial, or of Encode
// without special tokens; they come by a longer way and far more slowly.
//
// Its own parts differ from Hugging Face's: the loader drops added tokens and
// stops the program on patterns with look-ahead, and a few merges of runs of
// spaces are wrong. So normalizer, pre-tokenizer, model, decoder and
// post-processor are ours. Added tokens are found by the pre-tokenizer; the
// library's own list of them stays empty, and its Decode leaves none out.
func (t *Tokenizer) Library() (*library.Tokenizer, error) {
	if t.normalize != nil && t.added.raw.any {
		for id := range t.added.special {
			if text, _ := t.Token(id); t.normalize(text) != text {
				return nil, fmt.Errorf("the added token %q changes when it is normalised, which the library cannot keep apart", text)
			}
		}
	}
	l := library.NewTokenizer(libraryModel{t})
	if t.normalize != nil {
		l.WithNormalizer(libraryNormalizer{t})
	}
	l.WithPreTokenizer(libraryWords{t})
	l.WithDecoder(libraryDecoder{})
	l.WithPostProcessor(libraryPost{t})
	return l, nil
}

var (
	_ library.Model         = libraryModel{}
	_ normalizer.Normalizer = libraryNormalizer{}
	_ library.PreTokenizer  = libraryWords{}
	_ library.Decoder       = libraryDecoder{}
	_ library.PostProcessor = libraryPost{}
)

// libraryModel merges words that are written as characters of the vocabulary.
type libraryModel struct{ t *Tokenizer }

func (m libraryModel) Tokenize(word string) ([]library.Token, error) {
	var tokens []library.Token
	at := 0
	for _, id := range m.t.bpe.word(fromByteLevel(word)) {
		value := m.t.bpe.tokens[id]
		tokens = append(tokens, library.Token{Id: int(id), Value: value, Offsets: []int{at, at + len(value)}})
		at += len(value)
	}
	return tokens, nil
}

func (m libraryModel) TokenToId(token string) (int, bool) {
	id, ok := m.t.ID(token)
	return int(id), ok
}

func (m libraryModel) IdToToken(id int) (string, bool) { return m.t.Token(int32(id)) }

func (m libraryModel) GetVocab() map[string]int {
	vocab := make(map[string]int, len(m.t.bpe.ids))
	for token, id := range m.t.bpe.ids {
		vocab[token] = int(id)
	}
	return vocab
}

func (m libraryModel) GetVocabSize() int { return len(m.t.bpe.ids) }

// Save writes the tokenizer's files to the folder of a path.
func (m libraryModel) Save(path string, _ ...string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return m.t.Save(path)
	}
	return m.t.Save(filepath.Dir(path))
}

type libraryNormalizer struct{ t *Tokenizer }

func (n libraryNormalizer) Normalize(s *normalizer.NormalizedString) (*normalizer.NormalizedString, error) {
	return normalizer.NewNormalizedFrom(n.t.normalize(s.GetNormalized())), nil
}

// libraryWords cuts out added tokens, splits the rest into words, and writes their
// bytes as characters.
type libraryWords struct{ t *Tokenizer }

func (w libraryWords) PreTokenize(s *library.PreTokenizedString) (*library.PreTokenizedString, error) {
	return s.Split(func(_ int, n *normalizer.NormalizedString) []library.SplitIdx {
		var out []library.SplitIdx
		w.words(n.GetNormalized(), func(part string, id int32) {
			piece := library.SplitIdx{Normalized: byteLevelPiece(part)}
			if id >= 0 {
				piece.Normalized = normalizer.NewNormalizedFrom(part)
				piece.Tokens = []library.Token{{Id: int(id), Value: part, Offsets: []int{0, len(part)}}}
			}
			out = append(out, piece)
		})
		return out
	}), nil
}

// words yields added tokens with their ids, and words with −1. The text is already
// normalised.
func (w libraryWords) words(text string, yield func(part string, id int32)) {
	w.t.walk(text, func(*addedToken, Span) bool { return true },
		func(p piece) { yield(text[p.Start:p.End], p.id) },
		func(word string, _ Span, _ *original) { yield(word, -1) })
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

type libraryDecoder struct{}

func (libraryDecoder) Decode(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(fromByteLevel(t))
	}
	text, _ := lossy(nil, []byte(b.String()), true)
	return string(text)
}

func (d libraryDecoder) DecodeChain(tokens []string) []string { return []string{d.Decode(tokens)} }

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
