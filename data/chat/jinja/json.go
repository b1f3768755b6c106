package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FromJSON reads a JSON text. Objects keep the order of their keys.
func FromJSON(raw []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text behind the value")
	}
	return v, nil
}

func decode(d *json.Decoder, depth int) (Value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return None{}, nil
	case bool:
		return Bool(t), nil
	case string:
		return Str(t), nil
	case json.Number:
		if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
			return Int(n), nil
		}
		f, err := t.Float64()
		return Float(f), err
	case json.Delim:
		if t == '[' {
			l := &List{}
			for d.More() {
				v, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.Items = append(l.Items, v)
			}
			_, err := d.Token()
			return l, err
		}
		dict := NewDict()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			dict.Set(Str(k.(string)), v) // keys of objects are strings
		}
		_, err := d.Token()
		return dict, err
	}
	return nil, fmt.Errorf("unexpected %v", t)
}

// jsonStyle is how tojson writes.
type jsonStyle struct {
	indent      string // "" writes one line
	item, colon string
	ascii, sort bool
	depth       int               // of the value at hand
	fits        func(n int) error // refuses a text that is too long
}

// writeJSON writes a value as json.dumps does.
func writeJSON(b *strings.Builder, v Value, s jsonStyle, margin string) error {
	shallow(s.depth)
	if err := s.fits(b.Len()); err != nil {
		return err
	}
	s.depth++
	switch v := v.(type) {
	case None:
		b.WriteString("null")
	case Bool:
		b.WriteString(strconv.FormatBool(bool(v)))
	case Int:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case Float:
		switch t := floatText(float64(v)); t {
		case "nan":
			b.WriteString("NaN")
		case "inf":
			b.WriteString("Infinity")
		case "-inf":
			b.WriteString("-Infinity")
		default:
			b.WriteString(t)
		}
	case Str:
		jsonString(b, string(v), s.ascii)
	case *List:
		return jsonItems(b, len(v.Items), "[]", s, margin, func(i int, margin string) error {
			return writeJSON(b, v.Items[i], s, margin)
		})
	case *Dict:
		keys := v.keys
		if s.sort {
			keys = sortedValues(keys)
		}
		return jsonItems(b, len(keys), "{}", s, margin, func(i int, margin string) error {
			switch k := keys[i].(type) {
			case Str:
				jsonString(b, string(k), s.ascii)
			default: // numbers and None are written as text
				var t strings.Builder
				if err := writeJSON(&t, k, s, ""); err != nil {
					return err
				}
				jsonString(b, t.String(), s.ascii)
			}
			b.WriteString(s.colon)
			return writeJSON(b, v.values[keys[i]], s, margin)
		})
	default:
		return fmt.Errorf("%s cannot be written as JSON", v.kind())
	}
	return nil
}

func jsonItems(b *strings.Builder, n int, brackets string, s jsonStyle, margin string, write func(i int, margin string) error) error {
	b.WriteByte(brackets[0])
	inner := margin + s.indent
	for i := range n {
		if i > 0 {
			b.WriteString(s.item)
		}
		if s.indent != "" {
			b.WriteString("\n" + inner)
		}
		if err := write(i, inner); err != nil {
			return err
		}
	}
	if n > 0 && s.indent != "" {
		b.WriteString("\n" + margin)
	}
	b.WriteByte(brackets[1])
	return nil
}

func jsonString(b *strings.Builder, s string, ascii bool) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < 0x20, ascii && r >= 0x7f && r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		case ascii && r > utf8.RuneSelf:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
