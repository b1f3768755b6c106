package world

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// options are what may be said of a corpus beside its name.
type options struct {
	noise       float64          // share of rows that are wrong
	paraphrases int              // statements in which a fact is told
	told        int              // statements in which an edit is told
	fact        int              // the edit that is told alone, from 1; 0 for all
	marker      bool             // a question says in which form it is to be answered
	insert      bool             // edits are of drugs' facts, not of people's
	prefix      string           // what stands before every question
	questions   float64          // share of the text that is questions; asTheBase as it has read them
	keep        []func(Row) bool // which rows are given
}

// asTheBase are the questions of pretrain that the embedded base has read.
const asTheBase = -1

// option is one of a corpus's own options: how it is set, and what it can be.
type option struct {
	set  func(o *options, value string) bool
	want string
}

var optionsByName = map[string]option{
	"noise": {func(o *options, value string) bool {
		x, err := strconv.ParseFloat(value, 64)
		o.noise = x
		return err == nil && x >= 0 && x <= 1
	}, "a share from 0 to 1"},
	"paraphrases": {func(o *options, value string) bool {
		n, err := strconv.Atoi(value)
		o.paraphrases = n
		return err == nil && n >= 1 && n <= cptRounds
	}, fmt.Sprintf("a number from 1 to %d", cptRounds)},
	"told": {func(o *options, value string) bool {
		n, err := strconv.Atoi(value)
		o.told = n
		return err == nil && n >= 1 && n <= editTold
	}, fmt.Sprintf("a number from 1 to %d", editTold)},
	"fact": {func(o *options, value string) bool {
		n, err := strconv.Atoi(value)
		o.fact = n
		return err == nil && n >= 1 && n <= Edits
	}, fmt.Sprintf("a number from 1 to %d", Edits)},
	"insert": {func(o *options, value string) bool {
		o.insert = value == "true"
		return value == "true" || value == "false"
	}, "true or false"},
	"questions": {func(o *options, value string) bool {
		x, err := strconv.ParseFloat(value, 64)
		o.questions = x
		return err == nil && x >= 0 && x <= 1
	}, "a share from 0 to 1"},
	"level": {func(o *options, value string) bool {
		o.keep = append(o.keep, func(r Row) bool { return r.Level == value })
		return slices.Contains([]string{"W0", "W1", "W2"}, value)
	}, "W0, W1 or W2"},
	"wording": {func(o *options, value string) bool {
		o.keep = append(o.keep, func(r Row) bool { return r.Wording == value })
		return value == "seen" || value == "unseen"
	}, "seen or unseen"},
	"task": {func(o *options, value string) bool {
		o.keep = append(o.keep, func(r Row) bool { return r.Task == value })
		return slices.Contains(taskNames(), value)
	}, "one of " + strings.Join(taskNames(), ", ")},
	"prefix": {func(o *options, value string) bool {
		o.prefix = prefixes[value]
		return o.prefix != ""
	}, "good or poor"},
	"marker": {func(o *options, value string) bool {
		o.marker = value == "true"
		return value == "true" || value == "false"
	}, "true or false"},
}

// Rows returns the rows of a corpus by its name, or by its name and options as
// in cpt?draw=7&rows=100:
//
//	seed=N         the world of another seed
//	draw=N         other drugs, items and edits, of the corpora about these
//	drugs=N        how many drugs there are, half of them in the pool: 2 to 480 (else 96)
//	rows=N         the first N rows
//	level=W1       the rows of a level alone, W0, W1 or W2
//	wording=unseen the rows in a seen or an unseen wording alone
//	task=add       the rows of a task alone, of skill
//	noise=X        share of wrong rows, of noisy (else 0.4) and preference (else 0)
//	paraphrases=N  statements each fact is told in, of cpt: 1 to 12 (else 12)
//	told=N         statements each fact is told in, of edit: 1 to 8 (else 8)
//	fact=N         the Nth of the edits alone, of edit and edit-paraphrase: 1 to 30
//	insert=true    edits insert facts of drugs, where else they change facts of people
//	marker=true    the question says that a record is wanted, of far and chat-far
//	prefix=good    a sentence before every question: good says that an answer is wanted,
//	               poor is of something else
//	questions=X    pretrain without its questions, and a share of its text replaced
//	               by questions in the form of chat
//
// An option that a corpus does not have is an error. The sequence can be read
// any number of times and gives the same rows each time.
func (w *World) Rows(name string) (iter.Seq[Row], error) {
	f, err := w.find(name)
	if err != nil {
		return nil, err
	}
	return f.rows(), nil
}

