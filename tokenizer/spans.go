package tokenizer

import "slices"

// A Span is a range of bytes of a text: Start ≤ i < End.
type Span struct{ Start, End int }

// EncodeSpans is Encode with the bytes of the text that each id stands for. A match
// of a special token that overlaps a span of plain is ordinary text.
func (t *Tokenizer) EncodeSpans(text string, plain []Span) (ids []int32, spans []Span) {
	part := func(from, to int) {
		if from == to {
			return
		}
		at := from
		for _, id := range t.encode(nil, text[from:to], false) {
			end := min(to, at+len(t.bytesOf(id, false)))
			ids, spans = append(ids, id), append(spans, Span{at, end})
			at = end
		}
	}
	start := 0
	for i := 0; i < len(text); {
		f, ok := t.added.raw.at(text[i:], true)
		if !ok || slices.ContainsFunc(plain, func(s Span) bool { return s.Start < i+len(f.text) && s.End > i }) {
			i++
			continue
		}
		part(start, i)
		ids, spans = append(ids, f.id), append(spans, Span{i, i + len(f.text)})
		i += len(f.text)
		start = i
	}
	part(start, len(text))
	return ids, spans
}

// SpecialTokens lists the texts of the special added tokens, in the order of their
// ids.
func (t *Tokenizer) SpecialTokens() []string {
	var texts []string
	for id := range t.VocabSize() {
		if t.added.special[int32(id)] {
			text, _ := t.Token(int32(id))
			texts = append(texts, text)
		}
	}
	return texts
}
