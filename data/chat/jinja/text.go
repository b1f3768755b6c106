package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

type textMethod func(r *run, s string, args arguments) (Value, error)

var textMethods map[string]textMethod

func init() { // the table refers to functions that refer to it
	textMethods = map[string]textMethod{
		"strip":  stripped(strings.Trim, strings.TrimFunc),
		"lstrip": stripped(strings.TrimLeft, strings.TrimLeftFunc),
		"rstrip": stripped(strings.TrimRight, strings.TrimRightFunc),
		"upper":  plain(upper), "lower": plain(strings.ToLower), "title": plain(titleWords), "capitalize": plain(capitalize),
		"casefold": plain(strings.ToLower), "swapcase": plain(swapCase),
		"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
		"removeprefix": without(strings.TrimPrefix), "removesuffix": without(strings.TrimSuffix),
		"split": textSplit, "rsplit": textRSplit, "splitlines": textSplitLines,
		"partition": textPartition(false), "rpartition": textPartition(true),
		"replace": textReplace, "join": textJoin, "format": textFormat,
		"find": textFind(strings.Index, false), "rfind": textFind(strings.LastIndex, false), "index": textFind(strings.Index, true),
		"count":   textCount,
		"isdigit": every(unicode.IsDigit), "isnumeric": every(unicode.IsNumber), "isdecimal": every(unicode.IsDigit),
		"isalpha": every(unicode.IsLetter), "isspace": every(isSpace),
		"isalnum": every(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isupper": cased(unicode.IsUpper, unicode.IsLower), "islower": cased(unicode.IsLower, unicode.IsUpper),
		"zfill": textZFill, "ljust": justified(0), "rjust": justified(1), "center": justified(2),
	}
}

func plain(f func(string) string) textMethod {
	return func(_ *run, s string, _ arguments) (Value, error) { return Str(f(s)), nil }
}

func stripped(cut func(s, set string) string, space func(string, func(rune) bool) string) textMethod {
	return func(_ *run, s string, args arguments) (Value, error) {
		if set, ok := args.get(0, "chars", None{}).(Str); ok {
			return Str(cut(s, string(set))), nil
		}
		return Str(space(s, isSpace)), nil
	}
}

// titleWords is str.title: a capital after all that is no letter. The filter title
// has another rule.
func titleWords(s string) string {
	inside := false
	return strings.Map(func(r rune) rune {
		first := !inside
		inside = unicode.IsLetter(r)
		if first {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// affix is startswith or endswith, of a text or of any of a tuple.
func affix(has func(s, part string) bool) textMethod {
	return func(_ *run, s string, args arguments) (Value, error) {
		switch part := args.get(0, "prefix", None{}).(type) {
		case Str:
			return Bool(has(s, string(part))), nil
		case *List:
			return Bool(slices.ContainsFunc(part.Items, func(v Value) bool { p, ok := v.(Str); return ok && has(s, string(p)) })), nil
		}
		return nil, errors.New("it needs a text or a tuple of texts")
	}
}

func without(cut func(s, part string) string) textMethod {
	return func(_ *run, s string, args arguments) (Value, error) {
		return Str(cut(s, text(args.get(0, "part", Str(""))))), nil
	}
}

// separator reads the arguments of split and rsplit; without a separator it is
// white space.
func separator(args arguments) (sep string, space bool, most int, err error) {
	most = -1
	if n, ok := asInt(args.get(1, "maxsplit", Int(-1))); ok {
		most = n
	}
	switch v := args.get(0, "sep", None{}).(type) {
	case None:
		return "", true, most, nil
	case Str:
		if v == "" {
			return "", false, 0, errors.New("the separator is empty")
		}
		return string(v), false, most, nil
	}
	return "", false, 0, errors.New("the separator is no text")
}

func textSplit(_ *run, s string, args arguments) (Value, error) {
	sep, space, most, err := separator(args)
	if err != nil {
		return nil, err
	}
	if !space {
		if most >= 0 {
			return Strings(strings.SplitN(s, sep, most+1)...), nil
		}
		return Strings(strings.Split(s, sep)...), nil
	}
	l := &List{}
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		end := strings.IndexFunc(s, isSpace)
		if end < 0 || most >= 0 && len(l.Items) == most {
			end = len(s)
		}
		l.Items = append(l.Items, Str(s[:end]))
		s = s[end:]
	}
	return l, nil
}

func textRSplit(r *run, s string, args arguments) (Value, error) {
	sep, space, most, err := separator(args)
	if err != nil {
		return nil, err
	}
	if most < 0 {
		return textSplit(r, s, args)
	}
	var parts []string
	for range most {
		var i, n int
		if space {
			s = strings.TrimRightFunc(s, isSpace)
			i = strings.LastIndexFunc(s, isSpace)
			_, n = utf8.DecodeRuneInString(s[max(i, 0):])
		} else {
			i, n = strings.LastIndex(s, sep), len(sep)
		}
		if i < 0 {
			break
		}
		parts = append(parts, s[i+n:])
		s = s[:i]
	}
	if space {
		s = strings.TrimRightFunc(s, isSpace)
	}
	if s != "" || !space {
		parts = append(parts, s)
	}
	slices.Reverse(parts)
	return Strings(parts...), nil
}

func textSplitLines(_ *run, s string, args arguments) (Value, error) {
	keep := truth(args.get(0, "keepends", Bool(false)))
	l := &List{}
	for s != "" {
		end := strings.IndexAny(s, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if end < 0 {
			l.Items = append(l.Items, Str(s))
			break
		}
		_, n := utf8.DecodeRuneInString(s[end:])
		if strings.HasPrefix(s[end:], "\r\n") {
			n = 2
		}
		line := s[:end]
		if keep {
			line = s[:end+n]
		}
		l.Items = append(l.Items, Str(line))
		s = s[end+n:]
	}
	return l, nil
}

// textPartition is partition, or from the end rpartition: the text before a
// separator, the separator and the text behind it.
func textPartition(fromEnd bool) textMethod {
	return func(_ *run, s string, args arguments) (Value, error) {
		sep := text(args.get(0, "sep", Str("")))
		if sep == "" {
			return nil, errors.New("the separator is empty")
		}
		i := strings.Index(s, sep)
		if fromEnd {
			i = strings.LastIndex(s, sep)
		}
		parts := Strings(s, "", "")
		switch {
		case i >= 0:
			parts = Strings(s[:i], sep, s[i+len(sep):])
		case fromEnd:
			parts = Strings("", "", s)
		}
		parts.Tuple = true
		return parts, nil
	}
}

func textReplace(r *run, s string, args arguments) (Value, error) {
	old, okOld := args.get(0, "old", None{}).(Str)
	new, okNew := args.get(1, "new", None{}).(Str)
	if !okOld || !okNew {
		return nil, errors.New("replace needs two texts")
	}
	count, ok := asInt(args.get(2, "count", Int(-1)))
	if !ok {
		count = -1
	}
	return replaceText(r, s, string(old), string(new), count)
}

func textJoin(r *run, s string, args arguments) (Value, error) {
	list, err := items(args.get(0, "iterable", &List{}))
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		if _, ok := v.(Str); !ok {
			return nil, fmt.Errorf("join: %s is no text", v.kind())
		}
	}
	return filterJoin(r, &List{Items: list}, arguments{list: []Value{Str(s)}})
}

func textFind(index func(s, part string) int, must bool) textMethod {
	return func(_ *run, s string, args arguments) (Value, error) {
		part, ok := args.get(0, "sub", None{}).(Str)
		if !ok {
			return nil, errors.New("find needs a text")
		}
		i := index(s, string(part))
		if i < 0 {
			if must {
				return nil, errors.New("index: the text is not there")
			}
			return Int(-1), nil
		}
		return Int(utf8.RuneCountInString(s[:i])), nil
	}
}

func textCount(_ *run, s string, args arguments) (Value, error) {
	return Int(strings.Count(s, text(args.get(0, "sub", Str(""))))), nil
}

// every is isdigit and its kin: true for a text of such characters alone.
func every(is func(rune) bool) textMethod {
	return func(_ *run, s string, _ arguments) (Value, error) {
		return Bool(s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !is(r) })), nil
	}
}

func cased(is, not func(rune) bool) textMethod {
	return func(_ *run, s string, _ arguments) (Value, error) {
		return Bool(strings.ContainsFunc(s, is) && !strings.ContainsFunc(s, not)), nil
	}
}

func textZFill(r *run, s string, args arguments) (Value, error) {
	n, err := whole(args.get(0, "width", Int(0)))
	if err = errors.Join(err, r.fits(n)); err != nil {
		return nil, err
	}
	sign := ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		sign, s = s[:1], s[1:]
	}
	return Str(sign + strings.Repeat("0", max(0, n-len(sign)-utf8.RuneCountInString(s))) + s), nil
}

// justified fills on the right (0), on the left (1) or on both sides (2).
func justified(where int) textMethod {
	return func(r *run, s string, args arguments) (Value, error) {
		n, err := whole(args.get(0, "width", Int(0)))
		fill := text(args.get(1, "fillchar", Str(" ")))
		if err = errors.Join(err, r.fits(n)); err != nil {
			return nil, err
		}
		if err := r.makes(n * len(fill)); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, errors.New("the fill is one character")
		}
		space := max(0, n-utf8.RuneCountInString(s))
		left := []int{0, space, space/2 + space&n&1}[where] // CPython's rule for an odd space
		return Str(strings.Repeat(fill, left) + s + strings.Repeat(fill, space-left)), nil
	}
}
