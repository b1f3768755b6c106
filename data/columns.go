package data

import (
	"fmt"
	"slices"
	"strings"
)

// A form is what a row is made of.
type form int

const (
	unknownForm form = iota
	textForm
	completionForm
	messagesForm
)

func (f form) String() string {
	return [...]string{"unknown", "text", "prompt/completion", "messages"}[f]
}

// Columns names the columns of a row: Text alone, Prompt with Completion, or
// Messages alone. The zero value leaves the form to be found by the names
// text, prompt and completion, and messages.
type Columns struct {
	Text, Prompt, Completion, Messages string
}

// ParseColumns reads a list such as "prompt=question,completion=answer". The
// empty string is the zero Columns.
func ParseColumns(list string) (Columns, error) {
	var c Columns
	if strings.TrimSpace(list) == "" {
		return c, nil
	}
	fields := map[string]*string{
		"text": &c.Text, "prompt": &c.Prompt, "completion": &c.Completion, "messages": &c.Messages,
	}
	for _, item := range strings.Split(list, ",") {
		role, name, ok := strings.Cut(item, "=")
		role, name = strings.TrimSpace(role), strings.TrimSpace(name)
		field, known := fields[role]
		switch {
		case !ok || name == "":
			return Columns{}, fmt.Errorf("columns %q: %q is not of the form prompt=question", list, item)
		case !known:
			return Columns{}, fmt.Errorf("columns %q: there is no %q; a column can be text, prompt, completion or messages", list, role)
		case *field != "":
			return Columns{}, fmt.Errorf("columns %q: %s is named twice", list, role)
		}
		*field = name
	}
	_, err := c.form()
	return c, err
}

// String returns the list that ParseColumns reads.
func (c Columns) String() string {
	var list []string
	for _, f := range [][2]string{
		{"text", c.Text}, {"prompt", c.Prompt}, {"completion", c.Completion}, {"messages", c.Messages},
	} {
		if f[1] != "" {
			list = append(list, f[0]+"="+f[1])
		}
	}
	return strings.Join(list, ",")
}

// form returns what the named columns make up, unknownForm where none is named.
func (c Columns) form() (form, error) {
	has := func(text, prompt, completion, messages bool) bool {
		return (c.Text != "") == text && (c.Prompt != "") == prompt &&
			(c.Completion != "") == completion && (c.Messages != "") == messages
	}
	switch {
	case has(false, false, false, false):
		return unknownForm, nil
	case has(true, false, false, false):
		return textForm, nil
	case has(false, true, true, false):
		return completionForm, nil
	case has(false, false, false, true):
		return messagesForm, nil
	}
	return unknownForm, fmt.Errorf("columns %q: name text alone, prompt and completion together, or messages alone", c)
}

// detect finds the form of a row by its keys. Where several would do, the one
// that says most about the row wins: messages, then prompt and completion.
func detect(keys []string) (Columns, bool) {
	switch {
	case slices.Contains(keys, "messages"):
		return Columns{Messages: "messages"}, true
	case slices.Contains(keys, "prompt") && slices.Contains(keys, "completion"):
		return Columns{Prompt: "prompt", Completion: "completion"}, true
	case slices.Contains(keys, "text"):
		return Columns{Text: "text"}, true
	}
	return Columns{}, false
}
