package rows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// linesOrWhole tells JSON lines from objects that go over several lines or hold
// a list of rows, by the beginning of a file.
func linesOrWhole(start []byte) string {
	first, _, more := bytes.Cut(start, []byte("\n"))
	if !more && len(start) >= sniffed-1024 {
		return "jsonl" // one very long line so far
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(first, &fields); err != nil {
		if more && bytes.HasPrefix(first, []byte("{")) && unfinished(first) {
			return "json"
		}
		return "jsonl"
	}
	if _, known := detect(fields); known {
		return "jsonl"
	}
	for _, raw := range fields {
		if holdsRows(raw) {
			return "json"
		}
	}
	return "jsonl"
}

// unfinished says whether a line is JSON that goes on in the next one.
func unfinished(line []byte) bool {
	_, err := json.NewDecoder(bytes.NewReader(line)).Token()
	if err != nil {
		return false
	}
	var all json.RawMessage
	return errors.Is(json.NewDecoder(bytes.NewReader(line)).Decode(&all), io.ErrUnexpectedEOF)
}

// holdsRows says whether a value is a list that begins with an object.
func holdsRows(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 1 && raw[0] == '[' && bytes.HasPrefix(bytes.TrimSpace(raw[1:]), []byte("{"))
}

// A jsonDecoder reads a list of objects, an object with one such list inside,
// or objects one after the other. Its lines are counted by rows.
type jsonDecoder struct {
	in      jsonScanner
	columns Columns
	rows    int

	inList  bool // between two elements of a list
	started bool // the list has had an element
	outer   bool // the list is inside of an object
	name    string
}

func (d *jsonDecoder) next() (record, error) {
	d.rows++
	r := record{line: d.rows}
	fields, err := d.object()
	switch {
	case errors.Is(err, io.EOF):
		return r, io.EOF
	case err != nil:
		return r, fmt.Errorf("line %d: %w", d.in.line, err)
	}
	r.fields = fields
	return r, nil
}

// object returns the next row; io.EOF where the file ends between two values.
func (d *jsonDecoder) object() (map[string]json.RawMessage, error) {
	for {
		if d.inList {
			fields, err := d.element()
			if fields != nil || err != nil {
				return fields, err
			}
			continue
		}
		switch c, err := d.in.peek(); {
		case err != nil:
			return nil, err
		case c == '[':
			d.in.skip()
			d.inList, d.started, d.outer = true, false, false
		case c == '{':
			d.in.skip()
			fields, err := d.members(map[string]json.RawMessage{}, true)
			if err != nil {
				return nil, err
			}
			if len(fields) > 0 && !d.inList {
				return fields, checkFields(fields)
			}
		default:
			return nil, fmt.Errorf("invalid JSON: %q where a list or an object should begin", c)
		}
	}
}

// element returns the next element of a list, nil after the last.
func (d *jsonDecoder) element() (map[string]json.RawMessage, error) {
	c, err := d.in.within()
	if err != nil {
		return nil, err
	}
	if c == ']' {
		d.in.skip()
		d.inList = false
		if d.outer {
			_, err = d.members(nil, false)
		}
		return nil, err
	}
	if d.started {
		if c != ',' {
			return nil, fmt.Errorf("invalid JSON: %q where a comma or ] should be", c)
		}
		d.in.skip()
	}
	d.started = true
	raw, err := d.in.value()
	if err != nil {
		return nil, err
	}
	return parseObject(raw, "row")
}

// members reads the keys and values of an object, up to its end or to a list of
// rows inside. After such a list fields is nil and the values are passed over.
func (d *jsonDecoder) members(fields map[string]json.RawMessage, first bool) (map[string]json.RawMessage, error) {
	for ; ; first = false {
		c, err := d.in.within()
		if err != nil {
			return nil, err
		}
		if c == '}' {
			d.in.skip()
			if first {
				return nil, errors.New("no known columns: the row has no columns")
			}
			return fields, nil
		}
		if !first {
			if c != ',' {
				return nil, fmt.Errorf("invalid JSON: %q where a comma or } should be", c)
			}
			d.in.skip()
		}
		key, err := d.in.key()
		if err != nil {
			return nil, err
		}
		isRows, err := d.beginsRows(key, fields)
		if err != nil {
			return nil, err
		}
		if isRows {
			d.name, d.inList, d.started, d.outer = key, true, false, true
			return nil, nil
		}
		raw, err := d.in.value()
		if err != nil {
			return nil, err
		}
		if fields != nil {
			fields[key] = raw
		}
	}
}

// beginsRows says whether the value that comes next is a list of rows rather
// than a column, and goes into it if so.
func (d *jsonDecoder) beginsRows(key string, fields map[string]json.RawMessage) (bool, error) {
	if is, err := d.in.beginsRows(); err != nil || !is {
		return false, err
	}
	if fields == nil {
		return false, fmt.Errorf("two lists of rows in one object, %q and %q; keep one of them", d.name, key)
	}
	row := map[string]json.RawMessage{key: nil}
	for k := range fields {
		row[k] = nil
	}
	if _, known := detect(row); known || d.columns.use(key) || key == "tools" || key == "documents" {
		return false, nil
	}
	d.in.skip()
	return true, nil
}

// A jsonScanner splits a stream of JSON into values without holding more than
// one of them. It finds where a value ends; whether it is valid is for
// json.Unmarshal to say.
type jsonScanner struct {
	in    *bufio.Reader
	line  int // of the byte that comes next, from 1
	limit int64
}

// peek returns the next byte that is no white space and leaves it there.
func (s *jsonScanner) peek() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return c, s.in.UnreadByte()
		}
	}
}

