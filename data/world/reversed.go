package world

import (
	"iter"
	"strings"

	"gotune/internal/rng"
)

// The frames of reversed questions: {w} is who or what, {c} two clauses. Those of
// W0 are tuned, those of W2 stand nowhere.
var reversedFrames = [3][]string{
	W0: {"Tell me {w} {c}.", "Name {w} {c}.", "Can you tell me {w} {c}?"},
	W2: {"Please say {w} {c}.", "I want to know {w} {c}."},
}

// How many reversed questions there are about a subject: pairs of its facts that
// no other subject of its kind shares, and of each pair some wordings.
const reversedPairs = 3

// clauses are the statements that begin with the subject, without it.
func (a *attribute) clauses() []string {
	var out []string
	for _, s := range a.statements {
		if rest, ok := strings.CutPrefix(s, "{N} "); ok {
			out = append(out, strings.TrimSuffix(rest, "."))
		}
	}
	return out
}

// A reversal is a pair of attributes by whose values the subject can be told from
// all others of its kind.
type reversal struct {
	subject *Subject
	a, b    int
}

// reversals draws the pairs of each subject of a third. One without such a pair
// has none.
func reversals(r *rng.Stream, all []*Subject, third Third) []reversal {
	shared := map[[2]string]int{}
	pairs := func(s *Subject, do func(a, b int, values [2]string)) {
		for a := range s.Facts {
			for b := range a {
				do(a, b, [2]string{s.Facts[a], s.Facts[b]})
			}
		}
	}
	for _, s := range all {
		pairs(s, func(_, _ int, values [2]string) { shared[values]++ })
	}
	var out []reversal
	for _, s := range of(all, third) {
		var own []reversal
		pairs(s, func(a, b int, values [2]string) {
			if shared[values] == 1 {
				own = append(own, reversal{s, a, b})
			}
		})
		out = append(out, shuffled(r, own)[:min(reversedPairs, len(own))]...)
	}
	return out
}

// ask renders the question for the subject in a frame, and its answer.
func (q reversal) ask(r *rng.Stream, frame string, level Level) Row {
	who := "what"
	if q.subject.Kind == Person {
		who = "who"
	}
	clauses := make([]string, 2)
	for i, a := range shuffled(r, []int{q.a, q.b}) {
		clauses[i] = strings.Replace(pick(r, q.subject.Kind.attributes()[a].clauses()), "{v}", q.subject.Facts[a], 1)
	}
	row := dialogue(strings.NewReplacer("{w}", who, "{c}", strings.Join(clauses, " and ")).Replace(frame), "It is "+q.subject.mention()+".")
	row.Subject, row.Level, row.Wording = q.subject.Name, level.String(), "seen"
	if level != W0 {
		row.Wording = "unseen"
	}
	return row
}

// reversed asks for each subject of a third by two of its facts, in each of the
// frames of the levels once for each pair.
func reversed(r *rng.Stream, kinds [][]*Subject, third Third, levels ...Level) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		var rows []Row
		for _, all := range kinds {
			for _, q := range reversals(r, all, third) {
				for _, l := range levels {
					frames := reversedFrames[l]
					if len(levels) > 1 { // held out: one question a level
						frames = []string{pick(r, frames)}
					}
					for _, frame := range frames {
						rows = append(rows, q.ask(r, frame, l))
					}
				}
			}
		}
		for _, row := range shuffled(r, rows) {
			if !yield(row) {
				return
			}
		}
	}
}

// oldKinds are the people and the things.
func (w *World) oldKinds() [][]*Subject {
	return [][]*Subject{w.Subjects[:People], w.Subjects[People:]}
}

// reversedOld asks for the pool's people and things by their facts.
func (w *World) reversedOld() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		reversed(rng.New(w.Seed, "world", "reversed"), w.oldKinds(), Pool, W0)(yield)
	}
}

// reversedHeldOut asks for those of the last third.
func (w *World) reversedHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		reversed(rng.New(w.Seed, "world", "reversed-heldout"), w.oldKinds(), Never, W0, W2)(yield)
	}
}

// nearReversed asks for the pool's drugs by their facts.
func (w *World) nearReversed() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		reversed(w.stream("near-reversed"), [][]*Subject{w.drugs()}, Pool, W0)(yield)
	}
}

// nearReversedHeldOut asks for the other drugs.
func (w *World) nearReversedHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		reversed(w.stream("near-reversed-heldout"), [][]*Subject{w.drugs()}, Never, W0, W2)(yield)
	}
}
