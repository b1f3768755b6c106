package study

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"gotune/internal/disk"
	"gotune/internal/kernel"
	"gotune/study/stats"
	"gotune/train"
)

// Run runs a study in a laboratory and writes its result there. Runs that are finished
// are taken as they are and those that were stopped are gone on with; a run that fails
// is told of and does not stop the others. A cancelled context stops the runs at hand
// after their step, each with a checkpoint, and Run returns train.ErrInterrupted: the
// same call goes on where it was.
func Run(ctx context.Context, s *Study, o Options) (Result, error) {
	if o.Quick {
		s = s.quickly()
	}
	l, err := newLab(s, o)
	if err != nil {
		return Result{}, err
	}
	if err := l.keepsFull(); err != nil {
		return Result{}, err
	}
	if err := disk.WriteBytes(filepath.Join(l.studyDir(), "study.yaml"), s.Raw); err != nil {
		return Result{}, err
	}
	r, err := l.whole(ctx)
	if err != nil {
		if errors.Is(err, train.ErrInterrupted) {
			return r, err
		}
		return r, fmt.Errorf("study %s: %w", s.name, err)
	}
	return r, r.Write(l.Output)
}

// keepsFull refuses to put the result of a quick run in the place of one in full.
func (l *lab) keepsFull() error {
	r, err := ReadResult(l.Output, l.study.ID)
	if err != nil || !l.Quick || len(r.Verdicts) == 0 {
		return nil // there is none, or it is to be written again
	}
	for _, v := range r.Verdicts {
		if v.Provisional || v.Outcome == NotRun || v.Outcome == NotBuiltYet {
			return nil
		}
	}
	return train.AsUsage(fmt.Errorf("%s holds the result of study %s in full, and a quick run would replace it: choose another --output", l.Output, l.study.ID))
}

// whole runs the study: what values are chosen from, what a search gives up, and the
// runs of the tests.
func (l *lab) whole(ctx context.Context) (Result, error) {
	s := l.study
	r := l.result()
	if s.Kind == NotBuilt {
		r.Verdicts = notBuilt(s)
		return r, nil
	}
	if len(s.Arms) == 0 {
		r.Verdicts = s.leftOut()
		return r, nil
	}
	seeds, err := l.seeds()
	if err != nil {
		return r, err
	}
	r.Seeds = seeds
	l.tell("begin", nil, "")
	trials := make([]*trial, len(s.Arms))
	for i := range s.Arms {
		trials[i] = &trial{arm: &s.Arms[i]}
	}
	if r.Dropped, err = l.choose(ctx, trials); err != nil {
		return r, err
	}
	tests := s.Tests
	if l.Search && len(s.Tune) == 0 {
		left, dropped, err := l.searchArms(ctx, trials)
		if err != nil {
			return r, err
		}
		trials, r.Dropped = left, append(r.Dropped, dropped...)
	}
	if len(tests) == 0 && len(s.left) == 0 {
		tests = s.comparisons(trials)
	}
	if err := l.runTests(ctx, trials, seeds, tests); err != nil {
		return r, err
	}
	attributes := s.attributes()
	b := table{study: s, seeds: seeds, attributes: make(map[string]map[string]float64)}
	for i, a := range s.Arms {
		b.attributes[a.Name] = attributes[i]
	}
	b.value = func(arm string, seed uint64, metric string) (float64, error) {
		return lookUp(s, trials, seeds, arm, seed, metric)
	}
	b.censored = func(arm string, seed uint64, metric string) bool {
		t := trialOf(trials, arm)
		return t != nil && t.nodes != nil && t.nodes[slices.Index(seeds, seed)].values[metric].Censored
	}
	b.chosen = func(arm string) string { return trialOf(trials, arm).atEnd() }
	b.best = func(arms []string, metric string, which stats.Better, given *Given) (string, error) {
		return bestOf(s, trials, arms, metric, which, given)
	}
	r.Checks, r.Verdicts = b.judge(s.Checks, tests)
	r.Verdicts = append(r.Verdicts, s.leftOut()...)
	for i := range r.Verdicts {
		r.Verdicts[i].Provisional = l.Quick
	}
	if r.Arms, err = l.armResults(trials, seeds); err != nil {
		return r, err
	}
	for _, v := range r.Verdicts {
		l.tell("verdict", nil, v.Name+": "+v.Reading)
	}
	r.Finished = time.Now().UTC().Truncate(time.Second)
	l.tell("end", nil, "")
	return r, nil
}

