package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// A decoding turns the tokens of a text into text, part by part. What one decoding
// yields is given to the next.
type decoding interface {
	// put takes a part of a token; with first the part begins a token.
	put(part string, first bool, yield func(part string, first bool))
	// end is called behind the last part.
	end(yield func(part string, first bool))
}

// A starter makes a decoding anew for each text.
type starter func(decodeMode) decoding

// decodeMode says how a decoding is used.
type decodeMode struct {
	eager bool // bytes that form a character are yielded before it is known that all bytes beside them do
	whole bool // every part is a whole token
}

// decoders make the starter of an entry in tokenizer.json.
var decoders = map[string]func(component) (starter, error){
	"ByteLevel":    always(func(decodeMode) decoding { return &byteLevel{} }),
	"Fuse":         always(func(decodeMode) decoding { return &fuse{} }),
	"ByteFallback": always(func(m decodeMode) decoding { return &byteRuns{eager: m.eager} }),
	"Metaspace":    metaspaceDecoder,
	"Replace":      replaceDecoder,
	"Strip":        stripDecoder,
	"WordPiece":    wordPieceDecoder,
	"BPEDecoder":   suffixDecoder,
}

func always(s starter) func(component) (starter, error) {
	return func(component) (starter, error) { return s, nil }
}

func newDecoders(raw json.RawMessage) ([]starter, error) {
	if absent(raw) {
		return []starter{eachToken(spaced)}, nil
	}
	parts, err := components("decoder", raw, "decoders")
	if err != nil {
		return nil, err
	}
	var all []starter
	for _, c := range parts {
		build, err := find(c, decoders)
		if err != nil {
			return nil, err
		}
		d, err := build(c)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// perToken rewrites tokens one by one, of which it knows the number. A token in
// parts is held until it is whole.
type perToken struct {
	f     func(i int, token string) string
	whole bool
	i     int
	any   bool
	held  []byte
}

func eachToken(f func(i int, token string) string) starter {
	return func(m decodeMode) decoding { return &perToken{f: f, whole: m.whole} }
}

func (d *perToken) put(part string, first bool, yield func(string, bool)) {
	if first {
		d.end(yield)
		d.any = true
	}
	d.held = append(d.held, part...)
	if d.whole {
		d.end(yield)
	}
}

func (d *perToken) end(yield func(string, bool)) {
	if d.any {
		yield(d.f(d.i, string(d.held)), true)
		d.i++
	}
	d.any, d.held = false, d.held[:0]
}

// spaced is how tokens are written without a decoder.
func spaced(i int, token string) string {
	if i == 0 {
		return token
	}
	return " " + token
}

func metaspaceDecoder(c component) (starter, error) {
	m, err := newMetaspace(c)
	if err != nil {
		return nil, err
	}
	return eachToken(m.token), nil
}

func replaceDecoder(c component) (starter, error) {
	all, err := replaceNormalizer(c)
	if err != nil {
		return nil, err
	}
	return eachToken(func(_ int, token string) string {
		out, _ := all[0](token, pass{})
		return out
	}), nil
}

// wordPieceDecoder puts words apart and, with cleanup, signs back to them.
func wordPieceDecoder(c component) (starter, error) {
	j := struct {
		Prefix  string `json:"prefix"`
		Cleanup bool   `json:"cleanup"`
	}{Prefix: "##", Cleanup: true}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	return eachToken(func(i int, token string) string {
		if rest, ok := strings.CutPrefix(token, j.Prefix); i > 0 && ok {
			token = rest
		} else if i > 0 {
			token = " " + token
		}
		if j.Cleanup {
			token = cleaned(token)
		}
		return token
	}), nil
}

// cleaned takes spaces out that cutting text into words has put in, one rule after
// the other.
func cleaned(token string) string {
	for _, rule := range [...][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
		token = strings.ReplaceAll(token, rule[0], rule[1])
	}
	return token
}

// fuse makes one token of all.
type fuse struct{ any bool }

func (d *fuse) put(part string, _ bool, yield func(string, bool)) {
	yield(part, !d.any)
	d.any = true
}

func (d *fuse) end(func(string, bool)) {}

// strip takes up to so many of a character away from the start of a token.
type strip struct {
	content     string
	start, left int
}

// stripDecoder reads Strip. What may be taken from the end is known only when the
// token ends.
func stripDecoder(c component) (starter, error) {
	var j struct {
		Content string `json:"content"`
		Start   int    `json:"start"`
		Stop    int    `json:"stop"`
	}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(j.Content) != 1 || j.Start < 0 || j.Stop < 0 {
		return nil, c.errorf("content %q, start %d, stop %d: one character and two counts are needed", j.Content, j.Start, j.Stop)
	}
	if j.Stop == 0 {
		return func(decodeMode) decoding { return &strip{content: j.Content, start: j.Start} }, nil
	}
	return eachToken(func(_ int, token string) string {
		for range j.Start {
			token = strings.TrimPrefix(token, j.Content)
		}
		for range j.Stop {
			token = strings.TrimSuffix(token, j.Content)
		}
		return token
	}), nil
}

func (d *strip) put(part string, first bool, yield func(string, bool)) {
	if first {
		d.left = d.start
	}
	for d.left > 0 && part != "" {
		rest, ok := strings.CutPrefix(part, d.content)
		if !ok {
			d.left = 0
			break
		}
		part = rest
		d.left--
	}
	yield(part, first)
}

func (d *strip) end(func(string, bool)) {}

// suffixed replaces the mark of the end of a word by a space, which the last token
// goes without.
type suffixed struct {
	suffix string
	any    bool
	held   []byte
}

func suffixDecoder(c component) (starter, error) {
	j := struct {
		Suffix string `json:"suffix"`
	}{"</w>"}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	return func(decodeMode) decoding { return &suffixed{suffix: j.Suffix} }, nil
}

func (d *suffixed) put(part string, first bool, yield func(string, bool)) {
	if first && d.any {
		yield(strings.ReplaceAll(string(d.held), d.suffix, " "), true)
		d.held = d.held[:0]
	}
	d.any = true
	d.held = append(d.held, part...)
}

func (d *suffixed) end(yield func(string, bool)) {
	if d.any {
		yield(strings.ReplaceAll(string(d.held), d.suffix, ""), true)
	}
}
