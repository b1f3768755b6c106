package suite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"

	"gotune/study"
	"gotune/train"
)

// Options say how a suite is run. Those of a study are for each; the budget is for all
// together.
type Options struct {
	study.Options
	Observe func(Progress) // is told how it goes; it may be nil
}

// Progress is what happens while a suite runs.
type Progress struct {
	study.Event
	Study int           // of so many, from 1; 0 is of the suite itself
	Of    int           //
	Left  time.Duration // to the end of the suite, estimated; 0 where nothing is known yet
	Title string        // of the study, where it begins
}

// A runner runs studies in turn.
type runner struct {
	Options
	deadline time.Time // zero without a budget
	rate     float64   // tokens a second of a run, planned
	items    []item    // left to do, the one at hand first
	tokens   float64   // of runs that were done here
	seconds  float64
	number   map[string]int
	why      map[string]string // studies that are not run
	failures Failures
}

// An item is a study with some of its seeds.
type item struct {
	study  *study.Study
	seeds  int     // 0 for all
	tokens float64 // planned, of runs that are not done by an item before it
	each   float64 // tokens of a run, on average
}

// Failures are the errors of studies that could not be run, where the others were.
type Failures []error

func (f Failures) Error() string { return errors.Join(f...).Error() }

func (f Failures) Unwrap() []error { return f }

// fewSeeds are the seeds that each study gets before any gets more, where the budget is
// short: three give an interval that tells large effects.
const fewSeeds = 3

// Run runs studies in a laboratory: those that share most runs first. What is finished
// is taken as it is. With a budget that is short for all, headline claims come first and
// then what takes least, each study whole, so that as many as can be are decided: first with a
// few seeds, then with the others. It returns why studies were not run, by their ids. An
// error of one study does not stop the others; in the end it is among Failures.
func Run(ctx context.Context, studies []*study.Study, o Options) (why map[string]string, err error) {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	r := &runner{Options: o, number: make(map[string]int), why: make(map[string]string)}
	if o.Budget > 0 {
		r.deadline = time.Now().Add(o.Budget)
	}
	var todo []*study.Study
	for _, s := range studies {
		if o.Retry || !r.done(s, 0) {
			todo = append(todo, s)
		}
	}
	if len(todo) == 0 {
		return r.why, nil
	}
	r.tell(study.Event{Event: "plan", Text: fmt.Sprintf("%d of %d studies are to be run", len(todo), len(studies))})
	if r.Known == nil {
		r.Known = study.OpenKnown(o.Output)
	}
	plan, err := study.PlanAll(ctx, todo, r.Known, o.Quick, o.Budget > 0)
	if err != nil {
		return r.why, err
	}
	if err := r.Known.Save(o.Output); err != nil {
		return r.why, fmt.Errorf("suite: %w", err)
	}
	if err := r.arrange(todo, plan); err != nil {
		return r.why, err
	}
	for len(r.items) > 0 {
		if err := r.next(ctx); err != nil {
			return r.why, err
		}
		r.items = r.items[1:]
	}
	if len(r.failures) > 0 {
		return r.why, r.failures
	}
	return r.why, nil
}

// arrange orders what is to be done.
func (r *runner) arrange(todo []*study.Study, plan study.Plan) error {
	r.rate = plan.Rate
	order := make([]int, len(todo))
	for i := range order {
		order[i] = i
	}
	short := r.short(plan)
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := plan.Studies[i], plan.Studies[j]
		if short {
			return cmp.Or(turn(todo[i], a)-turn(todo[j], b), cmp.Compare(a.NewTokens, b.NewTokens))
		}
		return cmp.Or(-cmp.Compare(a.Shared, b.Shared), cmp.Compare(a.NewTokens, b.NewTokens))
	})
	if err := r.tooSmall(todo, plan); err != nil {
		return err
	}
	var few, all []item
	for n, i := range order {
		s, p := todo[i], plan.Studies[i]
		r.number[s.ID] = n + 1
		tokens := p.NewTokens
		if limit := s.Budget.Tokens; limit > 0 {
			tokens = min(tokens, limit)
		}
		it := item{study: s, tokens: tokens, each: tokens / float64(max(1, p.New))}
		if short && p.Seeds > fewSeeds && p.Tokens > 0 {
			first := it
			first.seeds, first.tokens = fewSeeds, tokens*fewSeeds/float64(p.Seeds)
			it.tokens -= first.tokens
			few = append(few, first)
		}
		if short && p.Seeds <= fewSeeds {
			few = append(few, it)
		} else {
			all = append(all, it)
		}
	}
	r.items = slices.Concat(few, all)
	return nil
}

// turn is when a study gets its turn where the budget is short: 0 without training, 1 of
// a headline claim, 2 otherwise.
func turn(s *study.Study, p study.Planned) int {
	switch {
	case p.Tokens == 0:
		return 0
	case IsHeadline(s):
		return 1
	}
	return 2
}

