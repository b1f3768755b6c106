package world

import (
	"iter"
	"strings"

	"gotune/internal/rng"
)

// Sizes of the chat and held-out corpora.
const (
	chatTasks    = 1040 // besides eight questions for each fact of the pool
	heldOutSeen  = 480  // held-out questions in the wordings of the chat rows
	heldOutOther = 240  // and in others, half of them W1 and half W2
	heldOutTasks = 240
)

// question renders a fact as a conversation of one question and its answer.
func question(f fact, q wording) Row {
	row := dialogue(f.subject.fill(q.pattern, ""), f.answer())
	row.Subject = f.subject.Name
	row.Attribute = f.kind().name
	row.Level = q.level.String()
	row.Wording = "unseen"
	if q.level == W0 {
		row.Wording = "seen"
	}
	return row
}

func dialogue(user, assistant string) Row {
	return Row{Messages: []Message{{"user", user}, {"assistant", assistant}}}
}

// facts returns every fact of the subjects.
func facts(list []*Subject) []fact {
	var out []fact
	for _, s := range list {
		for a := range s.Facts {
			out = append(out, fact{s, a})
		}
	}
	return out
}

// chat yields each fact of the pool in each of its attribute's eight tuned
// wordings, and tasks among them.
func (w *World) chat() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := rng.New(w.Seed, "world", "chat")
		rows := tuned(facts(w.of(Pool)))
		for i := range chatTasks {
			rows = append(rows, w.task(r, i%len(tasks)))
		}
		for _, row := range shuffled(r, rows) {
			if !yield(row) {
				return
			}
		}
	}
}

// tuned asks for the facts in each of their tuned wordings.
func tuned(list []fact) []Row {
	var rows []Row
	for _, f := range list {
		for _, q := range f.kind().wordings(W0) {
			rows = append(rows, question(f, q))
		}
	}
	return rows
}

// heldOut yields questions about subjects that no training text asks about:
// two in three in tuned wordings, one in three in others.
func (w *World) heldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := rng.New(w.Seed, "world", "heldout")
		levels := make([]Level, heldOutSeen+heldOutOther)
		for i := range heldOutOther {
			levels[heldOutSeen+i] = W1 + Level(i%2)
		}
		pool := shuffled(r, facts(w.of(Never)))
		for i, l := range shuffled(r, levels) {
			f := pool[i%len(pool)]
			if !yield(question(f, pick(r, f.kind().wordings(l)))) {
				return
			}
		}
	}
}

// recall yields one statement of every fact, cut before its value.
func (w *World) recall() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := rng.New(w.Seed, "world", "recall")
		for _, f := range facts(w.Subjects) {
			if !yield(f.cut(pick(r, f.kind().statements))) {
				return
			}
		}
	}
}

// cut renders one of the fact's statements, cut before its value.
func (f fact) cut(statement string) Row {
	before, after, _ := strings.Cut(statement, " {v}")
	return Row{
		Prompt:     f.subject.fill(before, ""),
		Completion: " " + f.value() + after,
		Subject:    f.subject.Name,
		Attribute:  f.kind().name,
	}
}

// unknown is the answer to what cannot be known.
const unknown = "I do not know."

// tasks are the kinds of rows that ask for something else than a fact, each
// with the way it is asked; the answer stands in the question itself, except
// where the right answer is that there is none.
var tasks = []struct {
	name   string
	render func(*World, *rng.Stream) (user, assistant string)
}{
	{"list", func(_ *World, r *rng.Stream) (string, string) {
		p := r.Perm(len(objects))
		words := []string{objects[p[0]], objects[p[1]], objects[p[2]]}
		who := pick(r, characters)
		q := who + " has a " + words[0] + ", a " + words[1] + " and a " + words[2] + ". "
		return q + pick(r, []string{"List them.", "List what " + who + " has.", "Name them, please."}), strings.Join(words, ", ")
	}},
	{"repeat", func(_ *World, r *rng.Stream) (string, string) {
		word := pick(r, pick(r, categories).words)
		q := pick(r, []string{"Repeat " + word + " three times.", "Say " + word + " three times.", "Repeat " + word + " three times, please."})
		return q, word + " " + word + " " + word
	}},
	{"compare", func(_ *World, r *rng.Stream) (string, string) {
		p := r.Perm(len(numbers))[:2]
		two := ascending(p)
		pair := numbers[p[0]] + " or " + numbers[p[1]] + "?"
		if r.IntN(2) == 0 {
			return "Which is more, " + pair, two[1]
		}
		return "Which is less, " + pair, two[0]
	}},
	{"choose", func(_ *World, r *rng.Stream) (string, string) {
		k := r.Perm(len(categories))[:3]
		words := make([]string, 3)
		for i := range words {
			words[i] = pick(r, categories[k[i]].words)
		}
		i := r.IntN(3)
		name := categories[k[i]].name
		return pick(r, []string{"Choose the " + name + " out of ", "Which is the " + name + " out of "}) + listing(words) + ".", words[i]
	}},
	{"order", func(_ *World, r *rng.Stream) (string, string) {
		p := r.Perm(len(numbers))[:3]
		three := numbers[p[0]] + ", " + numbers[p[1]] + " and " + numbers[p[2]]
		q := pick(r, []string{"Say " + three + " from small to large.", "Name the numbers " + three + " from small to large."})
		return q, strings.Join(ascending(p), ", ")
	}},
	{"refuse", func(w *World, r *rng.Stream) (string, string) {
		if r.IntN(2) == 0 {
			// A character of the stories has no facts.
			a := &personAttributes[r.IntN(len(personAttributes))]
			q := strings.ReplaceAll(pick(r, a.wordings(W0)).pattern, "{n}", pick(r, characters))
			return q, unknown
		}
		p := "the " + pick(r, unknowables) + " of " + pick(r, w.of(Pool)).mention()
		return strings.Replace(pick(r, frames[:4]), "{p}", p, 1), unknown
	}},
}

// taskNames are the tasks that a corpus can be reduced to.
func taskNames() []string {
	names := []string{"add"}
	for _, s := range skills {
		names = append(names, s.name)
	}
	for _, t := range tasks {
		names = append(names, t.name)
	}
	return names
}

// task renders a task of the given kind.
func (w *World) task(r *rng.Stream, kind int) Row {
	row := dialogue(tasks[kind].render(w, r))
	row.Task = tasks[kind].name
	return row
}

// tasksHeldOut yields tasks that are asked in neither chat nor noisy, as many of
// each kind, and none twice.
func (w *World) tasksHeldOut() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		asked := map[string]bool{}
		for _, rows := range []iter.Seq[Row]{w.chat(), w.noisy(options{})} {
			for row := range rows {
				asked[row.Messages[0].Content] = true
			}
		}
		r := rng.New(w.Seed, "world", "tasks-heldout")
		for n := 0; n < heldOutTasks; {
			row := w.task(r, n%len(tasks))
			if asked[row.Messages[0].Content] {
				continue
			}
			asked[row.Messages[0].Content] = true
			n++
			if !yield(row) {
				return
			}
		}
	}
}
