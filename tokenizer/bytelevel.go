package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// GPT-2 writes every byte as a printable character: printable bytes of Latin-1
// stand for themselves, the others for characters from U+0100 on, in order.
var (
	byteToRune [256]rune
	runeToByte = make(map[rune]byte, 256)
)

func init() {
	moved := rune(256)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae) {
			r = moved
			moved++
		}
		byteToRune[b] = r
		runeToByte[r] = byte(b)
	}
}

// toByteLevel writes bytes as the characters of the vocabulary.
func toByteLevel(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(byteToRune[s[i]])
	}
	return b.String()
}

// fromByteLevel is the reverse. A token with a character that stands for no byte
// is its own text, as added tokens may be.
func fromByteLevel(token string) string {
	b := make([]byte, 0, len(token))
	for _, r := range token {
		c, ok := runeToByte[r]
		if !ok {
			return token
		}
		b = append(b, c)
	}
	return string(b)
}

// lossy appends b to text with U+FFFD for bytes that form no character: one for
// each maximal part of a character (Unicode 15, section 3.9, practice of
// substitution), as Rust's from_utf8_lossy does it. Unless final, the beginning
// of a character at the end of b is returned as the rest.
func lossy(text, b []byte, final bool) (out, rest []byte) {
	for len(b) > 0 {
		if r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1 {
			text = append(text, b[:n]...)
			b = b[n:]
			continue
		}
		n := partial(b)
		if n == len(b) && !final && !utf8.FullRune(b) {
			return text, b
		}
		text = append(text, "\uFFFD"...)
		b = b[n:]
	}
	return text, nil
}

// partial returns the length of the longest beginning of b that could begin a
// character, at least 1.
func partial(b []byte) int {
	for n := min(3, len(b)); n > 1; n-- {
		if !utf8.FullRune(b[:n]) {
			return n
		}
	}
	return 1
}

// valid is the rewriter to UTF-8, as lossy has it.
func valid(text string, p pass) (string, []segment) {
	w := writer{track: p.track}
	from := 0
	for at := 0; at < len(text); {
		if r, n := utf8.DecodeRuneInString(text[at:]); r != utf8.RuneError || n > 1 {
			at += n
			continue
		}
		w.keep(text[from:at])
		from = at + partial([]byte(text[at:min(at+utf8.UTFMax, len(text))]))
		w.put("\uFFFD", from-at)
		at = from
	}
	w.keep(text[from:])
	return w.done(text)
}