// result is what a result says beforehand.
func (l *lab) result() Result {
	s := l.study
	r := Result{
		Seeds: []uint64{}, Arms: []ArmResult{}, Metrics: []Metric{},
		ID: s.ID, Claims: s.Claims, Title: s.Title, Claim: s.Claim, Literature: s.Literature, Kind: s.Kind, Note: s.Note,
		Command: l.Command, Finished: time.Now().UTC().Truncate(time.Second),
		Environment: Environment{
			Version: l.Version, Commit: l.Commit, Arithmetic: train.Arithmetic(), CPULevel: kernel.Active().String(), Go: runtime.Version(), Jobs: l.Jobs,
		},
	}
	for _, m := range s.Metrics {
		r.Metrics = append(r.Metrics, m.described())
	}
	return r
}

// notBuilt are the verdicts of a study that needs a method which is not there.
func notBuilt(s *Study) []Verdict {
	var all []Verdict
	for _, t := range s.Tests {
		all = append(all, Verdict{Name: t.Name, Claim: t.Claim, Metric: t.Metric, Expect: t.Expect, Margin: t.Margin})
	}
	if len(all) == 0 {
		all = []Verdict{{Name: s.ID}}
	}
	for i := range all {
		all[i].Outcome, all[i].Reading, all[i].P, all[i].PHolm = NotBuiltYet, NotBuiltYet+": "+s.Note, 1, 1
	}
	return all
}

// seeds are those of the tests. None of them is one of the search's.
func (l *lab) seeds() ([]uint64, error) {
	if l.Search && len(l.study.Seeds.Tuning) == 0 {
		l.study.Seeds.Tuning = Count(FirstTuningSeed, 2)
	}
	seeds := l.study.TestSeeds(l.Quick)
	first, n := seeds[0], len(seeds)
	if l.FirstSeed > 0 {
		first = l.FirstSeed
	}
	if l.Seeds > 0 {
		n = l.Seeds
	}
	if first != seeds[0] || n > len(seeds) {
		seeds = Count(first, n)
	}
	seeds = seeds[:n]
	for _, seed := range seeds {
		if slices.Contains(l.study.Seeds.Tuning, seed) {
			return nil, train.AsUsage(fmt.Errorf("the seed %d is used for tuning and for testing", seed))
		}
	}
	return seeds, nil
}

// choose gives the arms that are tuned their values.
func (l *lab) choose(ctx context.Context, trials []*trial) ([]Dropped, error) {
	var arms []*Arm
	for _, t := range trials {
		arms = append(arms, t.arm)
	}
	chosen, dropped, err := l.tune(ctx, arms)
	for _, t := range trials {
		t.choice = chosen[t.arm.Tuned]
	}
	return dropped, err
}

// searchArms leaves the two best arms, of those that there are.
func (l *lab) searchArms(ctx context.Context, trials []*trial) ([]*trial, []Dropped, error) {
	s := l.study
	m := s.metric(s.TuneBy)
	if m == nil {
		m = &s.Metrics[0]
	}
	if m.Better == "" {
		return nil, nil, train.AsUsage(fmt.Errorf("a search judges by %s, so that the metric has to say better: higher or lower", m.Name))
	}
	groups := map[string][]*candidate{}
	for _, t := range trials {
		groups[""] = append(groups[""], &candidate{arm: t.arm})
	}
	points := make(map[*Arm]SearchPoint)
	dropped, err := l.race(ctx, groups, []string{""}, 2, *m, func(c *candidate) { points[c.arm] = c.point() })
	if err != nil {
		return nil, dropped, err
	}
	var left []*trial
	for _, c := range groups[""] {
		left = append(left, &trial{arm: c.arm, choice: choice{points: []SearchPoint{points[c.arm]}}})
	}
	return left, dropped, nil
}

