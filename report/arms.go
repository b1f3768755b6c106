package report

import (
	"cmp"
	"math"
	"slices"

	"gotune/study"
	"gotune/study/stats"
)

// A sample is what some seeds gave: the metric of an arm, or its difference from
// another arm.
type sample []float64

// A spread is a mean and its 95 % interval by Student's t; of a single seed the
// interval is the value alone.
type spread struct {
	mid, low, high float64
	n              int
}

func (s sample) spread() spread {
	e, err := stats.Of(s)
	switch {
	case err != nil || e.N == 0: // values that cannot be drawn were left out
		return spread{}
	case !e.Known():
		return spread{e.Mean, e.Mean, e.Mean, e.N}
	}
	low, high := e.Interval(0.95)
	return spread{e.Mean, low, high, e.N}
}

// measured returns a metric of an arm by seed, of the runs that have it.
func measured(a study.ArmResult, metric string) map[uint64]float64 {
	by := map[uint64]float64{}
	for _, r := range a.Runs {
		if v, ok := r.Metrics[metric]; ok && math.Abs(v) <= largest {
			by[r.Seed] = v
		}
	}
	return by
}

// sampleOf returns a metric of an arm in the order of its runs.
func sampleOf(a study.ArmResult, metric string) sample {
	by := measured(a, metric)
	var s sample
	for _, r := range a.Runs {
		if v, ok := by[r.Seed]; ok {
			s = append(s, v)
			delete(by, r.Seed)
		}
	}
	return s
}

// A ranked arm is compared with the best one, seed by seed; the best one with the next.
type ranked struct {
	arm    study.ArmResult
	value  spread
	regret spread // how much worse than the best it is; of the best below 0
}

// ranking orders arms by a metric, the best first. It is empty where the metric has no
// better side. The best is picked by the same seeds that it is compared on, so its lead
// is on the bright side of the truth.
func ranking(arms []study.ArmResult, m study.Metric) []ranked {
	sign := map[string]float64{"higher": 1, "lower": -1}[m.Better]
	if sign == 0 {
		return nil
	}
	var all []ranked
	for _, a := range arms {
		if s := sampleOf(a, m.Name); len(s) > 0 {
			all = append(all, ranked{arm: a, value: s.spread()})
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(sign*b.value.mid, sign*a.value.mid) })
	for i := range all {
		to := 0
		if i == 0 {
			if to = 1; len(all) == 1 {
				break
			}
		}
		all[i].regret = paired(all[to].arm, all[i].arm, m.Name, sign)
	}
	return all
}

// paired is the difference a − b of a metric over the seeds that both have.
func paired(a, b study.ArmResult, metric string, sign float64) spread {
	of := measured(b, metric)
	var s sample
	for _, r := range a.Runs {
		v, has := r.Metrics[metric]
		w, both := of[r.Seed]
		if has && both && math.Abs(v) <= largest {
			s = append(s, sign*(v-w))
			delete(of, r.Seed)
		}
	}
	return s.spread()
}

// attributes are the names of the numbers that at least n values of arms tell apart.
func attributes(arms []study.ArmResult, n int) []string {
	values := map[string]map[float64]bool{}
	for _, a := range arms {
		for k, v := range a.Attributes {
			if values[k] == nil {
				values[k] = map[float64]bool{}
			}
			values[k][v] = true
		}
	}
	var names []string
	for k, v := range values {
		if len(v) >= n {
			names = append(names, k)
		}
	}
	// The attribute with most values first: it is the one to look along.
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(values[b]), len(values[a])), cmp.Compare(a, b))
	})
	return names
}
