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

// Decode returns the text of ids. Bytes that form no character become U+FFFD,
// one for each longest beginning of a character. With skipSpecial special tokens
// are left out. Unknown ids are left out.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	var b []byte
	for _, id := range ids {
		b = append(b, t.bytesOf(id, skipSpecial)...)
	}
	text, _ := lossy(nil, b, true)
	return string(text)
}

func (t *Tokenizer) bytesOf(id int32, skipSpecial bool) string {
	token, ok := t.Token(id)
	if !ok || skipSpecial && t.added.special[id] {
		return ""
	}
	return fromByteLevel(token)
}

// A Stream decodes ids as they come and never splits a character.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	held        []byte
}

// Stream returns a new stream that leaves special tokens out.
func (t *Tokenizer) Stream() *Stream { return &Stream{t: t, skipSpecial: true} }

// Next returns the text that the id completes; it may be empty.
func (s *Stream) Next(id int32) string {
	s.held = append(s.held, s.t.bytesOf(id, s.skipSpecial)...)
	text, rest := lossy(nil, s.held, false)
	s.held = append(s.held[:0], rest...)
	return string(text)
}

// Flush returns what is held back, as Decode would write it.
func (s *Stream) Flush() string {
	text, _ := lossy(nil, s.held, true)
	s.held = nil
	return string(text)
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
