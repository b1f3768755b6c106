package suite

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotune/study"
)

// three are studies of which the second is of a headline claim; all rates are 1,000
// tokens a second.
func three() ([]*study.Study, study.Plan) {
	planned := func(tokens, shared float64) study.Planned {
		return study.Planned{
			Outline: study.Outline{Seeds: 6, Arms: make([]study.ArmOutline, 2), Unique: 12, Tokens: tokens},
			New:     12, NewTokens: tokens, Shared: shared, Least: tokens / 12,
		}
	}
	return []*study.Study{{ID: "alone", Claims: []string{"K9"}}, {ID: "headline", Claims: []string{"K5"}}, {ID: "sharing", Claims: []string{"K10"}}},
		study.Plan{Studies: []study.Planned{planned(24e3, 0), planned(12e3, 0), planned(36e3, 18e3)}, Unique: 36, Tokens: 72e3, Rate: 1000}
}

func arranged(t *testing.T, budget time.Duration) *runner {
	t.Helper()
	r := &runner{Options: Options{Options: study.Options{Jobs: 2, Budget: budget}}, number: map[string]int{}, why: map[string]string{}}
	if budget > 0 {
		r.deadline = time.Now().Add(budget)
	}
	studies, plan := three()
	if err := r.arrange(studies, plan); err != nil {
		t.Fatal(err)
	}
	return r
}

func ids(items []item) []string {
	var all []string
	for _, it := range items {
		all = append(all, it.study.ID)
	}
	return all
}

// With time enough the study that shares most comes first, then those that take least.
func TestArrange(t *testing.T) {
	for _, budget := range []time.Duration{0, time.Hour} {
		if got := ids(arranged(t, budget).items); !slices.Equal(got, []string{"sharing", "headline", "alone"}) {
			t.Errorf("with a budget of %s the order is %v", budget, got)
		}
	}
}

// Where it is short, what takes no training comes first, then headline claims, then what takes
// least; all studies have a few seeds before any has more.
func TestArrangeShort(t *testing.T) {
	r := arranged(t, 20*time.Second)
	round := []string{"headline", "alone", "sharing"}
	if got := ids(r.items); !slices.Equal(got, slices.Concat(round, round)) {
		t.Errorf("the order is %v", got)
	}
	total := 0.0
	for i, it := range r.items {
		total += it.tokens
		if want := []int{fewSeeds, 0}[i/3]; it.seeds != want {
			t.Errorf("item %d has %d seeds", i, it.seeds)
		}
	}
	if total != 72e3 {
		t.Errorf("the items have %g tokens, want 72,000", total)
	}
	if got := turn(&study.Study{}, study.Planned{}); got != 0 {
		t.Errorf("a study without training has turn %d", got)
	}
	// 72,000 tokens by two jobs of 1,000 a second, with evaluations.
	if got, want := r.left().Seconds(), 36*evaluations; got < want-0.01 || got > want+0.01 {
		t.Errorf("%g s are left, want %g", got, want)
	}
	// Two runs of 1,000 tokens in a second each, and the rate is what was measured.
	r.items[0].each = 1000
	for range 2 {
		r.observe(r.items[0], study.Event{Event: "done", Seconds: 1})
	}
	if got := r.left(); got != 35*time.Second || r.items[0].tokens != 4000 {
		t.Errorf("%s are left, and %g tokens of the first", got, r.items[0].tokens)
	}
}

// A budget in which no run fits is refused.
func TestTooSmall(t *testing.T) {
	studies, plan := three()
	r := &runner{Options: Options{Options: study.Options{Jobs: 2, Budget: 900 * time.Millisecond}}, deadline: time.Now().Add(time.Second), number: map[string]int{}}
	err := r.arrange(studies, plan)
	if err == nil || err.Error() != "the budget is 900ms, and the smallest run, of headline, takes about 1 s: not one fits" {
		t.Errorf("it says %v", err)
	}
}

// untrained is a study that trains nothing.
const untrained = `id: ID
kind: accounting
claims: [L1]
seeds: {quick: 1, full: 1}
shared: {model: base, data: ["world:chat?rows=20"], max_steps: 1}
arms:
  full: {full: true}
  lora: {}
metrics: {optimizer: {plan: optimizer}}
tests:
  - {name: less, metric: optimizer, difference: [lora, full], expect: below}
`

// A study that cannot be run does not stop the others, and what is done is done: a
// second time nothing is run.
func TestRunOthers(t *testing.T) {
	lab := t.TempDir()
	blocked, free := parse(t, strings.Replace(untrained, "ID", "blocked", 1)), parse(t, strings.Replace(untrained, "ID", "free", 1))
	write(t, filepath.Join(lab, "studies", "blocked"), "a file in the way")
	begun := 0
	run := func(studies ...*study.Study) (map[string]string, error) {
		return Run(t.Context(), studies, Options{Options: study.Options{Output: lab}, Observe: func(p Progress) {
			if p.Event.Event == "study" {
				begun++
			}
		}})
	}
	why, err := run(blocked, free)
	var failures Failures
	if !errors.As(err, &failures) || len(failures) != 1 || why["blocked"] == "" || why["free"] != "" {
		t.Errorf("it says %v, and why %v", err, why)
	}
	table, err := Judge(lab, []*study.Study{free}, why)
	if err != nil || len(table.Rows) != 1 || table.Rows[0].Verdict != study.Holds || table.Rows[0].ID != "L1" {
		t.Errorf("the rows are %+v: %v", table.Rows, err)
	}
	if _, err := study.ReadResult(lab, "blocked"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of the other it says %v", err)
	}
	if why, err := run(free); err != nil || len(why) > 0 || begun != 2 {
		t.Errorf("the second time %d studies were begun: %v, %v", begun-2, why, err)
	}
	changed := parse(t, strings.Replace(untrained, "ID", "free", 1)+"# another file\n")
	if _, err := run(changed); err != nil || begun != 3 {
		t.Errorf("a changed file was not run: %v", err)
	}
}
