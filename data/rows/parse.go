package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gotune/data/chat"
)

// A record is a row as its format gives it: named values, or a document.
type record struct {
	line   int
	fields map[string]json.RawMessage // nil: text is the row
	text   string
}

// parseObject reads a JSON object as the fields of a record. Of what it is the
// whole, a line or a row, is for messages.
func parseObject(raw []byte, of string) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) {
		return nil, broken{errors.New("not valid UTF-8")}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, broken{explain(raw, of, err)}
	}
	if fields == nil {
		return nil, broken{errors.New("null is no row; a row is a JSON object")}
	}
	return fields, nil
}

// checkFields checks values that were not read by parseObject.
func checkFields(fields map[string]json.RawMessage) error {
	for name, raw := range fields {
		switch {
		case !utf8.ValidString(name) || !utf8.Valid(raw):
			return broken{fmt.Errorf("column %q: not valid UTF-8", name)}
		case !json.Valid(raw):
			return broken{fmt.Errorf("column %q: invalid JSON", name)}
		}
	}
	return nil
}

// explain says why some bytes are no JSON object.
func explain(raw []byte, of string, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("invalid JSON at byte %d of the %s: %w", syntax.Offset, of, err)
	}
	return fmt.Errorf("a row is a JSON object, not %s", a(raw))
}

// row makes a row of a record. Columns that are not named yet are found by its
// keys and kept for the records that follow.
func (r record) row(columns *Columns) (*Row, error) {
	if r.fields == nil {
		return &Row{Form: Text, Text: r.text}, nil
	}
	if *columns == (Columns{}) {
		found, ok := detect(r.fields)
		if !ok {
			return nil, fmt.Errorf("no known columns: the row has %s, but neither text, nor prompt and completion, nor messages, nor conversations, "+
				"nor instruction and output; name them by columns (--columns), as in prompt=question,completion=answer", r.keys())
		}
		*columns = found
	}
	form, err := columns.Form()
	if err != nil {
		return nil, err
	}
	row := &Row{Form: form}
	// A column of another kind under this name is the user's own and ignored.
	_ = json.Unmarshal(r.fields["wording"], &row.Wording)
	switch {
	case form == Text:
		err = r.str(columns.Text, &row.Text)
	case form == Completion:
		err = r.completion(*columns, row)
	case form == Preference:
		err = r.preference(*columns, row)
	case columns.Messages != "":
		err = r.conversation(*columns, row)
	default:
		err = r.instruction(*columns, row)
	}
	if err != nil {
		return nil, err
	}
	return row, nil
}

// keys lists the columns of the record for a message.
func (r record) keys() string { return quoted(slices.Sorted(maps.Keys(r.fields))) }

// find returns the value of a column or of a path into one; nil where there is
// none or it is null.
func (r record) find(name string) (json.RawMessage, error) {
	raw, ok := r.fields[name]
	if !ok {
		head, path, nested := strings.Cut(name, ".")
		if raw, ok = r.fields[head]; !ok || !nested {
			return nil, fmt.Errorf("no column %q: the row has %s", name, r.keys())
		}
		var err error
		if raw, err = descend(raw, head, path); err != nil {
			return nil, fmt.Errorf("no column %q: %w", name, err)
		}
	}
	return raw, nil
}

// descend follows a path such as 0.output into a value. The name of the value
// is for messages.
func descend(raw json.RawMessage, name, path string) (json.RawMessage, error) {
	for path != "" {
		var step string
		step, path, _ = strings.Cut(path, ".")
		switch kindOf(raw) {
		case "object":
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(raw, &fields); err != nil {
				return nil, err
			}
			inner, ok := fields[step]
			if !ok {
				return nil, fmt.Errorf("%s has %s", name, quoted(slices.Sorted(maps.Keys(fields))))
			}
			raw = inner
		case "list":
			var list []json.RawMessage
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, err
			}
			i, err := strconv.Atoi(step)
			if err != nil {
				return nil, fmt.Errorf("%s is a list, and %q is not the place of an element, counted from 0", name, step)
			}
			if i < 0 || i >= len(list) {
				return nil, fmt.Errorf("%s has %d elements", name, len(list))
			}
			raw = list[i]
		default:
			return nil, fmt.Errorf("%s holds %s, which has nothing inside", name, a(raw))
		}
		name += "." + step
	}
	return raw, nil
}

// str reads a column that holds a string.
func (r record) str(name string, into *string) error {
	raw, err := r.find(name)
	if err != nil {
		return err
	}
	if kindOf(raw) != "string" {
		return fmt.Errorf("column %q holds %s where a string is needed", name, a(raw))
	}
	return json.Unmarshal(raw, into)
}

// optional reads a column that holds a string, is null or is not there.
func (r record) optional(name string, into *string) error {
	if !r.has(name) {
		return nil
	}
	return r.str(name, into)
}

// has says whether there is a column of that name and it is not null.
func (r record) has(name string) bool {
	if name == "" {
		return false
	}
	raw, err := r.find(name)
	return err == nil && kindOf(raw) != "null"
}

// isList says whether a column holds a list.
func (r record) isList(name string) bool {
	raw, err := r.find(name)
	return err == nil && kindOf(raw) == "list"
}

// unwrapped returns the JSON list inside of a string, as tables without nested
// columns keep one; any other value as it is.
func unwrapped(raw json.RawMessage) json.RawMessage {
	var s string
	if kindOf(raw) != "string" || json.Unmarshal(raw, &s) != nil {
		return raw
	}
	if inner := []byte(strings.TrimSpace(s)); bytes.HasPrefix(inner, []byte("[")) && json.Valid(inner) {
		return inner
	}
	return raw
}