// evaluations is the time that runs take beside their steps, as a factor.
const evaluations = 1.3

// short reports whether not everything will fit into the budget.
func (r *runner) short(plan study.Plan) bool {
	return !r.deadline.IsZero() && plan.Rate > 0 && plan.Tokens*evaluations/plan.Rate/float64(r.Jobs) > r.Budget.Seconds()
}

// tooSmall refuses a budget in which nothing can be done.
func (r *runner) tooSmall(todo []*study.Study, plan study.Plan) error {
	if r.deadline.IsZero() || plan.Rate == 0 {
		return nil
	}
	least := -1
	for i, p := range plan.Studies {
		switch {
		case p.Seeds == 0: // nothing is run of it
			continue
		case p.Least == 0:
			return nil // it takes no training
		}
		if least < 0 || p.Least < plan.Studies[least].Least {
			least = i
		}
	}
	if least < 0 {
		return nil
	}
	if takes := plan.Studies[least].Least / plan.Rate; takes > r.Budget.Seconds() {
		return train.AsUsage(fmt.Errorf("the budget is %s, and the smallest run, of %s, takes about %.2g s: not one fits", r.Budget, todo[least].ID, takes))
	}
	return nil
}

// next does the first item.
func (r *runner) next(ctx context.Context) error {
	it := r.items[0]
	s, o := it.study, r.Options.Options
	if !r.Retry && r.done(s, it.seeds) {
		return nil
	}
	if !r.deadline.IsZero() {
		left := time.Until(r.deadline)
		if left <= 0 && it.tokens > 0 {
			if _, err := study.ReadResult(r.Output, s.ID); err != nil {
				r.why[s.ID] = fmt.Sprintf("it did not fit into the budget of %s", r.Budget)
			}
			return nil
		}
		o.Budget = max(1, left)
	}
	o.Seeds = it.seeds
	o.Observe = func(e study.Event) { r.observe(it, e) }
	r.tell(study.Event{Event: "study", Study: s.ID})
	_, err := study.Run(ctx, s, o)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, train.ErrInterrupted), errors.Is(err, syscall.ENOSPC), ctx.Err() != nil:
		return err
	}
	r.failures = append(r.failures, err)
	r.why[s.ID] = err.Error()
	r.tell(study.Event{Event: "failed", Study: s.ID, Text: err.Error()})
	return nil
}

// left is how long the items that are left will take; 0 where that is not known.
func (r *runner) left() time.Duration {
	rate := r.rate / evaluations
	if r.seconds > 0 {
		rate = r.tokens / r.seconds
	}
	if rate == 0 {
		return 0
	}
	tokens := 0.0
	for _, it := range r.items {
		tokens += it.tokens
	}
	return time.Duration(tokens / rate / float64(r.Jobs) * float64(time.Second))
}

// observe counts what is done and passes it on.
func (r *runner) observe(it item, e study.Event) {
	if e.Event == "done" {
		r.tokens += it.each
		r.seconds += e.Seconds
	}
	if e.Event == "done" || e.Event == "reused" {
		r.items[0].tokens = max(0, r.items[0].tokens-it.each)
	}
	r.tell(e)
}

func (r *runner) tell(e study.Event) {
	if r.Observe == nil {
		return
	}
	p := Progress{Event: e, Study: r.number[e.Study], Of: len(r.number), Left: r.left()}
	if len(r.items) > 0 && e.Study != "" {
		p.Title = r.items[0].study.Title
	}
	r.Observe(p)
}

// done reports whether the laboratory has the result of a study on so many seeds, or on
// all, as its file says now, and nothing is left to run. A result in full is not
// replaced by a quick one.
func (r *runner) done(s *study.Study, seeds int) bool {
	result, err := study.ReadResult(r.Output, s.ID)
	if err != nil {
		return false
	}
	if raw, err := study.ReadFile(r.Output, s.ID); err != nil || !bytes.Equal(raw, s.Raw) || result.Environment.Arithmetic != train.Arithmetic() {
		return false
	}
	if s.Kind == study.NotBuilt {
		return true
	}
	if !r.Quick && slices.ContainsFunc(result.Verdicts, func(v study.Verdict) bool { return v.Provisional }) {
		return false
	}
	wanted := s.TestSeeds(r.Quick)
	if seeds > 0 {
		wanted = wanted[:min(seeds, len(wanted))]
	}
	for _, seed := range wanted {
		if !slices.Contains(result.Seeds, seed) {
			return r.Quick && !s.InQuick() // a quick run has none of it
		}
	}
	for _, a := range result.Arms {
		for _, run := range a.Runs {
			if run.Status == "missing" && slices.Contains(wanted, run.Seed) {
				return false
			}
		}
	}
	return r.Quick || len(result.Arms) == len(s.Arms)
}
