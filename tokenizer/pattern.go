package tokenizer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A pattern finds what it matches in a text, from left to right.
type pattern func(text string, match func(start, end int))

// newPattern reads a pattern of tokenizer.json: a text, or a regular expression.
func newPattern(c component, j map[string]string) (pattern, error) {
	if text, ok := j["String"]; ok {
		return literal(text), nil
	}
	expression, ok := j["Regex"]
	if !ok {
		return nil, c.errorf("pattern: neither \"String\" nor \"Regex\"")
	}
	if next, ok := patterns[expression]; ok {
		return eachWord(next), nil
	}
	p, err := compilePattern(expression)
	if err != nil {
		return nil, c.errorf("pattern %q: %w", expression, err)
	}
	return p, nil
}

func literal(part string) pattern {
	return func(text string, match func(start, end int)) {
		for at := 0; part != ""; {
			n := strings.Index(text[at:], part)
			if n < 0 {
				return
			}
			at += n + len(part)
			match(at-len(part), at)
		}
	}
}

// possessive are parts of patterns in which a quantifier that gives nothing back
// matches the same as one that would, since what follows cannot match what it took.
var possessive = strings.NewReplacer(
	`[^\r\n\p{L}\p{N}]?+\p{L}+`, `[^\r\n\p{L}\p{N}]?\p{L}+`,
	`[^\s\p{L}\p{N}]++[\r\n]*`, `[^\s\p{L}\p{N}]+[\r\n]*`,
)

// compilePattern makes a pattern of an expression for which there is none by hand.
// It is matched by Go's regexp, in time linear in the text, with the classes of
// characters of this package. The look-ahead \s+(?!\S) is known at its usual place,
// before a last alternative \s+; anything else that Go's regexp does not have, or
// has otherwise, is an error.
func compilePattern(expression string) (pattern, error) {
	rest, ahead := strings.CutSuffix(possessive.Replace(expression), `|\s+(?!\S)|\s+`)
	if ahead {
		rest += `|(?P<space>\s+)`
	}
	translated, err := translate(rest)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, fmt.Errorf("it cannot be matched in linear time: %w", err)
	}
	if !ahead {
		return func(text string, match func(start, end int)) {
			for _, m := range re.FindAllStringIndex(text, -1) {
				match(m[0], m[1])
			}
		}, nil
	}
	if strings.Contains(rest, `\A`) || strings.Contains(rest, `\z`) {
		return nil, errors.New(`\A and \z beside a look-ahead are not supported`)
	}
	group := re.SubexpIndex("space")
	return func(text string, match func(start, end int)) {
		for at := 0; at < len(text); {
			m := re.FindStringSubmatchIndex(text[at:])
			if m == nil {
				return
			}
			start, end := at+m[0], at+m[1]
			if m[2*group] >= 0 {
				end = start + spaces(text[start:])
			}
			match(start, end)
			if at = end; start == end { // an empty match
				_, n := classAt(text[end:] + " ")
				at += n
			}
		}
	}, nil
}

// The classes of this package as parts of a class of Go's regexp.
var classText = map[string]string{
	`\s`:    `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`,
	`\p{L}`: rangesText(letters),
	`\p{N}`: rangesText(numbers),
}

func rangesText(ranges [][2]rune) string {
	var b strings.Builder
	for _, r := range ranges {
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, r[0], r[1])
	}
	return b.String()
}

// translate writes a pattern's classes out.
func translate(pattern string) (string, error) {
	var b strings.Builder
	inside := false // of square brackets
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if c != '\\' {
			switch {
			case (c == '^' || c == '$') && !(inside && pattern[i-1] == '['), c == '.' && !inside:
				if !inside {
					return "", fmt.Errorf("%q at %d is not supported", c, i)
				}
			case c == '[' && inside:
				return "", errors.New("classes in classes are not supported")
			case inside && strings.HasPrefix(pattern[i:], "&&"):
				return "", errors.New("intersections of classes (&&) are not supported")
			case !inside && strings.HasPrefix(pattern[i:], "{,"): // text in Go's regexp
				return "", errors.New("a number of repetitions without its least ({,n}) is not supported: write {0,n}")
			case c == '[', c == ']':
				inside = c == '['
			}
			b.WriteByte(c)
			continue
		}
		name, ranges := escapeAt(pattern[i:])
		switch {
		case name == "":
			return "", fmt.Errorf("the escape %.6q is not supported", pattern[i:])
		case ranges == "":
			b.WriteString(name)
		case inside:
			b.WriteString(ranges)
		default:
			b.WriteString("[" + ranges + "]")
		}
		i += len(name) - 1
	}
	return b.String(), nil
}

// escapeAt returns the escape at the start of a pattern, with the ranges that it
// stands for if it is a class; "" if it is not supported.
func escapeAt(pattern string) (name, ranges string) {
	for name, ranges := range classText {
		if strings.HasPrefix(pattern, name) {
			return name, ranges
		}
	}
	if len(pattern) > 1 && strings.IndexByte(`Azrnt\.-+*?()[]{}|/^$'"`, pattern[1]) >= 0 {
		return pattern[:2], ""
	}
	return "", ""
}