// within is peek where the file must not end.
func (s *jsonScanner) within() (byte, error) {
	c, err := s.peek()
	if errors.Is(err, io.EOF) {
		return 0, errCutOff
	}
	return c, err
}

var errCutOff = errors.New("invalid JSON: the file ends in the middle of a value")

func (s *jsonScanner) skip() { s.in.ReadByte() } // peeked: it is there

// beginsRows says whether the next value is a list that begins with an object,
// as far as the buffer shows.
func (s *jsonScanner) beginsRows() (bool, error) {
	if _, err := s.within(); err != nil {
		return false, err
	}
	head, err := s.in.Peek(1 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return holdsRows(head), nil
}

// key reads a key and the colon after it.
func (s *jsonScanner) key() (string, error) {
	c, err := s.within()
	if err != nil {
		return "", err
	}
	if c != '"' {
		return "", fmt.Errorf("invalid JSON: %q where a key should be", c)
	}
	raw, err := s.value()
	if err != nil {
		return "", err
	}
	var key string
	if !utf8.Valid(raw) {
		return "", errors.New("not valid UTF-8")
	}
	if err := json.Unmarshal(raw, &key); err != nil {
		return "", fmt.Errorf("invalid JSON: %w", err)
	}
	if c, err = s.within(); err != nil {
		return "", err
	}
	if c != ':' {
		return "", fmt.Errorf("invalid JSON: %q where a colon should be", c)
	}
	s.skip()
	return key, nil
}

// value reads the bytes of one value.
func (s *jsonScanner) value() (json.RawMessage, error) {
	if _, err := s.within(); err != nil {
		return nil, err
	}
	var raw []byte
	depth, quoted, escaped := 0, false, false
	for {
		c, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) && depth == 0 && !quoted && len(raw) > 0 {
			return raw, nil // a number at the very end
		}
		if errors.Is(err, io.EOF) {
			return nil, errCutOff
		}
		if err != nil {
			return nil, err
		}
		if int64(len(raw)) > s.limit {
			return nil, fmt.Errorf("a value of more than %s", size(s.limit))
		}
		if c == '\n' {
			s.line++
		}
		switch {
		case quoted:
			quoted = c != '"' || escaped
			escaped = c == '\\' && !escaped
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case (c == '}' || c == ']' || c == ',' || c == ':') && depth == 0:
			return raw, s.in.UnreadByte()
		case c == '}' || c == ']':
			depth--
		}
		raw = append(raw, c)
		if depth == 0 && !quoted && (c == '"' || c == '}' || c == ']') {
			return raw, nil
		}
	}
}
