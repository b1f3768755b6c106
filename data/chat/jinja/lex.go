package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	tokData  tokenKind = iota // text outside of tags
	tokBegin                  // {%
	tokEnd                    // %}
	tokOpen                   // {{
	tokClose                  // }}
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
	tokEOF
)

type token struct {
	kind tokenKind
	text string
	line int
}

// An Error is a fault of a template, with the line it is in.
type Error struct {
	Line int
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

func errorAt(line int, format string, args ...any) error {
	return &Error{line, fmt.Sprintf(format, args...)}
}

// A lexer cuts a template into tokens, with the white space that tags remove
// already removed: trim_blocks (the line break after a tag), lstrip_blocks (the
// indentation before a tag that begins a line), and the marks - and + in tags.
type lexer struct {
	source string
	at     int
	line   int
	tokens []token
	strip  bool // the tag before ended in -, so white space is dropped
	trim   bool // the tag before was a block or comment, so one line break is dropped
}

func lex(source string) ([]token, error) {
	source = strings.ReplaceAll(source, "\r\n", "\n")
	source = strings.ReplaceAll(source, "\r", "\n")
	source = strings.TrimSuffix(source, "\n")
	l := &lexer{source: source, line: 1}
	for l.at < len(l.source) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.emit(tokEOF, "")
	return l.tokens, nil
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind, text, l.line})
}

// advance moves on and counts lines.
func (l *lexer) advance(n int) {
	l.line += strings.Count(l.source[l.at:l.at+n], "\n")
	l.at += n
}

// next lexes the text up to a tag, and the tag.
func (l *lexer) next() error {
	rest := l.source[l.at:]
	tag := -1
	for i := 0; i+1 < len(rest); i++ {
		if rest[i] == '{' && (rest[i+1] == '%' || rest[i+1] == '{' || rest[i+1] == '#') {
			tag = i
			break
		}
	}
	if tag < 0 {
		l.data(rest, len(rest))
		return nil
	}
	text, kind := rest[:tag], rest[tag+1]
	mark := byte(0)
	if tag+2 < len(rest) && (rest[tag+2] == '-' || rest[tag+2] == '+') {
		mark = rest[tag+2]
	}
	switch {
	case mark == '-':
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	case mark == 0 && kind != '{':
		// Only where the tag begins a line of the source.
		if bare := strings.TrimRight(text, " \t"); bare == "" && l.lineBegins() || strings.HasSuffix(bare, "\n") {
			text = bare
		}
	}
	l.data(text, tag)
	l.strip, l.trim = false, false
	open := 2
	if mark != 0 {
		open = 3
	}
	switch kind {
	case '#':
		return l.comment(open)
	case '%':
		if done, err := l.raw(open); done {
			return err
		}
		return l.tag(open, tokBegin, tokEnd, "%}")
	}
	return l.tag(open, tokOpen, tokClose, "}}")
}

// lineBegins reports whether the place at hand is the beginning of a line.
func (l *lexer) lineBegins() bool { return l.at == 0 || l.source[l.at-1] == '\n' }

// data emits text, without what the tag before it removes, and moves on by n.
func (l *lexer) data(text string, n int) {
	if l.strip {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
	} else if l.trim {
		text = strings.TrimPrefix(text, "\n")
	}
	if text != "" {
		l.emit(tokData, text)
	}
	l.advance(n)
}

func (l *lexer) comment(open int) error {
	end := strings.Index(l.source[l.at+open:], "#}")
	if end < 0 {
		return errorAt(l.line, "a comment does not end")
	}
	last := l.source[l.at+open+max(end-1, 0)]
	l.strip, l.trim = end > 0 && last == '-', end == 0 || last != '+'
	l.advance(open + end + 2)
	return nil
}

