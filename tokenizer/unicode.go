package tokenizer

import "unicode/utf8"

// class tells what a character is in patterns, and beside added tokens.
type class uint8

const (
	letter class = 1 << iota // \p{L}
	number                   // \p{N}
	space                    // \s
	digit                    // what the pre-tokenizer Digits cuts out
	word                     // \w

	other = class(0) // none of letter, number and space
	kind  = letter | number | space
)

// classes holds the class of every character, in blocks of 256 of which equal ones
// are kept once.
var classes struct {
	block [0x1100]uint16
	of    [][256]class
}

// ascii is the first half of the first block.
var ascii [utf8.RuneSelf]class

func init() {
	blocks := make([][256]class, 0x1100)
	add := func(ranges [][2]rune, c class) {
		for _, r := range ranges {
			for x := r[0]; x <= r[1]; x++ {
				blocks[x>>8][x&0xff] |= c
			}
		}
	}
	add(letters, letter)
	add(numbers, number)
	add(digits, digit)
	add(words, word)
	add([][2]rune{{'\t', '\r'}, {' ', ' '}, {0x85, 0x85}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
		{0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}}, space) // White_Space of Unicode
	known := make(map[[256]class]uint16)
	for i, b := range blocks {
		at, ok := known[b]
		if !ok {
			at = uint16(len(classes.of))
			known[b] = at
			classes.of = append(classes.of, b)
		}
		classes.block[i] = at
	}
	copy(ascii[:], classes.of[0][:])
}

// classAt returns the class of the first character of a text that is not empty, and
// its length. A byte that is no character counts as U+FFFD, as in text that is read
// with replacement.
func classAt(text string) (class, int) {
	if c := text[0]; c < utf8.RuneSelf {
		return ascii[c], 1
	}
	r, n := utf8.DecodeRuneInString(text)
	return classOf(r), n
}

// classBefore returns the class of the last character of a text, and its length.
func classBefore(text string) (class, int) {
	r, n := utf8.DecodeLastRuneInString(text)
	return classOf(r), n
}

func classOf(r rune) class { return classes.of[classes.block[r>>8]][r&0xff] }

func isSpace(r rune) bool { return classOf(r)&space != 0 }
func isDigit(r rune) bool { return classOf(r)&digit != 0 }
