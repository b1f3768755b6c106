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
	SingleWord bool   `json:"single_word"` // only where no letter, digit or _ stands beside it
	LStrip     bool   `json:"lstrip"`      // takes the white space before it along
	RStrip     bool   `json:"rstrip"`      // and behind it
	Normalized bool   `json:"normalized"`  // is looked for in the normalised text
	Special    bool   `json:"special"`
}

// addedTokens are found in the text before words are: those not normalized in
// the raw text, the others in the normalised text between these.
type addedTokens struct {
	raw, normalized finder
	ids             map[string]int32
	special         map[int32]bool   // of all: whether they are special
	texts           []string         // of the special ones
	written         map[int32]string // how the decoder writes them, if not as they are
}

func newAddedTokens(list []addedToken, normalizers []rewriter) (addedTokens, error) {
	a := addedTokens{ids: make(map[string]int32, len(list)), special: make(map[int32]bool), written: make(map[int32]string)}
	for _, t := range list {
		if t.Content == "" {
			return a, fmt.Errorf("added token %d has no content", t.ID)
		}
		a.ids[t.Content] = t.ID
		a.special[t.ID] = t.Special
		if t.Special {
			a.texts = append(a.texts, t.Content)
		}
		if !t.Normalized {
			a.raw.add(t.Content, t)
			continue
		}
		text := t.Content
		for _, n := range normalizers {
			text, _ = n(text, pass{})
		}
		if text == "" {
			return a, fmt.Errorf("added token %q: the normalizer leaves nothing of it", t.Content)
		}
		if text != t.Content {
			a.written[t.ID] = text
		}
		a.normalized.add(text, t)
	}
	return a, nil
}

// A finder finds texts, at each place the longest.
type finder struct {
	byFirst [256][]*found // longest first
	any     bool
}

type found struct {
	text string
	addedToken
}

func (f *finder) add(text string, t addedToken) {
	f.any = true
	list := append(f.byFirst[text[0]], &found{text, t})
	slices.SortStableFunc(list, func(a, b *found) int { return len(b.text) - len(a.text) })
	f.byFirst[text[0]] = list
}

// A piece is a part of a text: an added token with its id, or what stands between
// with the id −1.
type piece struct {
	Span
	id int32
}

// cut calls yield for the parts of a text in order. Matches that allowed refuses
// are text; as in Hugging Face's tokenizers no other token is looked for inside.
func (f *finder) cut(text string, allowed func(t *addedToken, at Span) bool, yield func(piece)) {
	start := 0
	for i := 0; f.any && i < len(text); {
		t := f.at(text[i:])
		if t == nil {
			i++
			continue
		}
		at := Span{i, i + len(t.text)}
		i = at.End
		if !allowed(&t.addedToken, at) || t.SingleWord && beside(text, at) {
			continue
		}
		if t.LStrip {
			at.Start = len(strings.TrimRightFunc(text[:at.Start], isSpace))
		}
		if t.RStrip {
			at.End = len(text) - len(strings.TrimLeftFunc(text[at.End:], isSpace))
		}
		at.Start = min(max(at.Start, start), at.End)
		if start < at.Start {
			yield(piece{Span{start, at.Start}, -1})
		}
		yield(piece{at, t.ID})
		start = at.End
		i = max(i, start)
	}
	if start < len(text) {
		yield(piece{Span{start, len(text)}, -1})
	}
}

func (f *finder) at(text string) *found {
	for _, t := range f.byFirst[text[0]] {
		if strings.HasPrefix(text, t.text) {
			return t
		}
	}
	return nil
}

// beside reports whether a part of a word stands beside a match.
func beside(text string, at Span) bool {
	if at.Start > 0 {
		if c, _ := classBefore(text[:at.Start]); c&word != 0 {
			return true
		}
	}
	if at.End < len(text) {
		if c, _ := classAt(text[at.End:]); c&word != 0 {
			return true
		}
	}
	return false
}
