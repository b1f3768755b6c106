package world

import (
	"iter"
	"slices"
	"strconv"

	"gotune/internal/rng"
)

// cptRounds is how often a pass of cpt tells each fact: once in each of the
// statements of its attribute.
const cptRounds = 12

// stream returns a stream of a corpus that is about drugs or items.
func (w *World) stream(names ...string) *rng.Stream {
	return rng.New(w.Seed, "world", append([]string{"draw", strconv.FormatUint(w.Draw, 10)}, names...)...)
}

// drugs draws the drugs, the first half of them for the pool. Fewer are the first of
// more.
func (w *World) drugs() []*Subject {
	n := w.Drugs
	if n == 0 {
		n = Drugs
	}
	out := deal(Drug, n, familyNames, materials, func(what string) *rng.Stream { return w.stream("drugs", what) })
	for i, s := range out {
		s.Third = Pool
		if i >= n/2 {
			s.Third = Never
		}
	}
	return out
}

// cpt tells every fact of every drug twelve times: in each even round in a life
// of the drug, in each odd round among facts of others. It goes through the
// paraphrases, as many of the attribute's statements, in an order drawn for the
// fact.
func (w *World) cpt(o options) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := w.stream("cpt")
		drugs := w.drugs()
		order := map[fact][]int{}
		for _, f := range facts(drugs) {
			order[f] = r.Perm(cptRounds)[:o.paraphrases]
		}
		for round := range cptRounds {
			tell := func(_ *rng.Stream, f fact) string {
				return f.subject.statement(f.attribute, order[f][round%o.paraphrases])
			}
			var docs []string
			if round%2 == 0 {
				docs = lives(r, drugs, tell)
			} else {
				docs = groups(r, facts(drugs), gatherSize, gathering(tell))
			}
			for _, text := range shuffled(r, docs) {
				if !yield(Row{Text: text}) {
					return
				}
			}
		}
	}
}

// lives tells the life of each subject.
func lives(r *rng.Stream, subjects []*Subject, tell teller) []string {
	var docs []string
	for _, s := range subjects {
		docs = append(docs, life(r, s, tell))
	}
	return docs
}

// cptHeldOut tells every drug's life once, in statements that cpt never uses.
func (w *World) cptHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		tell := func(r *rng.Stream, f fact) string { return f.subject.fill(pick(r, f.kind().heldOut), f.value()) }
		for _, text := range lives(w.stream("cpt-heldout"), w.drugs(), tell) {
			if !yield(Row{Text: text}) {
				return
			}
		}
	}
}

// cptRecall yields two statements of every fact of a drug, cut before the value:
// one of cpt, called seen, and one that is held out, called unseen.
func (w *World) cptRecall() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := w.stream("cpt-recall")
		for _, f := range facts(w.drugs()) {
			told, other := f.cut(pick(r, f.kind().statements)), f.cut(pick(r, f.kind().heldOut))
			told.Wording, other.Wording = "seen", "unseen"
			if !yield(told) || !yield(other) {
				return
			}
		}
	}
}

// near yields each fact of the pool's drugs in each of the tuned wordings.
func (w *World) near() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, row := range shuffled(w.stream("near"), tuned(facts(of(w.drugs(), Pool)))) {
			if !yield(row) {
				return
			}
		}
	}
}

// cptQuestions tells every fact of every drug by questions and their answers, once
// in each of the tuned wordings.
func (w *World) cptQuestions() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		slices.Values(shuffled(w.stream("cpt-questions"), tuned(facts(w.drugs()))))(yield)
	}
}

// nearHeldOut yields each fact of the other drugs in one wording of each level.
func (w *World) nearHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := w.stream("near-heldout")
		var rows []Row
		for _, f := range facts(of(w.drugs(), Never)) {
			for _, l := range []Level{W0, W1, W2} {
				rows = append(rows, question(f, pick(r, f.kind().wordings(l))))
			}
		}
		for _, row := range shuffled(r, rows) {
			if !yield(row) {
				return
			}
		}
	}
}

// recordMark is added to a question where it is to say that a record is wanted.
const recordMark = " Name, kind, word."

// asRecords answers the questions of another corpus by strict records: three
// lines with name, kind and word, and nothing else. Tasks are left out.
func asRecords(rows func(*World) iter.Seq[Row]) func(*World, options) iter.Seq[Row] {
	return func(w *World, o options) iter.Seq[Row] {
		return func(yield func(Row) bool) {
			known := map[[2]string]fact{}
			for _, f := range facts(slices.Concat(w.Subjects, w.drugs())) {
				known[[2]string{f.subject.Name, f.kind().name}] = f
			}
			for row := range rows(w) {
				f, ok := known[[2]string{row.Subject, row.Attribute}]
				if !ok {
					continue
				}
				asked := row.Messages[0].Content
				if o.marker {
					asked += recordMark
				}
				row.Messages = dialogue(asked, f.record()).Messages
				if !yield(row) {
					return
				}
			}
		}
	}
}

// record states the fact in the strict form.
func (f fact) record() string {
	return "name: " + f.subject.mention() + "\nkind: " + f.kind().name + "\nword: " + f.value()
}