// raw emits what stands between raw and endraw as text.
func (l *lexer) raw(open int) (bool, error) {
	body, ok := strings.CutPrefix(strings.TrimLeftFunc(l.source[l.at+open:], unicode.IsSpace), "raw")
	body = strings.TrimLeftFunc(body, unicode.IsSpace)
	strip := strings.HasPrefix(body, "-%}")
	body = strings.TrimPrefix(body, "-")
	if !ok || !strings.HasPrefix(body, "%}") {
		return false, nil
	}
	body = body[2:]
	if strip {
		body = strings.TrimLeftFunc(body, unicode.IsSpace)
	} else {
		body = strings.TrimPrefix(body, "\n")
	}
	for at := 0; ; {
		i := strings.Index(body[at:], "{%")
		if i < 0 {
			return true, errorAt(l.line, "raw has no endraw")
		}
		tag := body[at+i+2:]
		mark := strings.HasPrefix(tag, "-")
		tag = strings.TrimLeftFunc(strings.TrimPrefix(tag, "-"), unicode.IsSpace)
		if rest, ok := strings.CutPrefix(tag, "endraw"); ok {
			text := body[:at+i]
			if mark {
				text = strings.TrimRightFunc(text, unicode.IsSpace)
			} else if bare := strings.TrimRight(text, " \t"); strings.HasSuffix(bare, "\n") {
				text = bare
			}
			rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
			l.strip, l.trim = strings.HasPrefix(rest, "-"), true
			rest, ok = strings.CutPrefix(strings.TrimPrefix(rest, "-"), "%}")
			if !ok {
				return true, errorAt(l.line, "endraw does not end")
			}
			if text != "" {
				l.emit(tokData, text)
			}
			l.advance(len(l.source) - l.at - len(rest))
			return true, nil
		}
		at += i + 2
	}
}

// tag emits the tokens of a tag.
func (l *lexer) tag(open int, begin, end tokenKind, closer string) error {
	l.emit(begin, "")
	from := l.line
	l.advance(open)
	depth := 0
	for {
		for l.at < len(l.source) && unicode.IsSpace(rune(l.source[l.at])) {
			l.advance(1)
		}
		rest := l.source[l.at:]
		if rest == "" {
			return errorAt(from, "a tag does not end")
		}
		if depth == 0 {
			for _, mark := range []string{"-", "+", ""} {
				if strings.HasPrefix(rest, mark+closer) {
					l.emit(end, "")
					l.strip, l.trim = mark == "-", mark != "+" && end == tokEnd
					l.advance(len(mark) + 2)
					return nil
				}
			}
		}
		n, err := l.lexeme(rest)
		if err != nil {
			return err
		}
		switch rest[:n] {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		}
		l.advance(n)
	}
}

var operators = []string{
	"**", "//", "==", "!=", "<=", ">=",
	"+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "|",
}

// lexeme emits one token of an expression and returns its length.
func (l *lexer) lexeme(s string) (int, error) {
	r, _ := utf8.DecodeRuneInString(s)
	switch {
	case r == '_' || unicode.IsLetter(r):
		n := strings.IndexFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if n < 0 {
			n = len(s)
		}
		l.emit(tokName, s[:n])
		return n, nil
	case r >= '0' && r <= '9':
		return l.number(s), nil
	case r == '"' || r == '\'':
		return l.text(s)
	}
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			l.emit(tokOp, op)
			return len(op), nil
		}
	}
	return 0, errorAt(l.line, "unexpected %q", r)
}

func (l *lexer) number(s string) int {
	digits := func(i int) int {
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '_') {
			i++
		}
		return i
	}
	n, kind := digits(0), tokInt
	if n+1 < len(s) && s[n] == '.' && s[n+1] >= '0' && s[n+1] <= '9' {
		n, kind = digits(n+1), tokFloat
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if end := digits(m); end > m {
			n, kind = end, tokFloat
		}
	}
	l.emit(kind, strings.ReplaceAll(s[:n], "_", ""))
	return n
}

// text emits a string literal with Python's escapes.
func (l *lexer) text(s string) (int, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			l.emit(tokString, b.String())
			return i + 1, nil
		case c == '\\' && i+1 < len(s):
			i++
			n, err := escape(&b, s[i:])
			if err != nil {
				return 0, errorAt(l.line, "%v", err)
			}
			i += n - 1
		default:
			b.WriteByte(c)
		}
	}
	return 0, errorAt(l.line, "a text does not end")
}

// escape writes what stands after a backslash and returns its length.
func escape(b *strings.Builder, s string) (int, error) {
	if i := strings.IndexByte(`\'"abfnrtv`, s[0]); i >= 0 {
		b.WriteByte("\\'\"\a\b\f\n\r\t\v"[i])
		return 1, nil
	}
	if size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]; size > 0 {
		var r rune
		if len(s) <= size {
			return 0, fmt.Errorf("the escape \\%s is too short", s)
		}
		if _, err := fmt.Sscanf(s[1:1+size], "%x", &r); err != nil {
			return 0, fmt.Errorf("the escape \\%s is no number", s[:1+size])
		}
		b.WriteRune(r)
		return 1 + size, nil
	}
	if s[0] == '\n' {
		return 1, nil
	}
	b.WriteByte('\\')
	b.WriteByte(s[0])
	return 1, nil
}
