package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type filter func(r *run, v Value, args arguments) (Value, error)

// filters are those of Jinja that work on plain values, with tojson as
// transformers has it.
var filters map[string]filter

func init() { // the table refers to functions that refer to it
	filters = map[string]filter{
		"abs": filterAbs, "attr": filterAttr, "capitalize": onText(capitalize), "count": filterLength, "d": filterDefault,
		"default": filterDefault, "dictsort": filterDictSort, "e": onText(escapeHTML), "escape": onText(escapeHTML), "first": filterFirst,
		"float": filterFloat, "format": filterFormat, "indent": filterIndent, "int": filterInt, "items": filterItems, "join": filterJoin,
		"last": filterLast, "length": filterLength, "list": filterList, "lower": onText(strings.ToLower), "map": filterMap,
		"max": filterMax, "min": filterMin, "reject": filterChoose(false, false), "rejectattr": filterChoose(true, false),
		"replace": filterReplace, "reverse": filterReverse, "round": filterRound, "safe": filterString, "select": filterChoose(false, true),
		"selectattr": filterChoose(true, true), "sort": filterSort, "string": filterString, "sum": filterSum, "title": onText(title),
		"tojson": filterToJSON, "trim": filterTrim, "unique": filterUnique, "upper": onText(upper), "wordcount": filterWordCount,
	}
}

// onText is a filter that rewrites a text.
func onText(f func(string) string) filter {
	return func(r *run, v Value, _ arguments) (Value, error) {
		s := f(text(v))
		return Str(s), r.makes(len(s))
	}
}

// upper is str.upper, which knows that ß becomes SS.
func upper(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "ß", "SS") }

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
}

// title begins each word with a capital; words begin after spaces and after - ( { [ <.
func title(s string) string {
	begin := true
	return strings.Map(func(r rune) rune {
		first := begin
		begin = unicode.IsSpace(r) || strings.ContainsRune("-({[<", r)
		if first {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func escapeHTML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(s)
}

func filterString(_ *run, v Value, _ arguments) (Value, error) { return Str(text(v)), nil }

func filterLength(_ *run, v Value, _ arguments) (Value, error) {
	n, err := length(v)
	return Int(n), err
}

func filterAbs(_ *run, v Value, _ arguments) (Value, error) {
	switch v := v.(type) {
	case Int:
		return max(v, -v), nil
	case Float:
		return Float(math.Abs(float64(v))), nil
	}
	return nil, fmt.Errorf("%s is no number", v.kind())
}

func filterAttr(_ *run, v Value, args arguments) (Value, error) {
	name := text(args.get(0, "name", Str("")))
	if d, ok := v.(*Dict); ok && method(d, name) == nil {
		return Undefined{name}, nil // items are no attributes here
	}
	return attribute(v, name)
}

func filterDefault(_ *run, v Value, args arguments) (Value, error) {
	_, undefined := v.(Undefined)
	if undefined || truth(args.get(1, "boolean", Bool(false))) && !truth(v) {
		return args.get(0, "default_value", Str("")), nil
	}
	return v, nil
}

func filterInt(_ *run, v Value, args arguments) (Value, error) {
	switch v := v.(type) {
	case Float:
		if f := float64(v); math.Abs(f) < 1<<62 {
			return Int(f), nil
		}
	case Str:
		t := strings.ReplaceAll(strings.TrimSpace(string(v)), "_", "")
		base, _ := asInt(args.get(1, "base", Int(10)))
		if base != 0 && (base < 2 || base > 36) {
			return nil, fmt.Errorf("base %d", base)
		}
		if n, err := strconv.ParseInt(t, base, 64); err == nil {
			return Int(n), nil
		}
		if f, err := strconv.ParseFloat(t, 64); err == nil && math.Abs(f) < 1<<62 {
			return Int(f), nil
		}
	default:
		if n, ok := asInt(v); ok {
			return Int(n), nil
		}
	}
	return args.get(0, "default", Int(0)), nil
}

func filterFloat(_ *run, v Value, args arguments) (Value, error) {
	if f, ok := asFloat(v); ok {
		return Float(f), nil
	}
	if s, ok := v.(Str); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(string(s)), 64); err == nil {
			return Float(f), nil
		}
	}
	return args.get(0, "default", Float(0)), nil
}

func filterRound(_ *run, v Value, args arguments) (Value, error) {
	f, ok := asFloat(v)
	if !ok {
		return nil, fmt.Errorf("%s is no number", v.kind())
	}
	places, _ := asInt(args.get(0, "precision", Int(0)))
	scale := math.Pow(10, float64(places))
	switch how := text(args.get(1, "method", Str("common"))); how {
	case "ceil":
		f = math.Ceil(f*scale) / scale
	case "floor":
		f = math.Floor(f*scale) / scale
	case "common":
		if places >= 0 && places < 17 {
			f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'f', places, 64), 64) // half to even, on the exact value
		} else {
			f = math.RoundToEven(f*scale) / scale
		}
	default:
		return nil, fmt.Errorf("there is no method %q", how)
	}
	return Float(f), nil
}

