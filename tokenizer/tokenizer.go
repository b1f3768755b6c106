// Package tokenizer turns text into token ids and back, as Hugging Face's
// tokenizers does: BPE of bytes (GPT-2, Llama 3, Qwen, GPT-NeoX, OLMo 2, GLM-4,
// Granite), BPE of characters with bytes for those it lacks (Llama 2, TinyLlama,
// Mistral, Gemma, Phi-3), Unigram (T5, XLM-R), WordPiece (BERT) and whole words.
//
// A tokenizer.json is a chain of parts: added tokens are cut out of the text, a
// normalizer rewrites the rest, a pre-tokenizer splits it into words, a model turns
// a word into ids, a post-processor adds tokens around, and a decoder leads back to
// text. A part that is not known is refused by name. The patterns of GPT-2, Qwen 2
// and Llama 3 are matched by hand; another has to be one that Go's regexp can match
// in linear time. A SentencePiece model (tokenizer.model) is read as the
// tokenizer.json that means the same. [Tokenizer.Library] gives a tokenizer as parts
// of github.com/sugarme/tokenizer.
package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
)

// A Tokenizer is safe for concurrent use.
type Tokenizer struct {
	files       map[string][]byte // as read or trained, by name; Save writes them
	normalizers []rewriter
	stages      []stage // of the pre-tokenizer
	origin      bool    // a stage asks whether it is where the text begins
	model       model
	tokens      []string // by id, with the added ones
	added       addedTokens
	before      []int32 // what the post-processor puts before and after
	after       []int32
	decoders    []starter
	special     specials
	pool        sync.Pool // of *scratch
}

// specials are the tokens that a tokenizer's files name by role.
type specials struct {
	bos, eos, pad int32 // -1 if not named
	addBOS        bool
	chatTemplate  string
}

// Encode returns the ids of a text. Added tokens inside the text are recognised;
// none is added around it. Bytes that are no UTF-8 count as U+FFFD in words.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.encode(nil, text, all)
}

// EncodeText is Encode for text from outside: special tokens that stand in it
// are ordinary text.
func (t *Tokenizer) EncodeText(text string) []int32 {
	return t.encode(nil, text, func(a *addedToken, _ Span) bool { return !a.Special })
}

// EncodeSpecial is Encode with the tokens that the post-processor adds.
func (t *Tokenizer) EncodeSpecial(text string) []int32 {
	return append(t.encode(slices.Clone(t.before), text, all), t.after...)
}

// all allows every match of an added token.
func all(*addedToken, Span) bool { return true }

func (t *Tokenizer) encode(ids []int32, text string, allowed func(*addedToken, Span) bool) []int32 {
	s := t.scratch()
	t.walk(text, pass{}, allowed,
		func(p piece) { ids = append(ids, p.id) },
		func(v view) {
			for _, symbol := range s.word(t.model, v.text) {
				ids = append(ids, symbol.id)
			}
		})
	t.release(s)
	return ids
}

// VocabSize returns one more than the largest id.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Token returns the text under which an id stands in the vocabulary: bytes are
// written as in tokenizer.json.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(t.tokens) || t.tokens[id] == "" {
		return "", false
	}
	return t.tokens[id], true
}

// ID returns the id of an entry of the vocabulary or of an added token.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.added.ids[token]; ok {
		return id, true
	}
	return t.model.id(token)
}

// BOS returns the token that begins a text, if the files name one.
func (t *Tokenizer) BOS() (int32, bool) { return t.special.bos, t.special.bos >= 0 }

// EOS returns the token that ends a text, if the files name one.
func (t *Tokenizer) EOS() (int32, bool) { return t.special.eos, t.special.eos >= 0 }

// Pad returns the token that fills rows, if the files name one.
func (t *Tokenizer) Pad() (int32, bool) { return t.special.pad, t.special.pad >= 0 }

// AddsBOS reports whether the files ask for BOS before every text: by
// add_bos_token, or by the post-processor.
func (t *Tokenizer) AddsBOS() bool {
	if t.special.bos < 0 {
		return false
	}
	return t.special.addBOS || len(t.before) > 0 && t.before[0] == t.special.bos
}

// IsSpecial reports whether an id is an added token marked as special.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.added.special[id] }

// SpecialTokens lists the texts of the special added tokens.
func (t *Tokenizer) SpecialTokens() []string { return t.added.texts }

// ChatTemplate returns the Jinja template of the tokenizer's files, or "".
func (t *Tokenizer) ChatTemplate() string { return t.special.chatTemplate }

// SHA256 returns a hash of everything that changes ids: tokenizer.json and the
// roles of its special tokens.
func (t *Tokenizer) SHA256() string {
	h := sha256.New()
	h.Write(t.files[tokenizerFile])
	fmt.Fprintf(h, "\n%d %d %d %t", t.special.bos, t.special.eos, t.special.pad, t.AddsBOS())
	return hex.EncodeToString(h.Sum(nil))
}
