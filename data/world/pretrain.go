package world

import (
	"iter"
	"strconv"
	"strings"

	"gotune/internal/rng"
)

// Rounds is how often the pre-training corpus goes through all subjects. In a
// round each fact is told twice: once in a life of its subject, and once among
// facts of others. Each fact of the first third is asked about in every second
// round.
const Rounds = 104

// Documents of a round, besides one life for every subject.
const (
	gatherSize  = 8   // statements in a gathering
	quizSize    = 5   // questions in a quiz
	stories     = 125 // a fifth of all tokens is in stories and drills
	drills      = 110
	heldOutDocs = 240
)

// A document is a text of pretrain; a quiz is one of questions.
type document struct {
	text string
	quiz bool
}

// pretrain yields the rounds one after the other, each in an order of its own. With
// a share of questions of its own it has the same documents in the same order but
// for the quizzes, and questions in the form of chat stand in for so many of them.
// Those replaced at a smaller share are among those at a larger one.
func (w *World) pretrain(o options) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for i := range Rounds {
			number := strconv.Itoa(i)
			docs := w.round(i, rng.New(w.Seed, "world", "pretrain", number))
			asked := rng.New(w.Seed, "world", "pretrain", "questions", number)
			for place, d := range docs {
				rows := []Row{{Text: d.text}}
				switch {
				case o.questions == asTheBase:
				case d.quiz:
					continue
				case asked.Float64() < o.questions:
					rows = w.instead(rng.New(w.Seed, "world", "pretrain", "instead", number, strconv.Itoa(place)), len(d.text))
				}
				for _, row := range rows {
					if !yield(row) {
						return
					}
				}
			}
		}
	}
}

// turnLength is about what the marks of a conversation take, in letters.
const turnLength = 30

// instead asks about people or things of the first third until the rows are about so
// long.
func (w *World) instead(r *rng.Stream, length int) []Row {
	pool := w.Subjects[:People/3]
	if r.IntN(People+Things) >= People {
		pool = w.Subjects[People : People+Things/3]
	}
	var rows []Row
	for length > 0 {
		s := pick(r, pool)
		f := fact{s, r.IntN(len(s.Facts))}
		row := question(f, pick(r, f.kind().wordings(W0, W1)))
		rows = append(rows, row)
		length -= turnLength + len(row.Messages[0].Content) + len(row.Messages[1].Content)
	}
	return rows
}

// pretrainHeldOut yields the first documents of a round that pretrain lacks.
func (w *World) pretrainHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, d := range w.round(0, rng.New(w.Seed, "world", "pretrain-heldout"))[:heldOutDocs] {
			if !yield(Row{Text: d.text}) {
				return
			}
		}
	}
}

// fact points at one fact of a subject.
type fact struct {
	subject   *Subject
	attribute int
}

// kind is the attribute that the fact is a value of.
func (f fact) kind() *attribute { return &f.subject.Kind.attributes()[f.attribute] }

// value is what is true of the subject.
func (f fact) value() string { return f.subject.Facts[f.attribute] }

// answer replies to any question about the fact.
func (f fact) answer() string { return f.answerWith(f.value()) }

// answerWith replies with a value, right or wrong.
func (f fact) answerWith(value string) string { return f.subject.fill(f.kind().answer, value) }

// round renders the documents of one round and shuffles them.
func (w *World) round(number int, r *rng.Stream) []document {
	var docs []document
	add := func(quiz bool, texts ...string) {
		for _, text := range texts {
			docs = append(docs, document{text, quiz})
		}
	}
	var all, asked []fact
	for i, s := range w.Subjects {
		add(false, life(r, s, tell))
		for a := range s.Facts {
			all = append(all, fact{s, a})
			if s.Third == Asked && (i+a+number)%2 == 0 {
				asked = append(asked, fact{s, a})
			}
		}
	}
	add(false, groups(r, all, gatherSize, gathering(tell))...)
	add(true, groups(r, asked, quizSize, quiz)...)
	for range stories {
		add(false, story(r))
	}
	for range drills {
		add(false, drill(r))
	}
	return shuffled(r, docs)
}

// shuffled returns a copy of list in an order drawn from r.
func shuffled[T any](r *rng.Stream, list []T) []T {
	out := make([]T, len(list))
	for i, j := range r.Perm(len(list)) {
		out[i] = list[j]
	}
	return out
}

// pick returns one of the list.
func pick[T any](r *rng.Stream, list []T) T { return list[r.IntN(len(list))] }

// groups shuffles the facts and renders them size at a time.
func groups(r *rng.Stream, facts []fact, size int, render func(*rng.Stream, []fact) string) []string {
	var docs []string
	facts = shuffled(r, facts)
	for len(facts) > 0 {
		n := min(size, len(facts))
		docs = append(docs, render(r, facts[:n]))
		facts = facts[n:]
	}
	return docs
}

// A teller states a fact in one of the sentences for it.
type teller func(*rng.Stream, fact) string

// tell states a fact in one of its attribute's statements.
func tell(r *rng.Stream, f fact) string {
	return f.subject.statement(f.attribute, r.IntN(len(f.subject.Kind.attributes()[f.attribute].statements)))
}

// life tells all facts of one subject in an order drawn anew.
func life(r *rng.Stream, s *Subject, tell teller) string {
	sentences := make([]string, len(s.Facts))
	for i, a := range r.Perm(len(s.Facts)) {
		sentences[i] = tell(r, fact{s, a})
	}
	return strings.Join(sentences, " ")
}

// gathering tells facts of several subjects, on one line or one a line.
func gathering(tell teller) func(*rng.Stream, []fact) string {
	return func(r *rng.Stream, facts []fact) string {
		sentences := make([]string, len(facts))
		for i, f := range facts {
			sentences[i] = tell(r, f)
		}
		return strings.Join(sentences, pick(r, []string{" ", "\n"}))
	}
}

// quiz asks and answers in one of three plain forms: the marks of a chat occur
// nowhere in pre-training.
func quiz(r *rng.Stream, facts []fact) string {
	form := pick(r, [][2]string{{"Question: ", "Answer: "}, {"Q: ", "A: "}, {"", ""}})
	var b strings.Builder
	for _, f := range facts {
		a := &f.subject.Kind.attributes()[f.attribute]
		b.WriteString(form[0] + f.subject.fill(pick(r, a.wordings(W0, W1)).pattern, "") + "\n")
		b.WriteString(form[1] + f.answer() + "\n")
	}
	return b.String()
}
