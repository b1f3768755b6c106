package study

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/study/stats"
)

// A table holds a metric of every arm and seed, and what contrasts need besides.
type table struct {
	study      *Study
	seeds      []uint64
	attributes map[string]map[string]float64 // of arms
	value      func(arm string, seed uint64, metric string) (float64, error)
	censored   func(arm string, seed uint64, metric string) bool                                            // the threshold was not met
	chosen     func(arm string) string                                                                      // tuned values of an arm that are the first or last of those tried; "" without
	best       func(arms []string, metric string, which stats.Better, given *Given) (arm string, err error) // by tuning seeds
}

// values returns the contrast of each seed for which all its arms have the metric, and
// why it is missing for the first of the others.
func (b table) values(t Test) (values []float64, missing error) {
	for _, seed := range b.seeds {
		x, err := b.contrast(t, seed)
		if err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
			err = fmt.Errorf("the contrast is %g", x)
		}
		if err != nil {
			if missing == nil {
				missing = fmt.Errorf("seed %d: %w", seed, err)
			}
			continue
		}
		values = append(values, x)
	}
	return values, missing
}

// contrast makes one number of a seed.
func (b table) contrast(t Test, seed uint64) (float64, error) {
	arms := b.study.armsOf(t)
	values := make([]float64, len(arms))
	for i, arm := range arms {
		var err error
		if values[i], err = b.value(arm, seed, t.Metric); err != nil {
			return 0, err
		}
	}
	if err := b.restrict(arms, values, seed, t.Metric); err != nil {
		return 0, err
	}
	of := func(arm string) float64 { return values[slices.Index(arms, arm)] }
	which := stats.Better(b.study.metric(t.Metric).Better)
	switch {
	case t.Difference != nil:
		return stats.Weighted([]float64{1, -1}, values)
	case t.Ratio != nil:
		return stats.LogRatio(values[0], values[1])
	case t.Weights != nil:
		weights := make([]float64, len(arms))
		for i, arm := range arms {
			weights[i] = t.Weights[arm]
		}
		return stats.Weighted(weights, values)
	case t.Trend != nil:
		weights, err := stats.Trend(b.of(arms, t.Trend.Over), scales[t.Trend.Scale])
		if err != nil {
			return 0, err
		}
		return stats.Weighted(weights, values)
	case t.Exponent != nil:
		at, optima, err := b.optima(*t.Exponent, arms, values, which)
		if err != nil {
			return 0, err
		}
		rates := make([]float64, len(optima))
		for i, o := range optima {
			rates[i] = o.At
		}
		return stats.Exponent(at, rates)
	case t.Regret != nil:
		best, err := b.best(t.Regret.Among, t.Metric, which, t.Regret.Given)
		if err != nil {
			return 0, err
		}
		return stats.Regret(of(t.Regret.Arm), of(best), which), nil
	case t.Range != nil:
		return b.rangeOf(t, arms, values, which)
	}
	return values[0], nil
}

// restrict cuts the times to an event of a seed's arms at a horizon that all of them
// lived to see: the shortest time of those that ended without the event.
func (b table) restrict(arms []string, values []float64, seed uint64, metric string) error {
	until := math.Inf(1)
	censored := make([]bool, len(arms))
	for i, arm := range arms {
		if censored[i] = b.censored != nil && b.censored(arm, seed, metric); censored[i] {
			until = math.Min(until, values[i])
		}
	}
	for i, arm := range arms {
		var err error
		if values[i], err = stats.Restrict(values[i], censored[i], until); err != nil {
			return fmt.Errorf("%s: %w", arm, err)
		}
	}
	return nil
}

// unmet counts the runs behind a test, and those that did not meet the threshold that
// its metric is the time to.
func (b table) unmet(t Test) (unmet, all int) {
	for _, arm := range b.study.armsOf(t) {
		for _, seed := range b.seeds {
			if all++; b.censored(arm, seed, t.Metric) {
				unmet++
			}
		}
	}
	return unmet, all
}

// of returns an attribute of arms.
func (b table) of(arms []string, key string) []float64 {
	all := make([]float64, len(arms))
	for i, arm := range arms {
		all[i] = b.attributes[arm][key]
	}
	return all
}

