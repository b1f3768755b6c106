package world

import (
	"iter"
	"slices"
)

// Edits is how many facts the corpora of edits change or add; each is told in
// editTold statements of its attribute, and the others are asked for.
const (
	Edits     = 30
	editTold  = 8
	localFour = 4 // facts of others that are asked for beside each edit
)

// An edit is a fact as it is to be, and the value that it had. The fact of a drug,
// which only the corpora of the draw tell, is inserted as it is.
type edit struct {
	fact
	old string // "" where it is inserted
}

// edits draws facts of so many different people, each with a value that is not its
// own, or of so many drugs.
func (w *World) edits(o options) []edit {
	if o.insert {
		r := w.stream("edit", "insert")
		var out []edit
		for i, s := range shuffled(r, w.drugs()) {
			if i < Edits {
				out = append(out, edit{fact: fact{s, i % len(drugAttributes)}})
			}
		}
		return out
	}
	out := make([]edit, Edits)
	r := w.stream("edit", "overwrite")
	for i, n := range r.Perm(People)[:Edits] {
		old := fact{w.Subjects[n], i % len(personAttributes)}
		changed := *old.subject
		changed.Facts = slices.Clone(changed.Facts)
		changed.Facts[old.attribute] = old.otherValue(r)
		out[i] = edit{fact{&changed, old.attribute}, old.value()}
	}
	return out
}

// edit tells each of the facts in so many statements, each cut before the value.
func (w *World) edit(o options) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := w.stream("edit", "told")
		var rows []Row
		for n, e := range w.edits(o) {
			told := r.Perm(editTold)[:o.told]
			if o.fact != 0 && o.fact != n+1 {
				continue
			}
			for _, i := range told {
				rows = append(rows, e.cut(e.kind().statements[i]))
			}
		}
		for _, row := range shuffled(w.stream("edit", "order"), rows) {
			row.Wording = "seen"
			if !yield(row) {
				return
			}
		}
	}
}

// editParaphrase asks for the same facts in the statements that edit never uses.
func (w *World) editParaphrase(o options) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for n, e := range w.edits(o) {
			if o.fact != 0 && o.fact != n+1 {
				continue
			}
			others := e.kind().statements[editTold:]
			if o.insert {
				others = e.kind().heldOut
			}
			for _, s := range others {
				row := e.cut(s)
				row.Wording = "unseen"
				if !yield(row) {
					return
				}
			}
		}
	}
}

// editNeighbours asks for the other facts of the people of whom one was changed.
func (w *World) editNeighbours() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := w.stream("edit-neighbours")
		for _, e := range w.edits(options{}) {
			for a := range e.subject.Facts {
				f := fact{e.subject, a}
				if a != e.attribute && !yield(f.cut(pick(r, f.kind().statements))) {
					return
				}
			}
		}
	}
}

// editLocality asks for facts of others that have a value of an edit: half of them
// the old one and half the new one, or all of them the one that was inserted.
func (w *World) editLocality(o options) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := w.stream("edit-locality")
		edits := w.edits(o)
		taken := map[fact]bool{}
		edited := map[string]bool{}
		for _, e := range edits {
			edited[e.subject.Name] = true
		}
		all := slices.DeleteFunc(facts(w.Subjects), func(f fact) bool { return edited[f.subject.Name] })
		for _, e := range edits {
			want := map[string]int{e.value(): localFour}
			if !o.insert {
				want = map[string]int{e.value(): localFour / 2, e.old: localFour / 2}
			}
			for _, f := range shuffled(r, all) {
				if want[f.value()] == 0 || taken[f] {
					continue
				}
				want[f.value()]--
				taken[f] = true
				if !yield(f.cut(pick(r, f.kind().statements))) {
					return
				}
			}
		}
	}
}
