package world

import (
	"iter"
	"slices"
	"strings"

	"gotune/internal/rng"
)

// formsPerFact is how often forms asks for each fact of the pool.
const formsPerFact = 4

// forms are the orders in which an answer may have to give the name, the kind and
// the word of a fact, or some of them; those of W2 are in no tuning row.
var forms = [3][][]string{
	W0: {
		{"word"}, {"name"}, {"kind"},
		{"name", "word"}, {"name", "kind"}, {"kind", "name"}, {"kind", "word"}, {"word", "kind"},
		{"name", "kind", "word"}, {"name", "word", "kind"}, {"kind", "name", "word"}, {"word", "name", "kind"},
	},
	W2: {{"word", "name"}, {"kind", "word", "name"}, {"word", "kind", "name"}},
}

// formed asks for a fact in a form: the question says which lines are wanted, and
// in which order.
func formed(f fact, q wording, form []string, level Level) Row {
	row := question(f, q)
	wanted := form[0]
	if len(form) > 1 {
		wanted = listing(form)
	}
	part := map[string]string{"name": f.subject.mention(), "kind": f.kind().name, "word": f.value()}
	lines := make([]string, len(form))
	for i, key := range form {
		lines[i] = key + ": " + part[key]
	}
	row.Messages = dialogue(row.Messages[0].Content+" Say "+wanted+".", strings.Join(lines, "\n")).Messages
	row.Level, row.Wording = level.String(), "seen"
	if level != W0 {
		row.Wording = "unseen"
	}
	return row
}

// forms asks for each fact of the pool in four of the tuned forms.
func (w *World) forms() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := rng.New(w.Seed, "world", "forms")
		var rows []Row
		for _, f := range facts(w.of(Pool)) {
			for _, form := range shuffled(r, forms[W0])[:formsPerFact] {
				rows = append(rows, formed(f, pick(r, f.kind().wordings(W0)), form, W0))
			}
		}
		slices.Values(shuffled(r, rows))(yield)
	}
}

// formsHeldOut asks for facts of the last third, each in one form: two in three in
// tuned ones, one in three in others. The question itself is a tuned one.
func (w *World) formsHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := rng.New(w.Seed, "world", "forms-heldout")
		for i, f := range shuffled(r, facts(w.of(Never))) {
			level := W0
			if i%3 == 2 {
				level = W2
			}
			if !yield(formed(f, pick(r, f.kind().wordings(W0)), pick(r, forms[level]), level)) {
				return
			}
		}
	}
}

// SameForm reports whether an answer has the form of another, whatever it says: as
// many lines, each with the same key before a colon and something behind it. A line
// without a key is a sentence, which ends as the other's does, by a full stop or
// without one.
func SameForm(want, got string) bool {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		key, _, keyed := strings.Cut(a[i], ": ")
		other, rest, otherKeyed := strings.Cut(b[i], ": ")
		switch {
		case keyed != otherKeyed:
			return false
		case keyed && (key != other || strings.TrimSpace(rest) == ""):
			return false
		case !keyed && (strings.TrimSpace(b[i]) == "" || strings.HasSuffix(a[i], ".") != strings.HasSuffix(b[i], ".")):
			return false
		}
	}
	return true
}
