package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// addedToken is an entry of "added_tokens" in tokenizer.json.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// addedTokens are found in the text before words are: those not normalized in
// the raw text, the others in the normalised text.
type addedTokens struct {
	raw, normalized finder
	special         map[int32]bool
}

func newAddedTokens(list []addedToken, normalize func(string) string) (addedTokens, error) {
	a := addedTokens{special: make(map[int32]bool)}
	for _, t := range list {
		if t.SingleWord || t.LStrip || t.RStrip {
			return a, fmt.Errorf("added token %q: single_word, lstrip and rstrip are not supported", t.Content)
		}
		if t.Content == "" {
			return a, fmt.Errorf("added token %d has no content", t.ID)
		}
		if t.Special {
			a.special[t.ID] = true
		}
		text := t.Content
		if t.Normalized && normalize != nil {
			text = normalize(text)
			a.normalized.add(text, t)
		} else {
			a.raw.add(text, t)
		}
	}
	return a, nil
}

// A finder finds texts, at each place the longest.
type finder struct {
	byFirst [256][]found // longest first
	any     bool
}

type found struct {
	text    string
	id      int32
	special bool
}

func (f *finder) add(text string, t addedToken) {
	f.any = true
	list := append(f.byFirst[text[0]], found{text, t.ID, t.Special})
	slices.SortStableFunc(list, func(a, b found) int { return len(b.text) - len(a.text) })
	f.byFirst[text[0]] = list
}

// cut calls yield for the parts of a text in order: an added token with its id,
// or the text between with the id −1. Without special, special tokens are text.
func (f *finder) cut(text string, special bool, yield func(part string, id int32)) {
	if text == "" {
		return
	}
	if !f.any {
		yield(text, -1)
		return
	}
	start := 0
	for i := 0; i < len(text); {
		t, ok := f.at(text[i:], special)
		if !ok {
			i++
			continue
		}
		if i > start {
			yield(text[start:i], -1)
		}
		yield(t.text, t.id)
		i += len(t.text)
		start = i
	}
	if start < len(text) {
		yield(text[start:], -1)
	}
}

func (f *finder) at(text string, special bool) (found, bool) {
	for _, t := range f.byFirst[text[0]] {
		if (special || !t.special) && strings.HasPrefix(text, t.text) {
			return t, true
		}
	}
	return found{}, false
}
