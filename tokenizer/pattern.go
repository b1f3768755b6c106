package tokenizer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// compilePattern makes a matcher of a pattern for which there is none by hand. It
// is matched by Go's regexp, in time linear in the text, with the classes of
// characters of this package. The look-ahead \s+(?!\S) is known at its usual place,
// before a last alternative \s+; anything else that Go's regexp does not have, or
// has otherwise, is an error.
func compilePattern(pattern string) (matcher, error) {
	rest, ahead := strings.CutSuffix(pattern, `|\s+(?!\S)|\s+`)
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
	group := re.SubexpIndex("space")
	return func(text string) int {
		at := re.FindStringSubmatchIndex(text)
		switch {
		case at == nil:
			return len(text)
		case at[0] > 0:
			return at[0] // what stands between two matches is a word too
		case ahead && at[2*group] >= 0:
			return spaces(text)
		case at[1] == 0: // an empty match
			_, n := classAt(text)
			return n
		}
		return at[1]
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
	if len(pattern) > 1 && strings.IndexByte(`rnt\.-+*?()[]{}|/^$'"`, pattern[1]) >= 0 {
		return pattern[:2], ""
	}
	return "", ""
}