// completion reads prompt and completion: texts, or messages of which those of
// the prompt are not learned.
func (r record) completion(c Columns, row *Row) error {
	if !r.isList(c.Prompt) || !r.isList(c.Completion) {
		return errors.Join(r.str(c.Prompt, &row.Prompt), r.str(c.Completion, &row.Completion))
	}
	before, err := r.messages(c.Prompt)
	if err != nil {
		return err
	}
	after, err := r.messages(c.Completion)
	if err != nil {
		return err
	}
	row.Form = Messages
	for i := range before {
		if before[i].Role == "assistant" {
			before[i].Weight = new(float64)
		}
	}
	row.Conversation.Messages = append(before, after...)
	return r.tools(c, row)
}

// conversation reads a list of messages with its system message and tools.
func (r record) conversation(c Columns, row *Row) (err error) {
	if row.Conversation.Messages, err = r.messages(c.Messages); err != nil {
		return err
	}
	return errors.Join(r.system(c, row), r.tools(c, row))
}

// instruction makes a conversation of an instruction, its input and the output.
// The input stands below the instruction, after an empty line.
func (r record) instruction(c Columns, row *Row) error {
	var instruction, input, output string
	err := errors.Join(
		r.str(c.Instruction, &instruction),
		r.optional(c.Input, &input),
		r.str(c.Output, &output))
	if err != nil {
		return err
	}
	if input != "" {
		instruction += "\n\n" + input
	}
	row.Conversation.Messages = []chat.Message{
		{Role: "user", Content: instruction},
		{Role: "assistant", Content: output},
	}
	return r.system(c, row)
}

// system puts the text of the system column before a conversation that has no
// system message.
func (r record) system(c Columns, row *Row) error {
	name := c.System
	if name == "" {
		name = "system"
	}
	var text string
	if err := r.optional(name, &text); err != nil {
		return err
	}
	turns := row.Conversation.Messages
	if text == "" || len(turns) > 0 && (turns[0].Role == "system" || turns[0].Role == "developer") {
		return nil
	}
	row.Conversation.Messages = slices.Insert(turns, 0, chat.Message{Role: "system", Content: text})
	return nil
}

// tools reads the lists of tools and documents that a template may show.
func (r record) tools(c Columns, row *Row) error {
	name := c.Tools
	if name == "" {
		name = "tools"
	}
	if r.has(name) {
		raw, _ := r.find(name)
		raw = unwrapped(raw)
		if kindOf(raw) != "list" {
			return fmt.Errorf("column %q holds %s where a list of tools is needed", name, a(raw))
		}
		row.Conversation.Tools = raw
	}
	if r.isList("documents") {
		raw, _ := r.find("documents")
		row.Conversation.Documents = raw
	}
	return nil
}

// preference reads two answers to one prompt.
func (r record) preference(c Columns, row *Row) error {
	if !r.isList(c.Chosen) || !r.isList(c.Rejected) {
		if c.Prompt == "" {
			return fmt.Errorf("columns %q and %q are texts and need the prompt that they answer: name its column, as in prompt=question", c.Chosen, c.Rejected)
		}
		return errors.Join(r.str(c.Prompt, &row.Prompt), r.str(c.Chosen, &row.Chosen.Text), r.str(c.Rejected, &row.Rejected.Text))
	}
	chosen, err := r.messages(c.Chosen)
	if err != nil {
		return err
	}
	rejected, err := r.messages(c.Rejected)
	if err != nil {
		return err
	}
	if len(chosen) == 0 || len(rejected) == 0 {
		return fmt.Errorf("columns %q and %q: an answer without messages", c.Chosen, c.Rejected)
	}
	same := 0
	for same < min(len(chosen), len(rejected))-1 && equal(chosen[same], rejected[same]) {
		same++
	}
	row.Conversation.Messages = slices.Clone(chosen[:same])
	row.Chosen.Messages, row.Rejected.Messages = chosen[same:], rejected[same:]
	switch {
	case c.Prompt == "" || same > 0 && !r.isList(c.Prompt):
		// The prompt is the beginning that both share.
	case r.isList(c.Prompt):
		prompt, err := r.messages(c.Prompt)
		if err != nil {
			return err
		}
		if len(prompt) > same || !slices.EqualFunc(prompt, chosen[:len(prompt)], equal) {
			row.Conversation.Messages = append(prompt, row.Conversation.Messages...)
		}
	default:
		var prompt string
		if err := r.str(c.Prompt, &prompt); err != nil {
			return err
		}
		row.Conversation.Messages = []chat.Message{{Role: "user", Content: prompt}}
	}
	if len(row.Conversation.Messages) == 0 {
		return fmt.Errorf("columns %q and %q share no messages before the answer: name the column of the prompt", c.Chosen, c.Rejected)
	}
	return r.tools(c, row)
}

// kindOf names the type of a JSON value by its first byte.
func kindOf(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "null"
	}
	switch raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "list"
	case 't', 'f':
		return "truth value"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

// a names the type of a JSON value with its article.
func a(raw []byte) string {
	kind := kindOf(raw)
	if kind == "object" {
		return "an " + kind
	}
	return "a " + kind
}

// quoted lists keys for a message.
func quoted(keys []string) string {
	if len(keys) == 0 {
		return "no columns"
	}
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = fmt.Sprintf("%q", k)
	}
	return strings.Join(list, ", ")
}
