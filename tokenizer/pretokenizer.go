package tokenizer

import (
	"encoding/json"
	"unicode/utf8"
)

// A stage is a part of a pre-tokenizer: it may rewrite what it is given, and then
// cut it. What a stage yields is given to the next.
type stage struct {
	rewrite rewriter
	split   splitter // nil: leaves it whole
	bytes   bool     // it writes bytes as characters, no more
	origin  bool     // it asks whether it is where the text begins
}

// A splitter yields parts of a text in order. What stands between them is left out.
type splitter func(text string, yield func(start, end int))

// preTokenizers make stages of an entry in tokenizer.json.
var preTokenizers = map[string]func(component) ([]stage, error){
	"ByteLevel":          byteLevelStages,
	"Metaspace":          metaspaceStages,
	"Split":              splitStages,
	"CharDelimiterSplit": delimiterStages,
	"Digits":             digitStages,
	"Punctuation":        punctuationStages,
	"Whitespace":         cutting(wordRuns),
	"WhitespaceSplit":    cutting(behaviors["Removed"](false, eachOf(isSpace))),
	"BertPreTokenizer":   cutting(behaviors["Removed"](false, eachOf(isSpace)), behaviors["Isolated"](false, eachOf(isPunctuation))),
}

func (t *Tokenizer) readPreTokenizer(raw json.RawMessage) error {
	parts, err := components("pre_tokenizer", raw, "pretokenizers")
	if err != nil {
		return err
	}
	for _, c := range parts {
		build, err := find(c, preTokenizers)
		if err != nil {
			return err
		}
		some, err := build(c)
		if err != nil {
			return err
		}
		for _, s := range some {
			t.origin = t.origin || s.origin
			t.stages = append(t.stages, s)
		}
	}
	return nil
}

func cutting(splits ...splitter) func(component) ([]stage, error) {
	return func(component) ([]stage, error) {
		var all []stage
		for _, s := range splits {
			all = append(all, stage{split: s})
		}
		return all, nil
	}
}

// byteLevelStages cut as GPT-2 does and write bytes as characters.
func byteLevelStages(c component) ([]stage, error) {
	j := struct {
		Prefix bool `json:"add_prefix_space"`
		Regex  bool `json:"use_regex"`
	}{Regex: true}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	var words stage
	if j.Prefix {
		words.rewrite = func(text string, p pass) (string, []segment) {
			if text == "" || text[0] == ' ' || p.joined && p.begin {
				return text, nil
			}
			return prepended(" ", text, p)
		}
	}
	if j.Regex {
		words.split = splitter(eachWord(wordGPT2))
	}
	return []stage{words, {rewrite: bytesAsCharacters, bytes: true}}, nil
}

// metaspaceStages write spaces as another character, with one before the text, and
// cut before each of them.
func metaspaceStages(c component) ([]stage, error) {
	m, err := newMetaspace(c)
	if err != nil {
		return nil, err
	}
	find := literal(m.replacement)
	s := stage{rewrite: m.rewrite, origin: m.scheme == "first"}
	if m.split {
		s.split = behaviors["MergedWithNext"](false, find)
	}
	return []stage{s}, nil
}

// splitJSON are the keys of Split and of what cuts like it.
type splitJSON struct {
	Pattern    map[string]string `json:"pattern"`
	Behavior   string            `json:"behavior"`
	Invert     bool              `json:"invert"`
	Delimiter  string            `json:"delimiter"`
	Individual bool              `json:"individual_digits"`
}

func (c component) cut(behavior string, invert bool, find pattern) ([]stage, error) {
	build, ok := behaviors[behavior]
	if !ok {
		return nil, c.errorf("behavior %q is not supported (supported: Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous)", behavior)
	}
	return []stage{{split: build(invert, find)}}, nil
}

func splitStages(c component) ([]stage, error) {
	var j splitJSON
	if err := c.read(&j); err != nil {
		return nil, err
	}
	find, err := newPattern(c, j.Pattern)
	if err != nil {
		return nil, err
	}
	return c.cut(j.Behavior, j.Invert, find)
}

func delimiterStages(c component) ([]stage, error) {
	var j splitJSON
	if err := c.read(&j); err != nil {
		return nil, err
	}
	return c.cut("Removed", false, literal(j.Delimiter))
}

func digitStages(c component) ([]stage, error) {
	var j splitJSON
	if err := c.read(&j); err != nil {
		return nil, err
	}
	find := eachOf(isDigit)
	if j.Individual {
		return c.cut("Isolated", false, find)
	}
	return c.cut("Contiguous", false, find)
}

func punctuationStages(c component) ([]stage, error) {
	j := splitJSON{Behavior: "Isolated"}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	return c.cut(j.Behavior, false, eachOf(isPunctuation))
}

var isPunctuation = in(punctuation)

// wordRuns yields runs of what is in words, and runs of what is neither that nor white
// space.
func wordRuns(text string, yield func(start, end int)) {
	start, kind := 0, space
	for at := 0; at < len(text); {
		c, n := classAt(text[at:])
		if c &= word | space; c != kind {
			if kind != space {
				yield(start, at)
			}
			start, kind = at, c
		}
		at += n
	}
	if kind != space {
		yield(start, len(text))
	}
}

// eachOf matches characters one by one.
func eachOf(these func(rune) bool) pattern {
	return func(text string, match func(start, end int)) {
		for i, r := range text {
			if these(r) {
				match(i, i+utf8.RuneLen(r))
			}
		}
	}
}

// behaviors make splitters that cut a text at what a pattern matches, or with invert
// at what stands between. They differ in where what is matched goes.
var behaviors = map[string]func(invert bool, find pattern) splitter{
	"Removed": func(invert bool, find pattern) splitter {
		return func(text string, yield func(start, end int)) {
			parts(text, find, func(start, end int, match bool) {
				if match == invert {
					yield(start, end)
				}
			})
		}
	},
	"Isolated": func(_ bool, find pattern) splitter {
		return func(text string, yield func(start, end int)) {
			parts(text, find, func(start, end int, _ bool) { yield(start, end) })
		}
	},
	"Contiguous": func(invert bool, find pattern) splitter {
		return joining(invert, find, func(was, is bool) bool { return was == is })
	},
	"MergedWithPrevious": func(invert bool, find pattern) splitter {
		return joining(invert, find, func(was, is bool) bool { return is && !was })
	},
	"MergedWithNext": func(invert bool, find pattern) splitter {
		return joining(invert, find, func(was, is bool) bool { return was && !is })
	},
}

// joining cuts a text between parts but where joined says, of a part that is or is no
// match and the next, that they stay together.
func joining(invert bool, find pattern, joined func(was, is bool) bool) splitter {
	return func(text string, yield func(start, end int)) {
		from, to, was, any := 0, 0, false, false
		parts(text, find, func(start, end int, is bool) {
			is = is != invert
			if any && !joined(was, is) {
				yield(from, to)
				from = start
			}
			to, was, any = end, is, true
		})
		if any {
			yield(from, to)
		}
	}
}

// parts yields what a pattern matches and what stands between.
func parts(text string, find pattern, yield func(start, end int, match bool)) {
	from := 0
	find(text, func(start, end int) {
		if from < start {
			yield(from, start, false)
		}
		yield(start, end, true)
		from = end
	})
	if from < len(text) {
		yield(from, len(text), false)
	}
}
