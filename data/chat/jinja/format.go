package jinja

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// textFormat is str.format for fields that are empty, numbers or names, with
// attributes and items behind them, and the types s, d and f.
func textFormat(r *run, s string, args arguments) (Value, error) {
	var b strings.Builder
	next := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "{{"), strings.HasPrefix(s[i:], "}}"):
			b.WriteByte(s[i])
			i++
		case s[i] == '}':
			return nil, errors.New("format: a single }")
		case s[i] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, errors.New("format: a { without }")
			}
			v, err := formatField(s[i+1:i+end], args, &next)
			if err != nil {
				return nil, err
			}
			b.WriteString(v)
			i += end
		default:
			b.WriteByte(s[i])
		}
		if err := r.fits(b.Len()); err != nil {
			return nil, err
		}
	}
	return Str(b.String()), nil
}

func formatField(field string, args arguments, next *int) (string, error) {
	field, spec, _ := strings.Cut(field, ":")
	name, rest, _ := strings.Cut(field, ".")
	if name == "" {
		name = strconv.Itoa(*next)
		*next++
	}
	v, ok := args.keyword(name)
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(args.list) {
		v, ok = args.list[n], true
	}
	if !ok {
		return "", fmt.Errorf("format: there is no argument %s", name)
	}
	if rest != "" {
		var err error
		if v, err = path(v, rest); err != nil {
			return "", err
		}
	}
	if spec == "" {
		return text(v), nil
	}
	return formatted("%"+spec, v)
}

// percentFormat is text % values, for %s, %r, %d, %i, %f, %x and %%.
func percentFormat(s string, v Value) (Value, error) {
	list := []Value{v}
	if l, ok := v.(*List); ok && l.Tuple {
		list = l.Items
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		n := 1
		for n < len(s) && strings.IndexByte("-+ 0123456789.", s[n]) >= 0 {
			n++
		}
		if n == len(s) {
			return nil, errors.New("a format ends in %")
		}
		if s[n] == '%' {
			b.WriteByte('%')
			s = s[n+1:]
			continue
		}
		if len(list) == 0 {
			return nil, errors.New("a format has fewer values than places")
		}
		t, err := formatted(s[:n+1], list[0])
		if err != nil {
			return nil, err
		}
		b.WriteString(t)
		list, s = list[1:], s[n+1:]
	}
	if _, isDict := v.(*Dict); len(list) > 0 && !isDict { // a dictionary may go unused, as in Python
		return nil, errors.New("a format has more values than places")
	}
	return Str(b.String() + s), nil
}

// formatted writes a value by a verb of printf. Widths are bounded.
func formatted(verb string, v Value) (string, error) {
	kind := verb[len(verb)-1]
	for digits := range strings.FieldsFuncSeq(verb, func(r rune) bool { return r < '0' || r > '9' }) {
		if len(digits) > 3 {
			return "", fmt.Errorf("the width in %q is too large", verb)
		}
	}
	if strings.Trim(verb[1:len(verb)-1], "-+ 0123456789.") != "" {
		return "", fmt.Errorf("the format %q is not supported", verb)
	}
	switch kind {
	case 's':
		return fmt.Sprintf(verb, text(v)), nil
	case 'r':
		return fmt.Sprintf(verb[:len(verb)-1]+"s", repr(v)), nil
	case 'd', 'i', 'x', 'X':
		f, ok := asFloat(v)
		if !ok {
			return "", fmt.Errorf("%s is no number", v.kind())
		}
		if kind == 'i' {
			verb = verb[:len(verb)-1] + "d"
		}
		return fmt.Sprintf(verb, int64(f)), nil
	case 'f', 'e', 'g':
		f, ok := asFloat(v)
		if !ok {
			return "", fmt.Errorf("%s is no number", v.kind())
		}
		if !strings.Contains(verb, ".") {
			verb = verb[:len(verb)-1] + ".6" + string(kind)
		}
		return fmt.Sprintf(verb, f), nil
	}
	return "", fmt.Errorf("the format %q is not supported", verb)
}
