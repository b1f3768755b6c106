package rows

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// A csvDecoder reads a table whose first row names the columns.
type csvDecoder struct {
	in     *csv.Reader
	budget *budget
	header []string
	line   int // where the last row began
}

// newCSV reads the header. A table without one is empty.
func newCSV(path string, r *bufio.Reader, limit int64) (*csvDecoder, error) {
	d := &csvDecoder{budget: &budget{in: r, limit: limit, hint: "; is a quote never closed?"}}
	d.in = csv.NewReader(d.budget)
	d.in.Comma = separator(path, r)
	header, err := d.in.Read()
	if errors.Is(err, io.EOF) {
		return d, nil
	}
	if err != nil {
		return d, d.explain(err)
	}
	for i, name := range header {
		if !utf8.ValidString(name) {
			return d, errors.New("line 1: not valid UTF-8")
		}
		if slices.Index(header, name) != i {
			return d, fmt.Errorf("line 1: two columns are named %q", name)
		}
	}
	d.header, d.line = header, 1
	return d, nil
}

// separator returns what stands between two fields: the comma, or a tab or a
// semicolon where the header has no comma.
func separator(path string, r *bufio.Reader) rune {
	if ending(path) == ".tsv" {
		return '\t'
	}
	head, _ := r.Peek(sniffed)
	head, _, _ = bytes.Cut(head, []byte("\n"))
	for _, c := range []byte{',', '\t', ';'} {
		if bytes.IndexByte(head, c) >= 0 {
			return rune(c)
		}
	}
	return ','
}

func (d *csvDecoder) next() (record, error) {
	if d.header == nil {
		return record{}, io.EOF
	}
	d.budget.used = 0
	values, err := d.in.Read()
	if errors.Is(err, io.EOF) {
		return record{}, io.EOF
	}
	if err != nil {
		if wrong := (*csv.ParseError)(nil); errors.As(err, &wrong) {
			return record{line: wrong.StartLine}, d.explain(err)
		}
		return record{line: d.line + 1}, err // near enough: the row before began there
	}
	d.line, _ = d.in.FieldPos(0)
	r := record{line: d.line, fields: make(map[string]json.RawMessage, len(values))}
	for i, v := range values {
		if !utf8.ValidString(v) {
			return r, broken{fmt.Errorf("column %q: not valid UTF-8", d.header[i])}
		}
		if r.fields[d.header[i]], err = json.Marshal(v); err != nil {
			return r, err
		}
	}
	return r, nil
}

// explain says what is wrong with the text of a table.
func (d *csvDecoder) explain(err error) error {
	var wrong *csv.ParseError
	switch {
	case !errors.As(err, &wrong):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return broken{fmt.Errorf("another number of fields than the %d of the header; a field with a separator or a line break in it needs quotes", len(d.header))}
	case errors.Is(err, csv.ErrQuote) && wrong.Line != wrong.StartLine:
		return fmt.Errorf("a field in quotes does not end, or has a single quote in it, at line %d; a quote inside of a field is doubled", wrong.Line)
	case errors.Is(err, csv.ErrQuote):
		return errors.New("a field in quotes does not end, or has a single quote in it; a quote inside of a field is doubled")
	case errors.Is(err, csv.ErrBareQuote):
		return errors.New("a quote in a field without quotes; put the field in quotes and double the one inside")
	}
	return wrong.Err
}

// A budget limits how much is read for one row.
type budget struct {
	in          io.Reader
	used, limit int64
	hint        string // what may be wrong
}

func (b *budget) Read(p []byte) (int, error) {
	if b.used > b.limit {
		return 0, fmt.Errorf("a row of more than %s%s", size(b.limit), b.hint)
	}
	n, err := b.in.Read(p)
	b.used += int64(n)
	return n, err
}
