package chat

import (
	"errors"
	"fmt"
)

// This file is ChatML alone, written by hand. It goes when templates are rendered.

// A Tokenizer turns text into ids.
type Tokenizer interface {
	Encode(text string) []int32     // special tokens inside the text are recognised
	EncodeText(text string) []int32 // marks inside the text are text
}

// A Template writes conversations.
type Template struct{}

// ErrNoMask is the error of a conversation in which it cannot be told what the
// assistant wrote.
var ErrNoMask = errors.New("it cannot be told what the assistant wrote")

// Names lists the built-in templates.
func Names() []string { return []string{"chatml"} }

// Named returns a built-in template.
func Named(name string, _ map[string]string) (*Template, error) {
	if name != "chatml" {
		return nil, fmt.Errorf("there is no template %q, only chatml", name)
	}
	return &Template{}, nil
}

// Parse refuses templates that are not built in.
func Parse(name, _ string, _ map[string]string) (*Template, error) {
	return nil, fmt.Errorf("the template %s cannot be rendered yet", name)
}

// Name returns the template's name.
func (t *Template) Name() string { return "chatml" }

// Source returns the template's text.
func (t *Template) Source() string { return "" }

// Encoded is a conversation as tokens.
type Encoded struct {
	IDs   []int32
	Turn  []int32 // of each token: the index of the assistant message whose target it is, or −1
	Seams []int   // starts of assistant turns that tokenise differently joined than apart
}

// Encode returns the tokens of a conversation.
func (t *Template) Encode(tok Tokenizer, c Conversation) (Encoded, error) {
	var e Encoded
	put := func(ids []int32, turn int32) {
		e.IDs = append(e.IDs, ids...)
		for range ids {
			e.Turn = append(e.Turn, turn)
		}
	}
	for i, m := range c.Messages {
		turn := int32(-1)
		put(tok.Encode("<|im_start|>"), -1)
		if m.Role == "assistant" {
			turn = int32(i)
			put(tok.EncodeText("assistant\n"), -1)
			put(tok.EncodeText(m.Content), turn)
		} else {
			put(tok.EncodeText(m.Role+"\n"+m.Content), -1)
		}
		put(tok.Encode("<|im_end|>"), turn)
		put(tok.EncodeText("\n"), -1)
	}
	return e, nil
}

// Prompt returns the tokens of a conversation with the beginning of the assistant
// turn that is to be generated.
func (t *Template) Prompt(tok Tokenizer, c Conversation) ([]int32, error) {
	e, err := t.Encode(tok, c)
	return append(append(e.IDs, tok.Encode("<|im_start|>")...), tok.EncodeText("assistant\n")...), err
}

// Stops returns the tokens that end an assistant turn.
func (t *Template) Stops(tok Tokenizer) []int32 {
	if ids := tok.Encode("<|im_end|>"); len(ids) == 1 {
		return ids
	}
	return nil
}
