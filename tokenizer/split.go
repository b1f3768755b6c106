package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// A splitter cuts a text into words and calls yield for each in order.
type splitter func(text string, yield func(word string))

// gpt2Pattern is the split of GPT-2 (Radford et al. 2019), which splitGPT2 does
// by hand.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// preTokenizer is an entry "pre_tokenizer" of tokenizer.json.
type preTokenizer struct {
	Type           string            `json:"type"`
	AddPrefixSpace bool              `json:"add_prefix_space"`
	TrimOffsets    bool              `json:"trim_offsets"` // concerns offsets, not ids
	UseRegex       *bool             `json:"use_regex"`
	Individual     bool              `json:"individual_digits"`
	Pattern        map[string]string `json:"pattern"`
	Behavior       string            `json:"behavior"`
	Invert         bool              `json:"invert"`
	PreTokenizers  []json.RawMessage `json:"pretokenizers"`
}

// newSplitter builds the splitter of a pre-tokenizer. The last part has to be
// ByteLevel, since words are looked up as bytes.
func newSplitter(raw json.RawMessage) (splitter, error) {
	parts, err := flatten(raw)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 || parts[len(parts)-1].Type != "ByteLevel" {
		return nil, fmt.Errorf("pre_tokenizer: it must end in ByteLevel; others are not supported")
	}
	split := splitter(func(text string, yield func(string)) {
		if text != "" {
			yield(text)
		}
	})
	for i, p := range parts {
		next, err := p.splitter()
		if err != nil {
			return nil, err
		}
		if p.Type == "ByteLevel" && i != len(parts)-1 {
			return nil, fmt.Errorf("pre_tokenizer: ByteLevel before another part is not supported")
		}
		if i == 0 {
			split = next
			continue
		}
		before := split
		split = func(text string, yield func(string)) {
			before(text, func(word string) { next(word, yield) })
		}
	}
	return split, nil
}

// flatten lists the parts of nested sequences.
func flatten(raw json.RawMessage) ([]preTokenizer, error) {
	var p preTokenizer
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if p.Type != "Sequence" {
		return []preTokenizer{p}, nil
	}
	var parts []preTokenizer
	for _, inner := range p.PreTokenizers {
		more, err := flatten(inner)
		if err != nil {
			return nil, err
		}
		parts = append(parts, more...)
	}
	return parts, nil
}

func (p preTokenizer) splitter() (splitter, error) {
	switch p.Type {
	case "ByteLevel":
		cut := splitGPT2
		if p.UseRegex != nil && !*p.UseRegex {
			cut = func(text string, yield func(string)) { yield(text) }
		}
		return func(text string, yield func(string)) {
			if p.AddPrefixSpace && !strings.HasPrefix(text, " ") {
				text = " " + text
			}
			cut(text, yield)
		}, nil
	case "Digits":
		return func(text string, yield func(string)) { splitDigits(text, p.Individual, yield) }, nil
	case "Split":
		if p.Behavior != "Isolated" || p.Invert {
			return nil, fmt.Errorf("pre_tokenizer Split: behavior %q with invert %t is not supported (supported: \"Isolated\", false)", p.Behavior, p.Invert)
		}
		pattern, ok := p.Pattern["Regex"]
		if !ok {
			return nil, fmt.Errorf("pre_tokenizer Split: only a pattern of the kind \"Regex\" is supported")
		}
		if pattern == gpt2Pattern {
			return splitGPT2, nil
		}
		re, err := regexp2.Compile(pattern, regexp2.Unicode)
		if err != nil {
			return nil, fmt.Errorf("pre_tokenizer Split: pattern %q: %w", pattern, err)
		}
		return func(text string, yield func(string)) { splitRegexp(re, text, yield) }, nil
	}
	return nil, fmt.Errorf("pre_tokenizer %q is not supported (supported: ByteLevel, Digits, Split, Sequence)", p.Type)
}

// splitRegexp yields matches and what stands between them.
func splitRegexp(re *regexp2.Regexp, text string, yield func(string)) {
	runes := []rune(text)
	at := 0
	for m, err := re.FindRunesMatch(runes); m != nil && err == nil; m, err = re.FindNextMatch(m) {
		if m.Index > at {
			yield(string(runes[at:m.Index]))
		}
		if m.Length > 0 {
			yield(m.String())
		}
		at = m.Index + m.Length
	}
	if at < len(runes) {
		yield(string(runes[at:]))
	}
}

// splitDigits cuts runs of numeric characters out of a text, or each of them.
func splitDigits(text string, individual bool, yield func(string)) {
	start, numeric := 0, false
	for i, r := range text {
		n := unicode.IsNumber(r)
		if i > start && (n != numeric || n && individual) {
			yield(text[start:i])
			start = i
		}
		numeric = n
	}
	if start < len(text) {
		yield(text[start:])
	}
}

type class int

const (
	other class = iota
	letter
	number
	space
)

func classOf(text string) (class, int) {
	if c := text[0]; c < utf8.RuneSelf {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			return letter, 1
		case c >= '0' && c <= '9':
			return number, 1
		case c == ' ' || c >= '\t' && c <= '\r':
			return space, 1
		}
		return other, 1
	}
	r, n := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return other, n
}

var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// splitGPT2 yields the matches of gpt2Pattern, in one pass.
func splitGPT2(text string, yield func(string)) {
	for len(text) > 0 {
		n := wordGPT2(text)
		yield(text[:n])
		text = text[n:]
	}
}

// wordGPT2 returns the length of the match at the start of a text.
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
	c, n := classOf(text[first:])
	if c != space {
		return first + n + run(text[first+n:], c)
	}
	// White space, without its last character if a word follows.
	end, last := 0, 0
	for end < len(text) {
		c, n := classOf(text[end:])
		if c != space {
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

// run returns the length of the longest beginning of one class.
func run(text string, want class) int {
	at := 0
	for at < len(text) {
		c, n := classOf(text[at:])
		if c != want {
			break
		}
		at += n
	}
	return at
}
