package chat

import (
	"slices"
	"strings"

	"gotune/tokenizer"
)

// Encoded is a conversation as tokens.
type Encoded struct {
	IDs []int32
	// Turn is for each token the index of the assistant message whose target it is,
	// or −1. The targets of a turn are its content and the mark that ends it, not the
	// line break behind that.
	Turn []int32
	// Seams are the tokens that begin assistant turns and that would be others if the
	// text were tokenised in one piece.
	Seams []int
}

// Encode returns the tokens of a conversation. Errors are about this conversation
// alone; errors.Is(err, ErrNoMask) where a turn of the assistant that is asked for
// cannot be found.
func (t *Template) Encode(tok Tokenizer, c Conversation, which Turns) (Encoded, error) {
	r, err := t.prepare(c, tok.SpecialTokens())
	if err != nil {
		return Encoded{}, err
	}
	text, turns, err := r.turns(c, which)
	if err != nil {
		return Encoded{}, err
	}
	return encode(tok, r.unguard(text, turns)), nil
}

// Prompt returns the tokens of a conversation with the beginning of the assistant
// turn that is to be generated. Earlier turns of the assistant are tokenised as
// Encode does it.
func (t *Template) Prompt(tok Tokenizer, c Conversation) ([]int32, error) {
	r, err := t.prepare(c, tok.SpecialTokens())
	if err != nil {
		return nil, err
	}
	prompt, _, err := r.render(len(c.Messages), true)
	if err != nil {
		return nil, err
	}
	text, turns, err := r.turns(c, EveryTurn)
	if err != nil {
		turns = nil // a template that cannot tell has no say in a prompt
	}
	turns = slices.DeleteFunc(turns, func(t turn) bool { return !strings.HasPrefix(prompt, text[:t.Start]) })
	return encode(tok, r.unguard(prompt, turns)).IDs, nil
}

// A marked text is what a conversation is tokenised from.
type markedText struct {
	text  string
	turns []turn
	plain []tokenizer.Span // in which control tokens are text
}

// unguard takes the guards out of a text and notes where they stood.
func (r *rendering) unguard(text string, turns []turn) markedText {
	if r.guard == "" {
		return markedText{text, turns, nil}
	}
	m := markedText{turns: slices.Clone(turns)}
	var b strings.Builder
	shorter := func(at int) int { return at - len(r.guard)*strings.Count(text[:at], r.guard) }
	for i := range m.turns {
		m.turns[i].Start, m.turns[i].End = shorter(m.turns[i].Start), shorter(m.turns[i].End)
	}
	for i, part := range strings.Split(text, r.guard) {
		if i > 0 {
			m.plain = append(m.plain, tokenizer.Span{Start: b.Len() - 1, End: b.Len()})
		}
		b.WriteString(part)
	}
	m.text = b.String()
	return m
}

// encode tokenises each turn and what follows it apart from what stands before it.
func encode(tok Tokenizer, m markedText) Encoded {
	var e Encoded
	var spans []tokenizer.Span // of all tokens
	var starts []int           // tokens that begin turns
	from := 0
	for i := range len(m.turns) + 1 {
		to := len(m.text)
		if i < len(m.turns) {
			to = m.turns[i].Start
		}
		ids, at := tok.EncodeAfter(e.IDs, m.text[from:to], within(m.plain, from, to))
		for _, s := range at {
			message := int32(-1)
			if i > 0 && from+s.Start < m.turns[i-1].End {
				message = int32(m.turns[i-1].message)
			}
			e.Turn = append(e.Turn, message)
			spans = append(spans, tokenizer.Span{Start: from + s.Start, End: from + s.End})
		}
		if i > 0 {
			starts = append(starts, len(e.IDs))
		}
		e.IDs = append(e.IDs, ids...)
		from = to
	}
	if joined, at := tok.EncodeSpans(m.text, m.plain); !slices.Equal(joined, e.IDs) {
		e.Seams = seams(e.IDs, spans, starts, joined, at)
	}
	return e
}

// within returns the parts of spans between two bytes, counted from the first.
func within(spans []tokenizer.Span, from, to int) []tokenizer.Span {
	var part []tokenizer.Span
	for _, s := range spans {
		if s.Start < to && s.End > from {
			part = append(part, tokenizer.Span{Start: max(s.Start, from) - from, End: min(s.End, to) - from})
		}
	}
	return part
}

// seams lists the starts of turns at which the tokens on either side are not those
// of the text in one piece.
func seams(ids []int32, spans []tokenizer.Span, starts []int, joined []int32, at []tokenizer.Span) []int {
	type token struct {
		id int32
		tokenizer.Span
	}
	whole := make(map[token]bool, len(joined))
	for i, id := range joined {
		whole[token{id, at[i]}] = true
	}
	var list []int
	for _, s := range starts {
		for i := max(s-1, 0); i <= min(s, len(ids)-1); i++ {
			if !whole[token{ids[i], spans[i]}] {
				list = append(list, s)
				break
			}
		}
	}
	return list
}
