package tokenizer

import (
	"sort"
	"unicode/utf8"
)

// EncodeSpans is Encode with the bytes of the text that each id stands for; they
// follow each other without gaps, but for what a tokenizer leaves out. A match of a
// special token that overlaps a span of plain, which come in order, is ordinary text.
// Where a tokenizer writes a part of the text otherwise, the last token of that part
// has all its bytes and the others, before it, have none.
func (t *Tokenizer) EncodeSpans(text string, plain []Span) (ids []int32, spans []Span) {
	return t.encodeSpans(text, plain, pass{track: true})
}

// EncodeAfter is EncodeSpans for a text that stands behind others, whose ids are
// before: the space that some tokenizers put before a text is put only where they would
// in one text, behind an added token as a rule.
func (t *Tokenizer) EncodeAfter(before []int32, text string, plain []Span) (ids []int32, spans []Span) {
	p := pass{track: true, inside: len(before) > 0}
	if p.inside {
		_, added := t.added.special[before[len(before)-1]]
		p.joined = !added
	}
	return t.encodeSpans(text, plain, p)
}

func (t *Tokenizer) encodeSpans(text string, plain []Span, p pass) (ids []int32, spans []Span) {
	allowed := func(a *addedToken, at Span) bool {
		if !a.Special {
			return true
		}
		i := sort.Search(len(plain), func(i int) bool { return plain[i].End > at.Start })
		return i == len(plain) || plain[i].Start >= at.End
	}
	s := t.scratch()
	defer t.release(s)
	t.walk(text, p, allowed, func(found piece) {
		ids, spans = append(ids, found.id), append(spans, found.Span)
	}, func(v view) {
		symbols, end := s.word(t.model, v.text), 0
		for i, symbol := range symbols {
			start := end
			if end += int(symbol.n); i == len(symbols)-1 {
				end = len(v.text)
			}
			ids = append(ids, symbol.id)
			spans = append(spans, Span{v.at(start), v.at(end)})
		}
	})
	return ids, spans
}

// walk cuts a text into added tokens, with their places in the text, and words.
func (t *Tokenizer) walk(text string, p pass, allowed func(*addedToken, Span) bool, token func(piece), word func(view)) {
	// Some added tokens are looked for in the raw text and some in the
	// normalised text between these.
	t.added.raw.cut(text, allowed, func(outer piece) {
		if outer.id >= 0 {
			token(outer)
			return
		}
		p := p
		p.track = p.track || outer.Start == 0 && (t.origin || p.joined)
		v := t.normalized(view{text: text[outer.Start:outer.End], start: outer.Start}, p)
		inner := allowed
		if t.added.normalized.any {
			inner = func(a *addedToken, at Span) bool { return allowed(a, Span{v.at(at.Start), v.at(at.End)}) }
		}
		t.added.normalized.cut(v.text, inner, func(found piece) {
			part := v.part(found.Start, found.End)
			if found.id >= 0 {
				token(piece{part.span(), found.id})
				return
			}
			cutWords(part, t.stages, p, word)
		})
	})
}

// normalized is what words are looked for in: valid UTF-8, as the normalizer leaves
// it.
func (t *Tokenizer) normalized(v view, p pass) view {
	if !utf8.ValidString(v.text) {
		v = v.rewritten(valid, p)
	}
	for _, n := range t.normalizers {
		v = v.rewritten(n, p)
	}
	return v
}

// cutWords gives a part of a text to the stages of a pre-tokenizer.
func cutWords(v view, stages []stage, p pass, word func(view)) {
	if v.text == "" {
		return
	}
	if len(stages) == 0 {
		word(v)
		return
	}
	if s := stages[0]; s.rewrite != nil {
		v = v.rewritten(s.rewrite, p)
	}
	if split := stages[0].split; split != nil {
		split(v.text, func(start, end int) { cutWords(v.part(start, end), stages[1:], p, word) })
		return
	}
	cutWords(v, stages[1:], p, word)
}
