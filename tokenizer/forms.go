package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The forms of Unicode (Unicode Standard Annex 15) as Hugging Face's tokenizers
// computes them. Differs from golang.org/x/text: characters that its older tables do
// not know are left alone, and long runs of marks are not broken up by U+034F.

// marks and compositions are made of x/text's tables once.
var (
	nonstarter   = make(map[rune]bool)
	compositions = make(map[[2]rune]rune)
	unknown      = make(map[rune]bool) // characters that are left alone
)

func init() {
	for _, r := range nonstarters {
		for x := r[0]; x <= r[1]; x++ {
			nonstarter[x] = true
		}
	}
	for _, r := range append(uncomposed, undecomposed...) {
		for x := r[0]; x <= r[1]; x++ {
			unknown[x] = true
		}
	}
	var b [utf8.UTFMax]byte
	for x := rune(0xc0); x < 0x2fa20; x++ {
		if x >= 0x3400 && x < 0xf900 || unknown[x] { // ideographs, and Hangul, which is composed by rule
			continue
		}
		c := b[:utf8.EncodeRune(b[:], x)]
		d := []rune(string(norm.NFD.Properties(c).Decomposition()))
		if len(d) < 2 || !norm.NFC.IsNormal(c) {
			continue // no pair, or excluded from composition
		}
		first := d[:len(d)-1]
		if len(first) > 1 {
			first = []rune(norm.NFC.String(string(first)))
		}
		if len(first) == 1 {
			compositions[[2]rune{first[0], d[len(d)-1]}] = x
		}
	}
}

// inForm is the rewriter to a form. The way back goes by parts that join nothing before
// them.
func inForm(form norm.Form) rewriter {
	return func(text string, p pass) (string, []segment) {
		whole := formed(text, form)
		if whole == text || !p.track {
			return whole, nil
		}
		var ends []segment
		start, is := 0, 0
		for i, r := range text {
			if i > start && (r < 0x300 || form.PropertiesString(text[i:]).BoundaryBefore()) {
				is += len(formed(text[start:i], form))
				ends = append(ends, segment{i, is})
				start = i
			}
		}
		return whole, append(ends, segment{len(text), len(whole)})
	}
}

// formed keeps what x/text holds to be in a form; the rest is done in parts that
// begin with characters below U+0300, which join nothing before them.
func formed(text string, form norm.Form) string {
	if form.IsNormalString(text) {
		return text
	}
	apart := norm.NFD
	if form == norm.NFKC || form == norm.NFKD {
		apart = norm.NFKD
	}
	var b strings.Builder
	for text != "" {
		from := form.QuickSpanString(text)
		for from > 0 && (from == len(text) || !plain(text[from])) {
			from-- // to the last character below U+0300
		}
		to := from + 1
		for to < len(text) && !plain(text[to]) {
			to++
		}
		b.WriteString(text[:from])
		marks := decompose(text[from:to], apart)
		order(marks)
		if form != apart {
			marks = compose(marks)
		}
		for _, m := range marks {
			b.WriteRune(m.r)
		}
		text = text[to:]
	}
	return b.String()
}

// plain reports whether a byte begins a character below U+0300.
func plain(b byte) bool { return b < 0xcc && utf8.RuneStart(b) }

// A mark is a character with its class of combination.
type mark struct {
	r     rune
	class uint8
}

func decompose(text string, apart norm.Form) []mark {
	all := make([]mark, 0, len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		part := text[i : i+n]
		if s := r - hangulS; s >= 0 && s < countL*countV*countT {
			part = string(hangulL+s/(countV*countT)) + string(hangulV+s/countT%countV)
			if s%countT != 0 {
				part += string(hangulT + s%countT)
			}
		} else if d := apart.PropertiesString(text[i:]).Decomposition(); d != nil && !unknown[r] {
			part = string(d)
		}
		i += n
		for _, r := range part {
			m := mark{r: r}
			if r >= 0x300 && nonstarter[r] {
				m.class = norm.NFD.PropertiesString(string(r)).CCC()
			}
			all = append(all, m)
		}
	}
	return all
}

// order sorts each run of marks by class.
func order(all []mark) {
	for i := 0; i < len(all); {
		if all[i].class == 0 {
			i++
			continue
		}
		end := i
		for end < len(all) && all[end].class != 0 {
			end++
		}
		slices.SortStableFunc(all[i:end], func(a, b mark) int { return int(a.class) - int(b.class) })
		i = end
	}
}

// compose joins starters with the marks behind them that no other of their class or
// a higher one keeps away.
func compose(all []mark) []mark {
	out := all[:0]                // never longer than what was read
	starter, last := -1, uint8(0) // index into out; the class before
	for _, m := range all {
		if starter >= 0 && (last < m.class || last == 0) {
			if c, ok := composed(out[starter].r, m.r); ok {
				out[starter].r = c
				continue
			}
		}
		if m.class == 0 {
			starter = len(out)
		}
		last = m.class
		out = append(out, m)
	}
	return out
}

// Hangul syllables are composed by rule.
const (
	hangulL, hangulV, hangulT, hangulS = 0x1100, 0x1161, 0x11a7, 0xac00
	countL, countV, countT             = 19, 21, 28
)

// composed joins two characters.
func composed(a, b rune) (rune, bool) {
	switch {
	case a >= hangulL && a < hangulL+countL && b >= hangulV && b < hangulV+countV:
		return hangulS + ((a-hangulL)*countV+b-hangulV)*countT, true
	case a >= hangulS && a < hangulS+countL*countV*countT && (a-hangulS)%countT == 0 && b > hangulT && b < hangulT+countT:
		return a + b - hangulT, true
	}
	c, ok := compositions[[2]rune{a, b}]
	return c, ok
}