// found is a corpus as a name with its options says.
type found struct {
	corpus
	world   *World
	options options
	limit   int // of rows; -1 without
}

// all are the rows before the limit.
func (f found) all() iter.Seq[Row] {
	rows := f.corpus.rows(f.world, f.options)
	for _, want := range f.options.keep {
		rows = kept(want, rows)
	}
	if f.options.prefix != "" {
		rows = prefixed(f.options.prefix, rows)
	}
	return rows
}

// prefixes are sentences in known words.
var prefixes = map[string]string{"good": "Please say what I want to know. ", "poor": "Pip has a kite and a ball. "}

// prefixed puts a sentence before every question.
func prefixed(prefix string, rows iter.Seq[Row]) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for row := range rows {
			if len(row.Messages) > 0 {
				row.Messages = slices.Clone(row.Messages)
				row.Messages[0].Content = prefix + row.Messages[0].Content
			}
			if !yield(row) {
				return
			}
		}
	}
}

func (f found) rows() iter.Seq[Row] {
	if f.limit < 0 {
		return f.all()
	}
	return first(f.limit, f.all())
}

// find reads a corpus's name and options.
func (w *World) find(name string) (found, error) {
	name, query, given := strings.Cut(name, "?")
	i := slices.IndexFunc(corpora, func(c corpus) bool { return c.name == name })
	if i < 0 {
		return found{}, fmt.Errorf("the toy world has no corpus %q; it has %s", name, strings.Join(w.Names(), ", "))
	}
	f := found{corpora[i], w, corpora[i].defaults, -1}
	if !given {
		return f, nil
	}
	config := w.Config
	can := append([]string{"seed", "rows"}, f.own...)
	seen := map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if !slices.Contains(can, key) {
			return f, fmt.Errorf("the corpus %s has no option %q; it has %s", name, key, strings.Join(can, ", "))
		}
		if seen[key] {
			return f, fmt.Errorf("the corpus %s has the option %s twice", name, key)
		}
		seen[key] = true
		if ok, want := setOption(key, value, &config, &f.options, &f.limit); !ok {
			return f, fmt.Errorf("the option %s of the corpus %s is %q; it must be %s", key, name, value, want)
		}
	}
	f.world = Generate(config)
	return f, nil
}

// setOption sets one option and returns what it must be where it cannot.
func setOption(key, value string, c *Config, o *options, limit *int) (ok bool, want string) {
	switch key {
	case "seed", "draw":
		n, err := strconv.ParseUint(value, 10, 64)
		if key == "seed" {
			c.Seed = n
		} else {
			c.Draw = n
		}
		return err == nil, "a whole number from 0"
	case "drugs":
		n, err := strconv.Atoi(value)
		c.Drugs = n
		return err == nil && n >= 2 && n <= mostDrugs, fmt.Sprintf("a number from 2 to %d", mostDrugs)
	case "rows":
		n, err := strconv.Atoi(value)
		*limit = n
		return err == nil && n >= 1, "a whole number from 1"
	}
	one := optionsByName[key]
	return one.set(o, value), one.want
}

// first yields no more than n rows.
func first(n int, rows iter.Seq[Row]) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		left := n
		for row := range rows {
			if left--; !yield(row) || left == 0 {
				return
			}
		}
	}
}

// kept yields the rows that are wanted.
func kept(want func(Row) bool, rows iter.Seq[Row]) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for row := range rows {
			if want(row) && !yield(row) {
				return
			}
		}
	}
}
