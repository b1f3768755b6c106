package tokenizer

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// A Span is a range of bytes of a text: Start ≤ i < End.
type Span struct{ Start, End int }

// A view is a part of a text, perhaps rewritten, with the way back to the text.
type view struct {
	text  string
	start int      // of the part, in what back leads from
	back  *rewrite // nil if the text is as it was
}

// A rewrite leads from a text back to what it was made of.
type rewrite struct {
	ends   []segment // nil if it was not asked for
	start  int       // of what was rewritten, in what back leads from
	before *rewrite
}

// A segment was rewritten by itself. Both are where it ends. Inside a segment that
// kept its length bytes stand for themselves; every byte of another stands for the
// whole.
type segment struct{ was, is int }

// at returns the place in the whole text that a place in the view comes from: in a
// segment whose length changed, the beginning of the segment.
func (v view) at(i int) int {
	i += v.start
	for r := v.back; r != nil; r = r.before {
		n := sort.Search(len(r.ends), func(n int) bool { return r.ends[n].is > i })
		var begin segment
		if n > 0 {
			begin = r.ends[n-1]
		}
		if n < len(r.ends) && r.ends[n].was-begin.was == r.ends[n].is-begin.is {
			i += begin.was - begin.is
		} else {
			i = begin.was
		}
		i += r.start
	}
	return i
}

func (v view) span() Span { return Span{v.at(0), v.at(len(v.text))} }

func (v view) part(start, end int) view {
	return view{text: v.text[start:end], start: v.start + start, back: v.back}
}

// A pass says how a text is gone through.
type pass struct {
	track  bool // the way back is asked for
	inside bool // the text stands behind other text
	joined bool // and right behind it: there is no added token between, so nothing is put before it
	begin  bool // the view begins where the text does; known only with track
}

// A rewriter returns another text, and with pass.track the segments of which it was
// made; nil if nothing changed.
type rewriter func(text string, p pass) (string, []segment)

func (v view) rewritten(by rewriter, p pass) view {
	p.begin = p.track && v.at(0) == 0
	text, ends := by(v.text, p)
	if text == v.text {
		return v
	}
	if !p.track {
		return view{text: text}
	}
	return view{text: text, back: &rewrite{ends, v.start, v.back}}
}

// A writer puts a rewritten text together.
type writer struct {
	b       strings.Builder
	ends    []segment
	was     int
	track   bool
	kept    bool // the last segment is as it was
	changed bool
}

// keep writes a part that stays as it was.
func (w *writer) keep(part string) {
	if part == "" {
		return
	}
	w.b.WriteString(part)
	w.was += len(part)
	if w.track && w.kept {
		w.ends[len(w.ends)-1] = segment{w.was, w.b.Len()}
	} else {
		w.end()
	}
	w.kept = true
}

// put writes a part in place of the next bytes of the text, of which there are was.
func (w *writer) put(part string, was int) {
	w.b.WriteString(part)
	w.was += was
	w.changed, w.kept = true, false
	w.end()
}

func (w *writer) end() {
	if w.track {
		w.ends = append(w.ends, segment{w.was, w.b.Len()})
	}
}

// done returns the text, which is the given one if nothing was put.
func (w *writer) done(text string) (string, []segment) {
	if !w.changed {
		return text, nil
	}
	return w.b.String(), w.ends
}

// eachRune is the rewriter that changes characters one by one: f returns the
// character's text and whether it is another.
func eachRune(f func(r rune) (string, bool)) rewriter {
	return func(text string, p pass) (string, []segment) {
		w := writer{track: p.track}
		from := 0
		for at, r := range text {
			if part, other := f(r); other {
				w.keep(text[from:at])
				from = at + utf8.RuneLen(r)
				w.put(part, from-at)
			}
		}
		w.keep(text[from:])
		return w.done(text)
	}
}

// without is the rewriter that leaves characters out.
func without(these func(rune) bool) rewriter {
	return eachRune(func(r rune) (string, bool) { return "", these(r) })
}
