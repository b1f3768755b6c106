// Package chat turns conversations into tokens by chat templates, and tells which
// tokens the assistant wrote.
//
// A template is a Jinja text, the model's own or one of those built in, rendered
// as transformers' apply_chat_template does. The rendered text is tokenised once.
// What the assistant wrote is where the template's generation tags say; without
// such tags it is what follows the conversation before the turn, rendered with the
// beginning of an answer, up to the mark that ends the turn. Both are checked, and
// a conversation in which they do not fit is refused by [ErrNoMask].
//
// Differs from transformers: a control token's text inside a message is text
// (unless [Template.WithControl] asks otherwise), and an answer is tokenised apart
// from what stands before it, as it is when it is generated.
package chat

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"gotune/data/chat/jinja"
	"gotune/tokenizer"
)

// A Tokenizer turns text into ids. *tokenizer.Tokenizer is one.
type Tokenizer interface {
	// Encode recognises control tokens in the text.
	Encode(text string) []int32
	// EncodeSpans is Encode with the bytes that each id stands for; the text of
	// control tokens that touch the spans of plain is text.
	EncodeSpans(text string, plain []tokenizer.Span) ([]int32, []tokenizer.Span)
	// EncodeAfter is EncodeSpans for a text that stands behind others, whose ids are
	// before.
	EncodeAfter(before []int32, text string, plain []tokenizer.Span) ([]int32, []tokenizer.Span)
	// SpecialTokens lists the texts of the control tokens.
	SpecialTokens() []string
}

// A Template writes conversations. It is safe for concurrent use.
type Template struct {
	name, source string
	jinja        *jinja.Template
	specials     map[string]string
	control      bool
	ending       func() ending
}

// Parse reads a template. The specials are the texts of bos_token, eos_token and
// the like, which templates name.
func Parse(name, source string, specials map[string]string) (*Template, error) {
	parsed, err := jinja.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("chat template %s: %w", name, err)
	}
	t := &Template{name: name, source: source, jinja: parsed, specials: maps.Clone(specials)}
	t.ending = sync.OnceValue(t.probe)
	return t, nil
}

// Name returns the name it was given.
func (t *Template) Name() string { return t.name }

// Source returns its Jinja text.
func (t *Template) Source() string { return t.source }

// WithControl returns a template that takes the text of control tokens inside
// messages for control tokens, as transformers does. Whoever writes the messages
// can then end a turn, or speak as another role.
func (t *Template) WithControl() *Template {
	c := *t
	c.control = true
	return &c
}

// Render writes a conversation, as transformers does. With generationPrompt the
// beginning of an assistant turn follows.
func (t *Template) Render(c Conversation, generationPrompt bool) (string, error) {
	r, err := t.prepare(c, nil)
	if err != nil {
		return "", err
	}
	text, _, err := r.render(len(c.Messages), generationPrompt)
	return text, err
}

// A rendering is a conversation with what a template needs, so that parts of it
// can be rendered.
type rendering struct {
	t        *Template
	messages *jinja.List
	vars     map[string]jinja.Value
	guard    string // stands inside texts that look like control tokens; "" if there are none
	left     int    // bytes that may still be written
}

// maxRendered bounds what is written for one conversation, whose every turn is
// rendered with all before it.
const maxRendered = 256 << 20

// prepare turns a conversation into values. The texts of control tokens in them
// are broken by a guard.
func (t *Template) prepare(c Conversation, control []string) (*rendering, error) {
	r := &rendering{t: t, messages: &jinja.List{}, vars: make(map[string]jinja.Value), left: maxRendered}
	for name, text := range t.specials {
		r.vars[name] = jinja.Str(text)
	}
	for name, raw := range map[string]json.RawMessage{"tools": c.Tools, "documents": c.Documents} {
		r.vars[name] = jinja.None{}
		if raw == nil {
			continue
		}
		v, err := jinja.FromJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.vars[name] = v
	}
	for i, m := range c.Messages {
		v, err := m.value()
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		r.messages.Items = append(r.messages.Items, v)
	}
	if !t.control {
		r.protect(control)
	}
	return r, nil
}

// value is a message as templates see it.
func (m Message) value() (jinja.Value, error) {
	d := jinja.NewDict()
	d.Set(jinja.Str("role"), jinja.Str(m.Role))
	d.Set(jinja.Str("content"), jinja.Str(m.Content))
	for _, f := range []struct{ key, text string }{{"name", m.Name}, {"tool_call_id", m.ToolCallID}} {
		if f.text != "" {
			d.Set(jinja.Str(f.key), jinja.Str(f.text))
		}
	}
	extra := maps.Clone(m.Extra)
	if m.ToolCalls != nil {
		if extra == nil {
			extra = make(map[string]json.RawMessage)
		}
		extra["tool_calls"] = m.ToolCalls
	}
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		v, err := jinja.FromJSON(extra[key])
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		d.Set(jinja.Str(key), v)
	}
	return d, nil
}

// protect puts a character that occurs nowhere behind the first character of every
// text of a control token in the conversation.
func (r *rendering) protect(control []string) {
	values := []jinja.Value{r.messages, r.vars["tools"], r.vars["documents"]}
	var found []string
	taken := make(map[rune]bool)
	for _, v := range values {
		jinja.MapTexts(v, func(s string) string {
			for _, c := range control {
				if strings.Contains(s, c) {
					found = append(found, c)
				}
			}
			for _, g := range s {
				if g >= 0xfdd0 && g <= 0xfdef { // characters that mean nothing, by Unicode
					taken[g] = true
				}
			}
			return s
		})
	}
	if found == nil {
		return
	}
	guard := rune(0xfdd0)
	for taken[guard] && guard < 0xfdef {
		guard++
	}
	r.guard = string(guard)
	// The longest comes first, as in tokenizers.
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, c := range slices.Compact(found) {
		first := len(string([]rune(c)[:1]))
		pairs = append(pairs, c, c[:first]+r.guard+c[first:])
	}
	replacer := strings.NewReplacer(pairs...)
	r.messages = jinja.MapTexts(r.messages, replacer.Replace).(*jinja.List)
	for _, name := range []string{"tools", "documents"} {
		r.vars[name] = jinja.MapTexts(r.vars[name], replacer.Replace)
	}
}

// render writes the first n messages.
func (r *rendering) render(n int, generationPrompt bool) (string, []jinja.Span, error) {
	r.vars["messages"] = &jinja.List{Items: r.messages.Items[:n:n]}
	r.vars["add_generation_prompt"] = jinja.Bool(generationPrompt)
	limits := jinja.DefaultLimits
	limits.Output = min(limits.Output, r.left)
	text, marked, err := r.t.jinja.Render(r.vars, limits)
	r.left -= len(text)
	if raised := (*jinja.Raised)(nil); errors.As(err, &raised) {
		return "", nil, fmt.Errorf("the chat template %s refuses the conversation: %w", r.t.name, err)
	}
	if err != nil {
		return "", nil, fmt.Errorf("chat template %s: %w", r.t.name, err)
	}
	return text, marked, nil
}
