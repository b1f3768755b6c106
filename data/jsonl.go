package data

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// readJSONL calls add for each line of a file of JSON objects. Empty lines are
// passed over. The form of the file is that of its first row, and every row
// must have the columns of that form; other columns do not matter.
func readJSONL(ctx context.Context, path string, in io.Reader, columns Columns, add func(*row) error) error {
	lines := bufio.NewReaderSize(in, 1<<20)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			r, wrong := parseRow(line, &columns)
			if wrong != nil {
				return fmt.Errorf("%s:%d: %w", path, n, wrong)
			}
			r.at = Location{path, n}
			if wrong := add(r); wrong != nil {
				return wrong
			}
		}
		if err != nil {
			return nil // the end of the file
		}
	}
}

// parseRow reads one line. Columns that are not named yet are found by the
// row's keys and kept for the lines that follow.
func parseRow(line []byte, columns *Columns) (*row, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("not valid UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, explain(line, err)
	}
	if fields == nil {
		return nil, errors.New("null is no row; a row is a JSON object")
	}
	if *columns == (Columns{}) {
		keys := slices.Sorted(maps.Keys(fields))
		found, ok := detect(keys)
		if !ok {
			return nil, fmt.Errorf("no known columns: the row has %s, but neither text, nor prompt and completion, nor messages; name the columns, as in prompt=question,completion=answer", quoted(keys))
		}
		*columns = found
	}
	f, err := columns.form()
	if err != nil {
		return nil, err
	}
	r := &row{form: f}
	// A column of another kind under this name is the user's own and ignored.
	_ = json.Unmarshal(fields["wording"], &r.wording)
	switch f {
	case textForm:
		err = field(fields, columns.Text, &r.text)
	case completionForm:
		err = errors.Join(
			field(fields, columns.Prompt, &r.prompt),
			field(fields, columns.Completion, &r.completion))
	case messagesForm:
		err = messages(fields, columns.Messages, &r.messages)
	}
	return r, err
}

// explain says what is wrong with a line that is no JSON object.
func explain(line []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("invalid JSON at byte %d of the line: %w", syntax.Offset, err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(line), []byte("[")) {
		return errors.New("this is a JSON array; a file of rows has one object a line, without brackets or commas between them")
	}
	return fmt.Errorf("a row is a JSON object, not a %s", kindOf(line))
}

// field reads a column that holds a string.
func field(fields map[string]json.RawMessage, name string, into *string) error {
	raw, ok := fields[name]
	if !ok {
		return fmt.Errorf("no column %q: the row has %s", name, quoted(slices.Sorted(maps.Keys(fields))))
	}
	if kind := kindOf(raw); kind != "string" {
		return fmt.Errorf("column %q holds a %s where a string is needed", name, kind)
	}
	return json.Unmarshal(raw, into)
}

// messages reads a column that holds a conversation.
func messages(fields map[string]json.RawMessage, name string, into *[]Message) error {
	raw, ok := fields[name]
	if !ok {
		return fmt.Errorf("no column %q: the row has %s", name, quoted(slices.Sorted(maps.Keys(fields))))
	}
	if kind := kindOf(raw); kind != "list" {
		return fmt.Errorf("column %q holds a %s where a list of messages is needed", name, kind)
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("column %q: a message is an object with role and content", name)
	}
	for i, keys := range list {
		var m Message
		if err := errors.Join(field(keys, "role", &m.Role), field(keys, "content", &m.Content)); err != nil {
			return fmt.Errorf("column %q, message %d: %w", name, i+1, err)
		}
		if !slices.Contains(roles, m.Role) {
			return fmt.Errorf("column %q, message %d: unknown role %q: it can be %s", name, i+1, m.Role, strings.Join(roles, ", "))
		}
		for _, key := range []string{"tool_calls", "weight"} {
			if _, ok := keys[key]; ok {
				return fmt.Errorf("column %q, message %d: %q is not understood, and leaving it out would change what is learned", name, i+1, key)
			}
		}
		*into = append(*into, m)
	}
	return nil
}

// kindOf names the type of a JSON value by its first byte.
func kindOf(raw []byte) string {
	switch raw = bytes.TrimSpace(raw); raw[0] {
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
