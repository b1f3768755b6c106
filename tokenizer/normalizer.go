package tokenizer

import (
	"encoding/json"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizers make a normalizer of its entry in tokenizer.json.
var normalizers = map[string]func(component) ([]rewriter, error){
	"NFC":            fixed(inForm(norm.NFC)),
	"NFD":            fixed(inForm(norm.NFD)),
	"NFKC":           fixed(inForm(norm.NFKC)),
	"NFKD":           fixed(inForm(norm.NFKD)),
	"Lowercase":      fixed(eachRune(lowercase)),
	"StripAccents":   fixed(without(in(accents))),
	"Nmt":            fixed(eachRune(nmt)),
	"ByteLevel":      fixed(bytesAsCharacters),
	"Strip":          stripNormalizer,
	"Prepend":        prependNormalizer,
	"Replace":        replaceNormalizer,
	"BertNormalizer": bertNormalizer,
	"Precompiled":    precompiledNormalizer,
}

func newNormalizers(raw json.RawMessage) ([]rewriter, error) {
	parts, err := components("normalizer", raw, "normalizers")
	if err != nil {
		return nil, err
	}
	var all []rewriter
	for _, c := range parts {
		build, err := find(c, normalizers)
		if err != nil {
			return nil, err
		}
		some, err := build(c)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func fixed(all ...rewriter) func(component) ([]rewriter, error) {
	return func(component) ([]rewriter, error) { return all, nil }
}

// in returns the question whether a character is in a table of ranges.
func in(ranges [][2]rune) func(rune) bool {
	return func(r rune) bool {
		if r < ranges[0][0] {
			return false
		}
		n := sort.Search(len(ranges), func(n int) bool { return ranges[n][1] >= r })
		return n < len(ranges) && ranges[n][0] <= r
	}
}

// lowercase changes characters by themselves, so that Σ at the end of a word is σ.
func lowercase(r rune) (string, bool) {
	if r == 'İ' {
		return "i\u0307", true
	}
	l, ok := lowered[r]
	if !ok {
		l = unicode.ToLower(r)
	}
	return string(l), l != r
}

// nmt cleans characters as SentencePiece's rule for translation does.
func nmt(r rune) (string, bool) {
	switch {
	case r >= 0x1 && r <= 0x8, r == 0xb, r >= 0xe && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
		return "", true
	case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200b && r <= 0x200f,
		r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
		return " ", true
	}
	return "", false
}

// bytesAsCharacters writes bytes as the vocabulary of a byte-level tokenizer does.
func bytesAsCharacters(text string, p pass) (string, []segment) {
	w := writer{track: p.track}
	for i := range len(text) {
		if r := byteToRune[text[i]]; r < utf8.RuneSelf {
			w.keep(text[i : i+1])
		} else {
			w.put(string(r), 1)
		}
	}
	return w.done(text)
}

func stripNormalizer(c component) ([]rewriter, error) {
	var j struct {
		Left  bool `json:"strip_left"`
		Right bool `json:"strip_right"`
	}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	return []rewriter{func(text string, p pass) (string, []segment) {
		w := writer{track: p.track}
		rest := text
		if j.Left {
			rest = strings.TrimLeftFunc(rest, isSpace)
			if n := len(text) - len(rest); n > 0 {
				w.put("", n)
			}
		}
		kept := rest
		if j.Right {
			kept = strings.TrimRightFunc(rest, isSpace)
		}
		w.keep(kept)
		if n := len(rest) - len(kept); n > 0 {
			w.put("", n)
		}
		return w.done(text)
	}}, nil
}

func prependNormalizer(c component) ([]rewriter, error) {
	var j struct {
		Prepend string `json:"prepend"`
	}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	return []rewriter{func(text string, p pass) (string, []segment) {
		if text == "" || p.joined && p.begin {
			return text, nil
		}
		return prepended(j.Prepend, text, p)
	}}, nil
}

// prepended puts something before a text.
func prepended(prefix, text string, p pass) (string, []segment) {
	w := writer{track: p.track}
	w.put(prefix, 0)
	w.keep(text)
	return w.done(text)
}

func replaceNormalizer(c component) ([]rewriter, error) {
	var j struct {
		Pattern map[string]string `json:"pattern"`
		Content string            `json:"content"`
	}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	find, err := newPattern(c, j.Pattern)
	if err != nil {
		return nil, err
	}
	return []rewriter{func(text string, p pass) (string, []segment) {
		w := writer{track: p.track}
		from := 0
		find(text, func(start, end int) {
			w.keep(text[from:start])
			if _, n := utf8.DecodeLastRuneInString(text[:end]); start == 0 && n < end {
				// The content stands for the last character, which matters for whether
				// the text begins with it.
				w.put("", end-n)
				start = end - n
			}
			w.put(j.Content, end-start)
			from = end
		})
		w.keep(text[from:])
		return w.done(text)
	}}, nil
}

// bertNormalizer is BERT's cleaning of text: without control characters, spaces
// around ideographs, without accents, in lower case.
func bertNormalizer(c component) ([]rewriter, error) {
	j := struct {
		Clean     bool  `json:"clean_text"`
		Chinese   bool  `json:"handle_chinese_chars"`
		Accents   *bool `json:"strip_accents"` // as lowercase, if it is not said
		Lowercase bool  `json:"lowercase"`
	}{Clean: true, Chinese: true, Lowercase: true}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	var all []rewriter
	if j.Clean {
		all = append(all, without(in(controls)), eachRune(func(r rune) (string, bool) { return " ", r != ' ' && isSpace(r) }))
	}
	if j.Chinese {
		all = append(all, eachRune(func(r rune) (string, bool) { return " " + string(r) + " ", ideograph(r) }))
	}
	if j.Accents != nil && *j.Accents || j.Accents == nil && j.Lowercase {
		all = append(all, inForm(norm.NFD), without(in(nonspacing)))
	}
	if j.Lowercase {
		all = append(all, eachRune(lowercase))
	}
	return all, nil
}

// ideograph reports whether BERT takes a character for a word of its own.
func ideograph(r rune) bool {
	return r >= 0x3400 && (r <= 0x4dbf || r >= 0x4e00 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff ||
		r >= 0x20000 && r <= 0x2a6df || r >= 0x2a700 && r <= 0x2b81f || r >= 0x2b920 && r <= 0x2ceaf || r >= 0x2f800 && r <= 0x2fa1f)
}
