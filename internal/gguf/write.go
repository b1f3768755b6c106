package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// A Tensor is what is written. Values makes its elements when their turn comes, so that
// they need not all be in memory at a time.
type Tensor struct {
	Info
	Values func() ([]float32, error)
}

// Write writes a file. The same arguments give the same bytes.
func Write(w io.Writer, meta Metadata, tensors []Tensor) error {
	head, err := header(meta, tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := t.write(w); err != nil {
			return err
		}
	}
	return nil
}

// header returns all that stands before the first tensor.
func header(meta Metadata, tensors []Tensor) ([]byte, error) {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(magic), version)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(meta)))
	keys := make(map[string]bool)
	for _, p := range meta {
		if err := checkName("key", p.Key, keys); err != nil {
			return nil, err
		}
		if p.Key == alignmentKey {
			return nil, fmt.Errorf("key %q: tensors are aligned to %d bytes, and no other", p.Key, alignment)
		}
		b = p.Value.appendTo(appendText(b, p.Key))
	}
	names, at := make(map[string]bool), int64(0)
	for _, t := range tensors {
		if err := checkName("tensor", t.Name, names); err != nil {
			return nil, err
		}
		if err := t.check(); err != nil {
			return nil, err
		}
		b = le.AppendUint32(appendText(b, t.Name), uint32(len(t.Shape)))
		for i := range t.Shape {
			b = le.AppendUint64(b, uint64(t.Shape[len(t.Shape)-1-i]))
		}
		b = le.AppendUint64(le.AppendUint32(b, uint32(t.Type)), uint64(at))
		at += t.bytes()
		at += padding(at, alignment)
	}
	return append(b, make([]byte, padding(int64(len(b)), alignment))...), nil
}

// checkName refuses a name that stands twice or is no text.
func checkName(what, name string, seen map[string]bool) error {
	switch {
	case !utf8.ValidString(name):
		return fmt.Errorf("%s %q is not UTF-8", what, name)
	case seen[name]:
		return fmt.Errorf("%s %q stands twice", what, name)
	}
	seen[name] = true
	return nil
}

func (t Tensor) write(w io.Writer) error {
	values, err := t.Values()
	switch {
	case err != nil:
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	case len(values) != t.size():
		return fmt.Errorf("tensor %q has %d values but the shape %v", t.Name, len(values), t.Shape)
	}
	row := make([]byte, t.Type.rowBytes(t.columns()))
	for n := t.columns(); len(values) > 0; values = values[n:] {
		if err := t.Type.store(row, values[:n]); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if _, err := w.Write(row); err != nil {
			return err
		}
	}
	_, err = w.Write(make([]byte, padding(t.bytes(), alignment)))
	return err
}
