package inspect

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// joiner makes one emoji of two.
const joiner = '\u200d'

// Visible returns a text with a sign for each control character, so that a line
// break can be seen and an escape sequence does nothing to the terminal: ␊ for a
// line break, ⟨U+202E⟩ for what has no sign of its own, ⟨xFF⟩ for a byte that is no
// UTF-8.
func Visible(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			fmt.Fprintf(&b, "⟨x%02X⟩", text[i])
		case r < 0x20:
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		case r == joiner && i > 0 && i+utf8.RuneLen(joiner) < len(text):
			b.WriteRune(r) // inside of an emoji
		case r != ' ' && !unicode.IsPrint(r):
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// continued stands for a token whose bytes are shown at the token before.
const continued = "⋯"

// longestCharacter is how many tokens a character may be spread over.
const longestCharacter = 4

// texts returns what each id stands for, visible. Where several together make up a
// character the first of them shows it.
func texts(d Decoder, ids []int32) []string {
	all := make([]string, 0, len(ids))
	for len(all) < len(ids) {
		i := len(all)
		text, n := d.Decode(ids[i:i+1], false), 1
		for k := 2; strings.ContainsRune(text, utf8.RuneError) && k <= longestCharacter && i+k <= len(ids); k++ {
			if joined := d.Decode(ids[i:i+k], false); !strings.ContainsRune(joined, utf8.RuneError) {
				text, n = joined, k
			}
		}
		all = append(all, Visible(text))
		for range n - 1 {
			all = append(all, continued)
		}
	}
	return all
}