func filterReplace(r *run, v Value, args arguments) (Value, error) {
	count, ok := asInt(args.get(2, "count", Int(-1)))
	if !ok {
		count = -1
	}
	return replaceText(r, text(v), text(args.get(0, "old", Str(""))), text(args.get(1, "new", Str(""))), count)
}

// replaceText is str.replace.
func replaceText(r *run, s, old, new string, count int) (Value, error) {
	n := strings.Count(s, old)
	if count >= 0 {
		n = min(n, count)
	}
	if err := r.makes(len(s) + n*max(0, len(new)-len(old))); err != nil {
		return nil, err
	}
	return Str(strings.Replace(s, old, new, count)), nil
}

func filterTrim(_ *run, v Value, args arguments) (Value, error) {
	if chars, ok := args.get(0, "chars", None{}).(Str); ok {
		return Str(strings.Trim(text(v), string(chars))), nil
	}
	return Str(strings.TrimFunc(text(v), isSpace)), nil
}

// isSpace is str.isspace of a character: Go's white space and the separators
// U+001C to U+001F.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func filterIndent(r *run, v Value, args arguments) (Value, error) {
	margin := "    "
	switch w := args.get(0, "width", Int(4)).(type) {
	case Int:
		if w < 0 || w > 1000 {
			return nil, fmt.Errorf("width %d", w)
		}
		margin = strings.Repeat(" ", int(w))
	case Str:
		margin = string(w)
	}
	first, blank := truth(args.get(1, "first", Bool(false))), truth(args.get(2, "blank", Bool(false)))
	lines := strings.Split(text(v), "\n")
	size := 0
	for i, line := range lines {
		if i == 0 && !first || i > 0 && line == "" && !blank {
			continue
		}
		lines[i] = margin + line
		if size += len(lines[i]); size > r.limits.Output {
			return nil, r.fits(size)
		}
	}
	return Str(strings.Join(lines, "\n")), nil
}

func filterFormat(_ *run, v Value, args arguments) (Value, error) {
	if args.named != nil {
		return nil, errors.New("names in a format are not supported")
	}
	return percentFormat(text(v), &List{Items: args.list, Tuple: true})
}

func filterWordCount(_ *run, v Value, _ arguments) (Value, error) {
	return Int(len(strings.Fields(text(v)))), nil
}

// filterToJSON is transformers' tojson: json.dumps with ensure_ascii off, and
// nothing escaped for HTML.
func filterToJSON(r *run, v Value, args arguments) (Value, error) {
	s := jsonStyle{
		item: ", ", colon: ": ", ascii: truth(args.get(0, "ensure_ascii", Bool(false))), sort: truth(args.get(3, "sort_keys", Bool(false))),
		fits: r.fits,
	}
	switch w := args.get(1, "indent", None{}).(type) {
	case Int:
		if w < 0 || w > 1000 {
			return nil, fmt.Errorf("indent %d", w)
		}
		s.indent, s.item = strings.Repeat(" ", int(w)), ","
	case Str:
		s.indent, s.item = string(w), ","
	}
	if l, ok := args.get(2, "separators", None{}).(*List); ok && len(l.Items) == 2 {
		s.item, s.colon = text(l.Items[0]), text(l.Items[1])
	}
	var b strings.Builder
	err := writeJSON(&b, v, s, "")
	return Str(b.String()), errors.Join(err, r.fits(b.Len()))
}