// comparisons are the tests of a study that names none: every arm against the first,
// or after a search against the best.
func (s *Study) comparisons(trials []*trial) []Test {
	m := s.Metrics[0]
	margin := 0.0
	if m.Measure.Unit == "share" || m.Measure.Unit == "nats a token" || m.Measure.Family == "curve" && m.Measure.Unit == "" {
		margin = 0.05
	}
	var tests []Test
	for _, t := range trials[1:] {
		tests = append(tests, Test{
			Name: t.arm.Name, Metric: m.Name, Difference: []string{t.arm.Name, trials[0].arm.Name}, Expect: "different", Margin: margin,
		})
	}
	return tests
}

// runTests does the runs of the tests.
func (l *lab) runTests(ctx context.Context, trials []*trial, seeds []uint64, tests []Test) error {
	s := l.study
	regretted := s.onTuningSeeds(slices.Concat(s.Checks, tests))
	var nodes []*node
	for _, t := range trials {
		if t.choice.err != nil {
			continue
		}
		for _, seed := range seeds {
			n, err := l.add(ctx, t.arm, t.choice.values, seed, 1, s.Metrics)
			if err != nil {
				return err
			}
			t.nodes = append(t.nodes, n)
		}
		for _, seed := range s.Seeds.Tuning {
			if regretted[t.arm.Name] == nil {
				break
			}
			n, err := l.add(ctx, t.arm, t.choice.values, seed, 1, regretted[t.arm.Name])
			if err != nil {
				return err
			}
			t.tuning = append(t.tuning, n)
		}
		nodes = append(nodes, t.tuning...)
	}
	for i := range seeds { // all arms of a seed before the next seed, so that a budget cuts off seeds
		for _, t := range trials {
			if t.nodes != nil {
				nodes = append(nodes, t.nodes[i])
			}
		}
	}
	return l.do(ctx, nodes)
}

// armResults describes the arms and their runs.
func (l *lab) armResults(trials []*trial, seeds []uint64) ([]ArmResult, error) {
	var recipes []train.Recipe
	var arms []*Arm
	for _, t := range trials {
		r, err := l.study.recipe(t.arm, t.choice.values, seeds[0], nil)
		if err != nil {
			return nil, err
		}
		recipes, arms = append(recipes, r), append(arms, t.arm)
	}
	texts, numbers := differs(arms, recipes)
	var all []ArmResult
	for i, t := range trials {
		a := ArmResult{
			Name: t.arm.Name, Differs: texts[i], Attributes: numbers[i], Tuned: t.choice.values, Search: t.choice.points, From: t.arm.From,
			Reuses: len(t.nodes) > 0,
		}
		for j, seed := range seeds {
			if t.nodes == nil {
				a.Runs = append(a.Runs, RunResult{Seed: seed, Status: "missing", Error: t.choice.err.Error()})
				continue
			}
			n := t.nodes[j]
			a.Reuses = a.Reuses && n.reused
			run := n.result(l.study.Metrics)
			for k := range run.Exposures {
				e := &run.Exposures[k]
				e.PerFact = e.Times * l.hashes.perFact(e.Corpus)
			}
			a.Runs = append(a.Runs, run)
		}
		all = append(all, a)
	}
	return all, nil
}

// result describes a run.
func (n *node) result(metrics []MetricSpec) RunResult {
	r := RunResult{Seed: n.seed, Run: runsName + "/" + n.key, Status: "missing"}
	if n.planned() {
		r.Run = "" // nothing is trained
	}
	switch n.state {
	case finished:
		r.Status = "finished"
	case failed:
		r.Status = "failed"
	}
	if n.err != nil {
		r.Error = n.err.Error()
	}
	r.Steps, r.Tokens, r.Seconds, r.Exposures = n.facts.steps, n.facts.tokens, n.facts.seconds, n.facts.exposures
	for _, m := range metrics {
		x, ok := n.value(m)
		if !ok {
			continue
		}
		if r.Metrics == nil {
			r.Metrics = make(map[string]float64)
		}
		r.Metrics[m.Name] = x
		if n.values[m.Name].Censored {
			r.Censored = append(r.Censored, m.Name)
		}
	}
	return r
}
