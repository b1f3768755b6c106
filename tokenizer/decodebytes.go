package tokenizer

import (
	"strconv"
	"unicode/utf8"
)

// byteLevel writes the bytes that the characters of tokens stand for. Bytes that form
// no character become U+FFFD.
type byteLevel struct {
	any  bool
	held []byte
}

func (d *byteLevel) put(part string, _ bool, yield func(string, bool)) {
	d.held = append(d.held, fromByteLevel(part)...)
	text, rest := lossy(nil, d.held, false)
	d.held = append(d.held[:0], rest...)
	if len(text) > 0 {
		yield(string(text), !d.any)
		d.any = true
	}
}

func (d *byteLevel) end(yield func(string, bool)) {
	text, _ := lossy(nil, d.held, true)
	yield(string(text), !d.any)
}

// byteRuns writes the bytes of tokens such as <0xE2>. If the bytes in a row are no
// valid UTF-8, each of them becomes U+FFFD. With eager, characters are written as
// soon as they are complete, and only what no character has been made of can become
// U+FFFD.
type byteRuns struct {
	eager bool
	held  []byte
}

func (d *byteRuns) put(part string, first bool, yield func(string, bool)) {
	b, ok := byteToken(part)
	if !ok || !first {
		d.end(yield)
		yield(part, first)
		return
	}
	d.held = append(d.held, b)
	if d.eager && utf8.Valid(d.held) {
		d.end(yield)
	}
}

func (d *byteRuns) end(yield func(string, bool)) {
	switch {
	case len(d.held) == 0:
	case utf8.Valid(d.held):
		yield(string(d.held), true)
	default:
		for range d.held {
			yield("\uFFFD", true)
		}
	}
	d.held = d.held[:0]
}

// byteToken reads a token <0x00>…<0xFF>, in either case.
func byteToken(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}

// A decoder is a text on its way out: the decodings of a tokenizer in a row.
type decoder struct {
	steps []decoding
	out   []byte
}

func (t *Tokenizer) newDecoder(eager bool) *decoder {
	d, mode := &decoder{}, decodeMode{eager, true}
	for _, start := range t.decoders {
		step := start(mode)
		switch step.(type) {
		case *fuse, *byteLevel:
			mode.whole = false // what they yield are parts of one token
		}
		d.steps = append(d.steps, step)
	}
	return d
}

// from gives a part to the i-th decoding.
func (d *decoder) from(i int, part string, first bool) {
	if i == len(d.steps) {
		d.out = append(d.out, part...)
		return
	}
	d.steps[i].put(part, first, func(part string, first bool) { d.from(i+1, part, first) })
}

// end returns what is held back.
func (d *decoder) end() {
	for i, s := range d.steps {
		s.end(func(part string, first bool) { d.from(i+1, part, first) })
	}
}

// take returns what has come out since it was last called.
func (d *decoder) take() string {
	out := string(d.out)
	d.out = d.out[:0]
	return out
}

// Decode returns the text of ids. Bytes that form no character become U+FFFD, as the
// tokenizer's decoder has it: one for each longest beginning of a character, or one
// for each byte. With skipSpecial special tokens are left out. Unknown ids are left
// out. Differs from Hugging Face's tokenizers 0.23, which does not leave out a special
// token that is looked for in normalised text and is written otherwise there.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	d := t.newDecoder(false)
	for _, id := range ids {
		t.decode(d, id, skipSpecial)
	}
	d.end()
	return d.take()
}

func (t *Tokenizer) decode(d *decoder, id int32, skipSpecial bool) {
	token, ok := t.Token(id)
	if !ok || skipSpecial && t.added.special[id] {
		return
	}
	if text, ok := t.added.written[id]; ok {
		token = text
	}
	d.from(0, token, true)
}

// A Stream decodes ids as they come and never splits a character. What it returns, put
// together, is what Decode returns; but where tokens of single bytes stand in a row
// and not all of them form characters, those that do are kept.
type Stream struct {
	t           *Tokenizer
	d           *decoder
	skipSpecial bool
}

// Stream returns a new stream that leaves special tokens out.
func (t *Tokenizer) Stream() *Stream { return &Stream{t, t.newDecoder(true), true} }

// Next returns the text that the id completes; it may be empty.
func (s *Stream) Next(id int32) string {
	s.t.decode(s.d, id, s.skipSpecial)
	return s.d.take()
}

// Flush returns what is held back, as Decode would write it, and begins a new text.
func (s *Stream) Flush() string {
	s.d.end()
	out := s.d.take()
	s.d = s.t.newDecoder(true)
	return out
}
