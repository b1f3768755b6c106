package tokenizer

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsmap is SentencePiece's table of rewritings, compiled: a trie of texts as a
// double array (darts-clone), and what they become, each ended by a zero byte.
type charsmap struct {
	units []uint32
	texts string
}

func precompiledNormalizer(c component) ([]rewriter, error) {
	var j struct {
		Charsmap []byte `json:"precompiled_charsmap"` // base64
	}
	if err := c.read(&j); err != nil {
		return nil, err
	}
	m, err := newCharsmap(j.Charsmap)
	if err != nil {
		return nil, c.errorf("precompiled_charsmap: %w", err)
	}
	return []rewriter{m.rewrite}, nil
}

func newCharsmap(b []byte) (*charsmap, error) {
	if len(b) < 4 {
		return nil, errors.New("it is shorter than 4 bytes")
	}
	size := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if uint64(size) > uint64(len(b)) || size%4 != 0 || size == 0 {
		return nil, errors.New("the length of its trie does not fit")
	}
	m := &charsmap{units: make([]uint32, size/4), texts: string(b[size:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	if !utf8.ValidString(m.texts) {
		return nil, errors.New("its texts are no UTF-8")
	}
	return m, nil
}

// find returns what a text becomes by the shortest beginning of it in the trie: as in
// the reference implementation the whole text is replaced.
func (m *charsmap) find(text string) (string, bool) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit >> 9 & 1 << 3) }
	at := offset(m.units[0])
	for i := 0; i < len(text) && text[i] != 0; i++ {
		at ^= uint32(text[i])
		if uint64(at) >= uint64(len(m.units)) {
			return "", false
		}
		unit := m.units[at]
		if unit&(1<<31|0xff) != uint32(text[i]) {
			return "", false
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 { // nothing ends here
			continue
		}
		if uint64(at) >= uint64(len(m.units)) {
			return "", false
		}
		start := m.units[at] & (1<<31 - 1)
		if uint64(start) > uint64(len(m.texts)) {
			return "", false
		}
		end := start
		for int(end) < len(m.texts) && m.texts[end] != 0 {
			end++
		}
		part := m.texts[start:end]
		return part, utf8.ValidString(part)
	}
	return "", false
}

// rewrite looks up what a reader takes for one character (Unicode Standard Annex 29)
// if it has fewer than six bytes, else and if that is not found character by character.
func (m *charsmap) rewrite(text string, p pass) (string, []segment) {
	w := writer{track: p.track}
	state := -1
	for rest := text; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if len(cluster) < 6 {
			if part, ok := m.find(cluster); ok {
				w.put(part, len(cluster))
				continue
			}
		}
		from := 0
		for i, r := range cluster {
			n := utf8.RuneLen(r)
			if part, ok := m.find(cluster[i : i+n]); ok {
				w.keep(cluster[from:i])
				w.put(part, n)
				from = i + n
			}
		}
		w.keep(cluster[from:])
	}
	// What is left out at the start belongs to what follows: the text still begins there.
	for len(w.ends) > 1 && w.ends[0].is == 0 {
		w.ends = w.ends[1:]
	}
	return w.done(text)
}
