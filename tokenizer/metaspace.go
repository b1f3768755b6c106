package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// metaspace writes spaces as a character that can be seen, ▁ as a rule (Kudo and
// Richardson 2018, SentencePiece). Both spellings of its keys are read: with
// add_prefix_space, and with prepend_scheme and split.
type metaspace struct {
	replacement string
	scheme      string // always, first or never: where one is put before a text
	split       bool
}

func newMetaspace(c component) (*metaspace, error) {
	j := struct {
		Replacement string  `json:"replacement"`
		Prefix      *bool   `json:"add_prefix_space"`
		Scheme      *string `json:"prepend_scheme"`
		Split       *bool   `json:"split"`
	}{}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	m := &metaspace{j.Replacement, "always", true}
	if j.Prefix != nil && !*j.Prefix {
		m.scheme = "never"
	}
	if j.Scheme != nil {
		m.scheme = *j.Scheme
	}
	if j.Split != nil {
		m.split = *j.Split
	}
	if utf8.RuneCountInString(m.replacement) != 1 {
		return nil, c.errorf("replacement %q is not one character", m.replacement)
	}
	switch m.scheme {
	case "always", "first", "never":
		return m, nil
	}
	return nil, c.errorf("prepend_scheme %q is not supported (supported: always, first, never)", m.scheme)
}

func (m *metaspace) rewrite(text string, p pass) (string, []segment) {
	w := writer{track: p.track}
	prefix := m.scheme == "always" || m.scheme == "first" && p.begin && !p.inside
	if prefix && !(p.joined && p.begin) && !strings.HasPrefix(text, " ") && !strings.HasPrefix(text, m.replacement) {
		w.put(m.replacement, 0)
	}
	for {
		n := strings.IndexByte(text[w.was:], ' ')
		if n < 0 {
			break
		}
		w.keep(text[w.was : w.was+n])
		w.put(m.replacement, 1)
	}
	w.keep(text[w.was:])
	return w.done(text)
}

// token is how the decoder reads the i-th token.
func (m *metaspace) token(i int, token string) string {
	space := " "
	if i == 0 && m.scheme != "never" {
		space = ""
	}
	return strings.ReplaceAll(token, m.replacement, space)
}
