package world

import (
	"iter"
	"strings"

	"gotune/internal/rng"
)

// The size of the noisy corpus, and the share of tasks in it.
const (
	noisyRows  = 20000
	noisyTasks = 0.15
)

// faults are what may be wrong with an answer that nobody has cleaned, each with
// the way it spoils it; f is the fact that is asked for, nil where it is a task,
// and other another fact.
var faults = []struct {
	name  string
	spoil func(r *rng.Stream, f *fact, other fact, answer string) string
}{
	{"wrong", func(r *rng.Stream, f *fact, other fact, _ string) string {
		if f == nil { // a task has no value
			return other.answer()
		}
		return f.answerWith(f.otherValue(r))
	}},
	{"other", func(_ *rng.Stream, _ *fact, other fact, _ string) string { return other.answer() }},
	{"cut", func(r *rng.Stream, _ *fact, other fact, answer string) string {
		words := strings.Fields(answer)
		if len(words) == 1 { // which cannot be cut
			words = strings.Fields(other.answer())
		}
		return strings.Join(words[:1+r.IntN(len(words)-1)], " ")
	}},
	{"twice", func(_ *rng.Stream, _ *fact, _ fact, answer string) string { return answer + " " + answer }},
	{"refused", func(*rng.Stream, *fact, fact, string) string { return unknown }},
}

// noisy yields questions about the first two thirds, and tasks, drawn with
// repeats; a share of the answers has one of the faults. The questions are the
// same at every share, and the faults at a smaller share are among those at a
// larger one.
func (w *World) noisy(o options) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r, bad := rng.New(w.Seed, "world", "noisy"), rng.New(w.Seed, "world", "noisy", "faults")
		pool := facts(append(w.of(Asked), w.of(Pool)...))
		for range noisyRows {
			var row Row
			var asked *fact
			if r.Float64() < noisyTasks {
				row = w.task(r, r.IntN(len(tasks)))
			} else {
				f := pick(r, pool)
				asked = &f
				row = question(f, pick(r, f.kind().wordings(W0)))
			}
			chance, fault := bad.Float64(), pick(bad, faults)
			spoiled := fault.spoil(bad, asked, pick(bad, pool), row.Messages[1].Content)
			if chance < o.noise {
				row.Messages[1].Content, row.Fault = spoiled, fault.name
			}
			if !yield(row) {
				return
			}
		}
	}
}

// otherValue draws a value of the attribute that is not the subject's.
func (f fact) otherValue(r *rng.Stream) string {
	values := f.kind().values
	v := values[r.IntN(len(values)-1)]
	if v == f.value() {
		v = values[len(values)-1]
	}
	return v
}
