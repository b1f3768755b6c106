package tokenizer

import (
	"sort"
	"unicode/utf8"
)

// A Span is a range of bytes of a text: Start ≤ i < End.
type Span struct{ Start, End int }

// EncodeSpans is Encode with the bytes of the text that each id stands for; they
// follow each other without gaps, but for what a tokenizer leaves out. A match of a
// special token that overlaps a span of plain, which come in order, is ordinary text. Where the
// normalizer changes a part of the text, the first token of it has all its bytes.
func (t *Tokenizer) EncodeSpans(text string, plain []Span) (ids []int32, spans []Span) {
	allowed := func(a *addedToken, at Span) bool {
		if !a.Special {
			return true
		}
		i := sort.Search(len(plain), func(i int) bool { return plain[i].End > at.Start })
		return i == len(plain) || plain[i].Start >= at.End
	}
	s := t.scratch()
	defer t.release(s)
	t.walk(text, allowed, func(p piece) {
		ids, spans = append(ids, p.id), append(spans, p.Span)
	}, func(word string, at Span, back *original) {
		first := len(ids)
		ids = s.appendWord(ids, t.bpe, word)
		end := at.Start // in the text that was split
		for i := first; i < len(ids); i++ {
			start := end
			if end += t.bpe.lengths[ids[i]]; i == len(ids)-1 {
				end = at.End
			}
			spans = append(spans, Span{back.at(start), back.at(end)})
		}
	})
	return ids, spans
}

// walk cuts a text into added tokens and words. The place of an added token is in
// the text; that of a word is in its normalised part, for which there is the way
// back.
func (t *Tokenizer) walk(text string, allowed func(*addedToken, Span) bool, token func(piece), word func(string, Span, *original)) {
	// Some added tokens are looked for in the raw text and some in the
	// normalised text between these.
	t.added.raw.cut(text, allowed, func(outer piece) {
		if outer.id >= 0 {
			token(outer)
			return
		}
		part, back := text[outer.Start:outer.End], original{offset: outer.Start}
		if changed := t.normalized(part); changed != part {
			back.ends = segments(part, t.normalized)
			part = changed
		}
		inner := allowed
		if t.added.normalized.any {
			inner = func(a *addedToken, at Span) bool { return allowed(a, Span{back.at(at.Start), back.at(at.End)}) }
		}
		t.added.normalized.cut(part, inner, func(p piece) {
			if p.id >= 0 {
				token(piece{Span{back.at(p.Start), back.at(p.End)}, p.id})
				return
			}
			whole, at, shift := part[p.Start:p.End], p.Start, 0
			if t.prefix && whole[0] != ' ' {
				whole, shift = " "+whole, 1
			}
			t.split(whole, func(w string) {
				end := at + len(w) - shift
				shift = 0
				word(w, Span{at, end}, &back)
				at = end
			})
		})
	})
}

// normalized is what words are looked for in: valid UTF-8, as the normalizer leaves
// it.
func (t *Tokenizer) normalized(text string) string {
	if !utf8.ValidString(text) {
		valid, _ := lossy(nil, []byte(text), true)
		text = string(valid)
	}
	if t.normalize != nil {
		text = t.normalize(text)
	}
	return text
}

// original is the way back from a normalised part of a text.
type original struct {
	offset int       // of the part in the text
	ends   []segment // nil if the part is as it was
}

// A segment is normalised by itself. Both are where it ends.
type segment struct{ was, is int }

// at returns where in the text a place in the normalised part comes from: inside a
// segment, its beginning.
func (o *original) at(i int) int {
	if o.ends == nil {
		return o.offset + i
	}
	n := sort.Search(len(o.ends), func(n int) bool { return o.ends[n].is > i })
	if n == 0 {
		return o.offset
	}
	return o.offset + o.ends[n-1].was
}

// segments cuts a text before characters that no normalizer joins to what stands
// before them: those below U+0300.
func segments(text string, normalize func(string) string) []segment {
	var all []segment
	start, is := 0, 0
	for i, r := range text {
		if r < 0x300 && i > start {
			is += len(normalize(text[start:i]))
			all = append(all, segment{i, is})
			start = i
		}
	}
	return append(all, segment{len(text), is + len(normalize(text[start:]))})
}
