package data_test

import (
	"slices"
	"strings"

	"gotune/tokenizer"
)

// byteTokenizer has an id for each byte and for the marks below, so that a test
// can be read. The zero value names no BOS, no EOS and no padding.
type byteTokenizer struct{ bos, eos, pad string }

// marks have the ids from 256 on.
var marks = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>", "<s>"}

const (
	endOfText = 256 + iota
	imStart
	imEnd
	padding
	bosMark
)

// base is the tokenizer of most tests, with the tokens of the embedded base.
var base = byteTokenizer{eos: "<|endoftext|>", pad: "<|pad|>"}

func (b byteTokenizer) Encode(text string) (ids []int32) {
next:
	for text != "" {
		for i, m := range marks {
			if rest, ok := strings.CutPrefix(text, m); ok {
				ids, text = append(ids, int32(256+i)), rest
				continue next
			}
		}
		ids, text = append(ids, int32(text[0])), text[1:]
	}
	return ids
}

func (b byteTokenizer) EncodeText(text string) (ids []int32) {
	for i := range len(text) {
		ids = append(ids, int32(text[i]))
	}
	return ids
}

func (b byteTokenizer) EncodeSpans(text string, plain []tokenizer.Span) (ids []int32, spans []tokenizer.Span) {
	for at := 0; at < len(text); {
		n, id := 1, int32(text[at])
		for i, m := range marks {
			touched := slices.ContainsFunc(plain, func(s tokenizer.Span) bool { return s.Start < at+len(m) && s.End > at })
			if strings.HasPrefix(text[at:], m) && !touched {
				n, id = len(m), int32(256+i)
			}
		}
		ids, spans = append(ids, id), append(spans, tokenizer.Span{Start: at, End: at + n})
		at += n
	}
	return ids, spans
}

func (b byteTokenizer) EncodeAfter(_ []int32, text string, plain []tokenizer.Span) ([]int32, []tokenizer.Span) {
	return b.EncodeSpans(text, plain)
}

func (b byteTokenizer) SpecialTokens() []string { return marks }

func (b byteTokenizer) BOS() (int32, bool) { return id(b.bos) }
func (b byteTokenizer) EOS() (int32, bool) { return id(b.eos) }
func (b byteTokenizer) Pad() (int32, bool) { return id(b.pad) }
func (b byteTokenizer) AddsBOS() bool      { return b.bos != "" }

func id(mark string) (int32, bool) {
	for i, m := range marks {
		if m == mark {
			return int32(256 + i), true
		}
	}
	return 0, false
}

// show writes ids with marks in full and other tokens as their bytes. A token
// to be learned stands in brackets with its neighbours that are.
func show(ids []int32, target []bool) string {
	var s strings.Builder
	learning := false
	for i, id := range ids {
		if target[i] != learning {
			s.WriteString(map[bool]string{true: "[", false: "]"}[target[i]])
			learning = target[i]
		}
		if id < 256 {
			s.WriteByte(byte(id))
		} else {
			s.WriteString(marks[id-256])
		}
	}
	if learning {
		s.WriteString("]")
	}
	return s.String()
}
