package chat

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"gotune/data/chat/jinja"
	"gotune/tokenizer"
)

// ErrNoMask is the error of a conversation in which it cannot be told what the
// assistant wrote.
var ErrNoMask = errors.New("it cannot be told what the assistant wrote")

// Turns says which turns of the assistant are asked for.
type Turns int

// All turns of the assistant, or the last alone.
const (
	EveryTurn Turns = iota
	LastTurn
)

// A turn is what the assistant wrote, as bytes of the rendered text.
type turn struct {
	tokenizer.Span
	message int
}

// turns renders a conversation and finds what the assistant wrote in it, in the
// order of the text.
func (r *rendering) turns(c Conversation, which Turns) (string, []turn, error) {
	text, marked, err := r.render(len(c.Messages), false)
	if err == nil {
		err = r.writesTools(text)
	}
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrNoMask, err)
	}
	var wanted []int
	for i, m := range c.Messages {
		if m.Role == "assistant" {
			wanted = append(wanted, i)
		}
	}
	var found []turn
	if len(marked) == len(wanted) {
		for k, m := range marked {
			found = append(found, turn{tokenizer.Span(m), wanted[k]})
		}
	}
	if which == LastTurn && len(wanted) > 0 {
		wanted, found = wanted[len(wanted)-1:], found[max(0, len(found)-1):]
	}
	if found != nil {
		return text, found, nil
	}
	for _, i := range wanted {
		span, err := r.answer(text, i)
		if err == nil && !r.holds(text[span.Start:span.End], i) {
			err = fmt.Errorf("the template %s leaves out what it says", r.t.name)
		}
		if err != nil {
			return "", nil, fmt.Errorf("%w in message %d: %w", ErrNoMask, i, err)
		}
		found = append(found, turn{span, i})
	}
	return text, found, nil
}

// holds reports whether an answer holds the last line of the message, which even
// templates keep that reorder its parts, or the names of the tools it calls.
func (r *rendering) holds(answer string, i int) bool {
	m := r.messages.Items[i].(*jinja.Dict) // see prepare
	calls, _ := m.Get(jinja.Str("tool_calls"))
	names := functionNames(calls)
	for _, name := range names {
		if !strings.Contains(answer, name) {
			return false
		}
	}
	content, _ := m.Get(jinja.Str("content"))
	said := strings.TrimSpace(string(content.(jinja.Str)))
	return len(names) > 0 || strings.Contains(answer, strings.TrimSpace(said[strings.LastIndexByte(said, '\n')+1:]))
}

// writesTools refuses a template that knows nothing of the tools that a
// conversation has: the model would learn to call what it was never shown.
func (r *rendering) writesTools(text string) error {
	for _, name := range functionNames(r.vars["tools"]) {
		if !strings.Contains(text, name) {
			return fmt.Errorf("the template %s does not write the list of tools; the model's own may", r.t.name)
		}
	}
	return nil
}

// functionNames lists the names in tools or tool calls, of the form of OpenAI's
// interface or without its object around the function.
func functionNames(v jinja.Value) []string {
	list, ok := v.(*jinja.List)
	if !ok {
		return nil
	}
	var names []string
	for _, item := range list.Items {
		d, ok := item.(*jinja.Dict)
		if !ok {
			continue
		}
		if f, ok := d.Get(jinja.Str("function")); ok {
			if inner, ok := f.(*jinja.Dict); ok {
				d = inner
			}
		}
		if name, ok := d.Get(jinja.Str("name")); ok {
			if s, ok := name.(jinja.Str); ok {
				names = append(names, string(s))
			}
		}
	}
	return names
}

// answer finds assistant message i in the text: it follows what the messages
// before it give with the beginning of an answer, and ends with the template's mark.
func (r *rendering) answer(text string, i int) (tokenizer.Span, error) {
	var none tokenizer.Span
	before, _, err := r.render(i, true)
	if err != nil {
		return none, fmt.Errorf("what stands before it cannot be rendered alone: %w", err)
	}
	if !strings.HasPrefix(text, before) {
		return none, fmt.Errorf("the template %s writes what stands before it otherwise where an answer is asked for", r.t.name)
	}
	whole, _, err := r.render(i+1, false)
	if err != nil {
		return none, fmt.Errorf("the conversation up to it cannot be rendered alone: %w", err)
	}
	end := r.t.ending()
	answer, ok := strings.CutSuffix(whole, end.closing)
	if !ok || end.mark == "" || !strings.HasSuffix(answer, end.mark) {
		answer = strings.TrimRightFunc(whole, unicode.IsSpace)
	}
	if !strings.HasPrefix(text, answer) || len(answer) < len(before) {
		return none, fmt.Errorf("the template %s rewrites it once other messages follow", r.t.name)
	}
	return tokenizer.Span{Start: len(before), End: len(answer)}, nil
}

// An ending is what a template writes behind an assistant's content: the mark that
// ends the turn, and what closes the conversation after it, such as a line break.
type ending struct{ mark, closing string }

// probe finds the ending by a conversation of two turns: the mark is what stands
// behind both answers, up to a line break. A template that refuses such a
// conversation has none.
func (t *Template) probe() ending {
	const first, second, third, fourth = "zkuna", "zkanb", "zkunc", "zkand"
	text, err := t.Render(Conversation{Messages: []Message{
		{Role: "user", Content: first}, {Role: "assistant", Content: second},
		{Role: "user", Content: third}, {Role: "assistant", Content: fourth},
	}}, false)
	if err != nil {
		return ending{}
	}
	_, rest, ok := strings.Cut(text, second)
	between, _, ok2 := strings.Cut(rest, third)
	_, last, ok3 := strings.Cut(rest, fourth)
	if !ok || !ok2 || !ok3 {
		return ending{}
	}
	n := 0
	for n < min(len(between), len(last)) && between[n] == last[n] {
		n++
	}
	mark := last[:n]
	if begin := strings.TrimLeftFunc(mark, unicode.IsSpace); strings.Contains(begin, "\n") {
		mark = mark[:len(mark)-len(begin)+strings.IndexByte(begin, '\n')]
	}
	mark = strings.TrimRightFunc(mark, unicode.IsSpace)
	return ending{mark, last[len(mark):]}
}

// Stops returns the token that ends an assistant turn, or none if no single control
// token does.
func (t *Template) Stops(tok Tokenizer) []int32 {
	mark := t.ending().mark
	for _, s := range tok.SpecialTokens() {
		if s != "" && strings.HasSuffix(mark, s) {
			ids := tok.Encode(mark)
			return ids[len(ids)-1:]
		}
	}
	return nil
}
