package study

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/study/stats"
	"gotune/train"
)

// A trial is an arm on its way through a study.
type trial struct {
	arm    *Arm
	choice choice
	nodes  []*node // by seed; nil where the arm could not be tuned
	tuning []*node // on tuning seeds, for regrets
}

// trialOf finds an arm.
func trialOf(trials []*trial, arm string) *trial {
	for _, t := range trials {
		if t.arm.Name == arm {
			return t
		}
	}
	return nil
}

// atEnd names the tuned values that are the smallest or the largest of those tried.
func (t *trial) atEnd() string {
	if t == nil {
		return ""
	}
	var ends []string
	for _, key := range sortedKeys(t.choice.values) {
		x := t.choice.values[key]
		var tried []float64
		for _, p := range t.choice.points {
			tried = append(tried, p.Values[key])
		}
		if len(tried) > 0 && slices.Min(tried) < slices.Max(tried) && (x == slices.Min(tried) || x == slices.Max(tried)) {
			ends = append(ends, fmt.Sprintf("%s=%g", key, x))
		}
	}
	return strings.Join(ends, " and ")
}

// lookUp returns a metric of an arm's run with a seed.
func lookUp(s *Study, trials []*trial, seeds []uint64, arm string, seed uint64, metric string) (float64, error) {
	t := trialOf(trials, arm)
	switch {
	case t == nil:
		return 0, fmt.Errorf("%s was given up by the search", arm)
	case t.nodes == nil:
		return 0, fmt.Errorf("%s could not be tuned: %w", arm, t.choice.err)
	}
	n := t.nodes[slices.Index(seeds, seed)]
	x, ok := n.value(*s.metric(metric))
	if !ok && n.err != nil {
		return 0, fmt.Errorf("%s: %w", arm, n.err)
	}
	if !ok {
		return 0, fmt.Errorf("%s has no %s", arm, metric)
	}
	return x, nil
}

// onTuningSeeds are the metrics that tests need of arms on tuning seeds as well: of
// those among which they take the best.
func (s *Study) onTuningSeeds(tests []Test) map[string][]MetricSpec {
	needed := make(map[string][]MetricSpec)
	for _, t := range tests {
		var arms []string
		of := []string{t.Metric}
		switch {
		case t.Regret != nil:
			arms = t.Regret.Among
			if t.Regret.Given != nil {
				of = append(of, t.Regret.Given.Metric)
			}
		case t.Range != nil:
			arms = s.armsOf(t)
		case t.All != nil:
			for name, metrics := range s.onTuningSeeds(t.All) {
				needed[name] = append(needed[name], metrics...)
			}
		}
		for _, name := range arms {
			for _, metric := range of {
				needed[name] = append(needed[name], s.with(*s.metric(metric))...)
			}
		}
	}
	return needed
}

// bestOf is the arm that is best on the tuning seeds, of those that meet a condition. It
// is not known where an arm was not run there, or failed: that one might be the best. Only
// a run that diverged is never the best.
func bestOf(s *Study, trials []*trial, arms []string, metric string, which stats.Better, given *Given) (string, error) {
	var means []float64
	for _, name := range arms {
		mean := math.NaN()
		t := trialOf(trials, name)
		if t != nil && t.choice.err != nil && !errors.Is(t.choice.err, train.ErrDiverged) {
			return "", fmt.Errorf("the best on tuning seeds: %w", t.choice.err)
		}
		if t != nil && t.nodes != nil {
			for _, n := range t.tuning {
				if n.state != finished && !errors.Is(n.err, train.ErrDiverged) {
					return "", fmt.Errorf("the best on tuning seeds: %s of seed %d: %w", name, n.seed, n.err)
				}
			}
			mean = meanOf(t.tuning, *s.metric(metric))
			if given != nil && !(meanOf(t.tuning, *s.metric(given.Metric)) >= given.AtLeast) {
				mean = math.NaN()
			}
		}
		means = append(means, mean)
	}
	i, err := stats.Best(means, which)
	if err != nil {
		return "", fmt.Errorf("the best on tuning seeds: %w", err)
	}
	return arms[i], nil
}