// rangeOf is how much worse the worst arm is than the best, or the slope of that.
func (b table) rangeOf(t Test, arms []string, values []float64, which stats.Better) (float64, error) {
	overs := make([]float64, len(arms))
	if t.Range.Over != "" {
		overs = b.of(arms, t.Range.Over)
	}
	worse := stats.Lower
	if which == stats.Lower {
		worse = stats.Higher
	}
	var at, ranges []float64
	for _, over := range slices.Compact(slices.Sorted(slices.Values(overs))) {
		var group []string
		for i, arm := range arms {
			if overs[i] == over {
				group = append(group, arm)
			}
		}
		best, err := b.best(group, t.Metric, which, nil)
		if err != nil {
			return 0, err
		}
		worst, err := b.best(group, t.Metric, worse, nil)
		if err != nil {
			return 0, err
		}
		at = append(at, over)
		ranges = append(ranges, stats.Regret(values[slices.Index(arms, worst)], values[slices.Index(arms, best)], which))
	}
	if t.Range.Over == "" {
		return ranges[0], nil
	}
	weights, err := stats.Trend(at, scales[t.Range.Scale])
	if err != nil {
		return 0, err
	}
	return stats.Weighted(weights, ranges)
}

// scales are those of attributes.
var scales = map[string]func(float64) float64{"linear": stats.Linear, "log2": math.Log2, "log": math.Log}

// optima are the best values of a key for each value of another, whose slope in
// logarithms is the exponent.
func (b table) optima(e Exponent, arms []string, values []float64, which stats.Better) (at []float64, optima []stats.Optimum, err error) {
	rates, overs := b.of(arms, e.Of), b.of(arms, e.Over)
	for _, over := range slices.Compact(slices.Sorted(slices.Values(overs))) {
		var x, y []float64
		for i := range arms {
			if overs[i] == over {
				x, y = append(x, rates[i]), append(y, values[i])
			}
		}
		peak, err := stats.Peak(x, y, which)
		if err != nil {
			return nil, nil, err
		}
		at, optima = append(at, over), append(optima, peak)
	}
	return at, optima, nil
}

// edges counts the best values behind an exponent, and those of them that lie at an end
// of what was tried.
func (b table) edges(t Test) (edges, all int) {
	arms := b.study.armsOf(t)
	values := make([]float64, len(arms))
seeds:
	for _, seed := range b.seeds {
		for i, arm := range arms {
			var err error
			if values[i], err = b.value(arm, seed, t.Metric); err != nil {
				continue seeds
			}
		}
		_, optima, err := b.optima(*t.Exponent, arms, values, stats.Better(b.study.metric(t.Metric).Better))
		if err != nil {
			continue
		}
		for _, o := range optima {
			if all++; o.Edge {
				edges++
			}
		}
	}
	return edges, all
}

// words says a contrast in words.
func (s *Study) words(t Test) string {
	switch {
	case t.All != nil:
		return fmt.Sprintf("all of %d tests", len(t.All))
	case t.Difference != nil:
		return t.Difference[0] + " − " + t.Difference[1]
	case t.Ratio != nil:
		return fmt.Sprintf("ln(%s / %s)", t.Ratio[0], t.Ratio[1])
	case t.Weights != nil:
		return sum(s.order(t.Weights), t.Weights)
	case t.Trend != nil:
		over := t.Trend.Over
		if t.Trend.Scale != "linear" {
			over = t.Trend.Scale + " " + over
		}
		return fmt.Sprintf("slope over %s of %s", over, strings.Join(s.armsOf(t), ", "))
	case t.Exponent != nil:
		return fmt.Sprintf("b in best %s ∝ %s^b", t.Exponent.Of, t.Exponent.Over)
	case t.Regret != nil:
		text := fmt.Sprintf("regret of %s against the best of %s", t.Regret.Arm, strings.Join(t.Regret.Among, ", "))
		if g := t.Regret.Given; g != nil {
			text += fmt.Sprintf(" whose %s is %g or more", g.Metric, g.AtLeast)
		}
		return text
	case t.Range != nil && t.Range.Over != "":
		return fmt.Sprintf("slope over %s %s of worst − best of %s", t.Range.Scale, t.Range.Over, strings.Join(s.armsOf(t), ", "))
	case t.Range != nil:
		return fmt.Sprintf("worst − best of %s", strings.Join(s.armsOf(t), ", "))
	}
	return t.Level
}

// order lists weighted arms as the study has them, those that are added first.
func (s *Study) order(weights map[string]float64) []string {
	var plus, minus []string
	for _, a := range s.Arms {
		if weights[a.Name] > 0 {
			plus = append(plus, a.Name)
		} else if weights[a.Name] < 0 {
			minus = append(minus, a.Name)
		}
	}
	return append(plus, minus...)
}
