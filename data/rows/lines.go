package rows

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// A lineDecoder reads JSON lines: an object a line, empty lines passed over.
type lineDecoder struct {
	in    *bufio.Reader
	line  int
	limit int64
}

func (d *lineDecoder) next() (record, error) {
	for {
		line, err := d.read()
		if err != nil && !errors.Is(err, io.EOF) {
			return record{line: d.line}, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			fields, err := parseObject(line, "line")
			return record{line: d.line, fields: fields}, err
		}
		if err != nil {
			return record{}, io.EOF
		}
	}
}

// read returns the next line; io.EOF with the last one. The bytes are valid
// until the next call.
func (d *lineDecoder) read() ([]byte, error) {
	d.line++
	line, err := d.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	var whole []byte
	for errors.Is(err, bufio.ErrBufferFull) {
		if int64(len(whole)) > d.limit {
			return nil, fmt.Errorf("a line of more than %s", size(d.limit))
		}
		whole = append(whole, line...)
		line, err = d.in.ReadSlice('\n')
	}
	return append(whole, line...), err
}

// A textDecoder reads a whole file as one document.
type textDecoder struct {
	in    io.Reader
	limit int64
	done  bool
}

func (d *textDecoder) next() (record, error) {
	if d.done {
		return record{}, io.EOF
	}
	d.done = true
	r := record{line: 1}
	text, err := io.ReadAll(io.LimitReader(d.in, d.limit+1))
	switch {
	case err != nil:
		return r, err
	case int64(len(text)) > d.limit:
		return r, fmt.Errorf("a text of more than %s; split it, or write it as JSON lines", size(d.limit))
	case len(bytes.TrimSpace(text)) == 0:
		return r, io.EOF
	}
	if !utf8.Valid(text) {
		for line := range bytes.Lines(text) {
			if !utf8.Valid(line) {
				return r, broken{errors.New("not valid UTF-8")}
			}
			r.line++
		}
	}
	r.text = string(text)
	return r, nil
}
