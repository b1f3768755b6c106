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
	noise       float64 // share of rows that are wrong
	paraphrases int     // statements in which a fact is told
	marker      bool    // a question says in which form it is to be answered
}

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
	"marker": {func(o *options, value string) bool {
		o.marker = value == "true"
		return value == "true" || value == "false"
	}, "true or false"},
}

// Rows returns the rows of a corpus by its name, or by its name and options as
// in cpt?draw=7&rows=100:
//
//	seed=N         the world of another seed
//	draw=N         other drugs and items, of the corpora about these
//	rows=N         the first N rows
//	noise=X        share of wrong rows, of noisy (else 0.4) and preference (else 0)
//	paraphrases=N  statements each fact is told in, of cpt: 1 to 12 (else 12)
//	marker=true    the question says that a record is wanted, of far and chat-far
//
// An option that a corpus does not have is an error. The sequence can be read
// any number of times and gives the same rows each time.
func (w *World) Rows(name string) (iter.Seq[Row], error) {
	name, query, given := strings.Cut(name, "?")
	i := slices.IndexFunc(corpora, func(c corpus) bool { return c.name == name })
	if i < 0 {
		return nil, fmt.Errorf("the toy world has no corpus %q; it has %s", name, strings.Join(w.Names(), ", "))
	}
	c := corpora[i]
	if !given {
		return c.rows(w, c.defaults), nil
	}
	can := append([]string{"seed", "rows"}, c.own...)
	config, o, limit := w.Config, c.defaults, -1
	seen := map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if !slices.Contains(can, key) {
			return nil, fmt.Errorf("the corpus %s has no option %q; it has %s", name, key, strings.Join(can, ", "))
		}
		if seen[key] {
			return nil, fmt.Errorf("the corpus %s has the option %s twice", name, key)
		}
		seen[key] = true
		if ok, want := setOption(key, value, &config, &o, &limit); !ok {
			return nil, fmt.Errorf("the option %s of the corpus %s is %q; it must be %s", key, name, value, want)
		}
	}
	rows := c.rows(Generate(config), o)
	if limit < 0 {
		return rows, nil
	}
	return first(limit, rows), nil
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
