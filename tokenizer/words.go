package tokenizer

import (
	"fmt"
	"strings"
)

// A matcher returns the length of the word at the start of a text that is not
// empty: at least one character.
type matcher func(text string) int

// eachWord is the pattern that matches one word after the other.
func eachWord(next matcher) pattern {
	return func(text string, match func(start, end int)) {
		for at := 0; at < len(text); {
			n := next(text[at:])
			match(at, at+n)
			at += n
		}
	}
}

// The patterns that are matched by hand, each in one pass:
//
//   - of GPT-2 (Radford et al. 2019), SmolLM2 and GPT-NeoX;
//   - of Qwen2, Qwen2.5 and Qwen3;
//   - of Llama 3, with numbers of up to three digits.
//
// TestPatterns holds them against the patterns themselves.
var patterns = map[string]matcher{
	gpt2Pattern:                             wordGPT2,
	fmt.Sprintf(qwen2Pattern, `\p{N}`):      func(text string) int { return wordQwen2(text, 1) },
	fmt.Sprintf(qwen2Pattern, `\p{N}{1,3}`): func(text string) int { return wordQwen2(text, 3) },
}

const (
	gpt2Pattern  = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	qwen2Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// wordGPT2 matches gpt2Pattern.
func wordGPT2(text string) int {
	if text[0] == '\'' {
		for _, c := range contractions {
			if strings.HasPrefix(text, c) {
				return len(c)
			}
		}
	}
	first := 0 // a space before the word belongs to it
	if text[0] == ' ' && len(text) > 1 {
		first = 1
	}
	c, n := classAt(text[first:])
	if c&space == 0 {
		return first + n + run(text[first+n:], c&kind)
	}
	return spaces(text)
}

// wordQwen2 matches qwen2Pattern with numbers of up to so many digits.
func wordQwen2(text string, digits int) int {
	if text[0] == '\'' {
		if n := contraction(text[1:]); n > 0 {
			return 1 + n
		}
	}
	c, n := classAt(text)
	if c&letter != 0 {
		return n + run(text[n:], letter)
	}
	if c&number == 0 && text[0] != '\n' && text[0] != '\r' && n < len(text) {
		if after, m := classAt(text[n:]); after&letter != 0 {
			return n + m + run(text[n+m:], letter)
		}
	}
	switch {
	case c&number != 0:
		for range digits - 1 {
			if n == len(text) {
				break
			}
			d, m := classAt(text[n:])
			if d&number == 0 {
				break
			}
			n += m
		}
		return n
	case c&space == 0:
		return signs(text, n)
	}
	if text[0] == ' ' && len(text) > 1 {
		if after, m := classAt(text[1:]); after&kind == other {
			return signs(text, 1+m)
		}
	}
	// White space up to its last line break, else as in GPT-2.
	end := run(text, space)
	if last := strings.LastIndexAny(text[:end], "\r\n"); last >= 0 {
		return last + 1
	}
	return spaces(text)
}

// signs goes on with a word of signs, and the line breaks behind them.
func signs(text string, n int) int {
	n += run(text[n:], other)
	for n < len(text) && (text[n] == '\r' || text[n] == '\n') {
		n++
	}
	return n
}

// contraction returns the length of s, t, re, ve, m, ll or d in any case at the
// start of a text; the long ſ is an s.
func contraction(text string) int {
	if strings.HasPrefix(text, "ſ") {
		return len("ſ")
	}
	if text == "" {
		return 0
	}
	switch text[0] | 0x20 {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if len(text) > 1 && text[1]|0x20 == 'e' {
			return 2
		}
	case 'l':
		if len(text) > 1 && text[1]|0x20 == 'l' {
			return 2
		}
	}
	return 0
}

// spaces matches \s+(?!\S)|\s+: white space, without its last character if a word
// follows.
func spaces(text string) int {
	end, last := 0, 0
	for end < len(text) {
		c, n := classAt(text[end:])
		if c&space == 0 {
			break
		}
		last = n
		end += n
	}
	if end < len(text) && end > last {
		return end - last
	}
	return end
}

// run returns the length of the longest beginning of one kind.
func run(text string, want class) int {
	at := 0
	for at < len(text) {
		c, n := classAt(text[at:])
		if c&kind != want {
			break
		}
		at += n
	}
	return at
}
