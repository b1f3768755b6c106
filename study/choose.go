package study

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/study/stats"
	"gotune/train"
)

// A candidate is what a search chooses from: an arm with values of its tuned keys.
type candidate struct {
	arm    *Arm
	values map[string]float64
	runs   []*node // on tuning seeds, of the last rung
	score  float64 // mean of the metric over these; NaN where one failed
}

func (c *candidate) name() string {
	var parts []string
	for _, key := range sortedKeys(c.values) {
		parts = append(parts, fmt.Sprintf("%s=%g", key, c.values[key]))
	}
	if len(parts) == 0 {
		return c.arm.Name
	}
	return c.arm.Name + " with " + strings.Join(parts, ", ")
}

// choice is what a search has chosen for an arm.
type choice struct {
	values map[string]float64
	points []SearchPoint
	err    error // no value could be tried
}

// tune runs what the arms choose from, on tuning seeds, and chooses.
func (l *lab) tune(ctx context.Context, arms []*Arm) (map[string]choice, []Dropped, error) {
	s := l.study
	m := s.metric(s.TuneBy)
	groups := make(map[string][]*candidate)
	var order []string
	for _, a := range arms {
		own := s.arm(a.Tuned)
		if own == nil || groups[own.Name] != nil {
			continue
		}
		for _, values := range s.tried(own) {
			groups[own.Name] = append(groups[own.Name], &candidate{arm: own, values: values})
		}
		if groups[own.Name] != nil {
			order = append(order, own.Name)
		}
	}
	if len(order) == 0 {
		return nil, nil, nil
	}
	chosen := make(map[string]choice)
	searched := make(map[string][]SearchPoint)
	dropped, err := l.race(ctx, groups, order, 1, *m, func(c *candidate) {
		searched[c.arm.Name] = append(searched[c.arm.Name], c.point())
	})
	if err != nil {
		return nil, dropped, err
	}
	for _, name := range order {
		best := groups[name][0]
		if math.IsNaN(best.score) {
			err := best.failure()
			if err == nil {
				err = errors.New("nothing is known of its values")
			}
			chosen[name] = choice{err: fmt.Errorf("tuning %s: no value could be tried: %w", name, err)}
			continue
		}
		chosen[name] = choice{values: best.values, points: searched[name]}
		l.tell("chosen", nil, best.name())
	}
	return chosen, dropped, nil
}

func (c *candidate) point() SearchPoint {
	p := SearchPoint{Values: c.values, Metric: c.score}
	for _, n := range c.runs {
		p.Runs = append(p.Runs, runsName+"/"+n.key)
	}
	return p
}

// failure is the error of the first run that failed.
func (c *candidate) failure() error {
	for _, n := range c.runs {
		if n.err != nil {
			return n.err
		}
	}
	return nil
}

// race runs the candidates of several groups and leaves so many of each, the best
// first. Without a search all are run in full; with one by successive halving (Jamieson
// & Talwalkar 2016): in each rung the worse half of a group is given up, and the rungs
// are runs of a share of the steps with a full schedule in them. Each is told with what
// it was judged by when it is given up, or at the end.
func (l *lab) race(ctx context.Context, groups map[string][]*candidate, order []string, leave int, m MetricSpec, told func(*candidate)) (dropped []Dropped, err error) {
	most := 0
	for _, g := range groups {
		most = max(most, len(g))
	}
	shares := []float64{1}
	if l.Search {
		for n := (most + 1) / 2; n > leave && len(shares) < 4; n = (n + 1) / 2 {
			shares = append([]float64{shares[0] / 2}, shares...)
		}
	}
	for rung, share := range shares {
		if err := l.rung(ctx, groups, order, share, m); err != nil {
			return dropped, err
		}
		last := rung == len(shares)-1
		for _, name := range order {
			g := groups[name]
			slices.SortStableFunc(g, func(a, b *candidate) int { return better(a.score, b.score, m.Better) })
			keep := max(leave, (len(g)+1)/2)
			if last {
				keep = leave
			}
			keep = min(keep, len(g))
			for _, c := range g {
				if last || slices.Index(g, c) >= keep {
					if !math.IsNaN(c.score) {
						told(c)
					}
				}
			}
			if l.Search {
				for _, c := range g[keep:] {
					d := Dropped{Name: c.name(), Rung: rung + 1, Metric: c.score, Reason: fmt.Sprintf("in the worse half by %s after %g of the steps", m.Name, share)}
					if math.IsNaN(c.score) {
						d.Metric, d.Reason = 0, fmt.Sprint("a run failed: ", c.failure())
					}
					dropped = append(dropped, d)
					l.tell("dropped", nil, d.Name+": "+d.Reason)
				}
			}
			groups[name] = g[:keep]
		}
	}
	return dropped, nil
}

// rung runs all candidates on the tuning seeds with a share of the steps.
func (l *lab) rung(ctx context.Context, groups map[string][]*candidate, order []string, share float64, m MetricSpec) error {
	var nodes []*node
	for _, name := range order {
		for _, c := range groups[name] {
			c.runs = nil
			for _, seed := range l.study.Seeds.Tuning {
				n, err := l.add(ctx, c.arm, c.values, seed, share, l.study.with(m))
				if err != nil {
					return err
				}
				c.runs = append(c.runs, n)
			}
			nodes = append(nodes, c.runs...)
		}
	}
	if err := l.do(ctx, nodes); err != nil {
		return err
	}
	for _, name := range order {
		for _, c := range groups[name] {
			c.score = meanOf(c.runs, m)
		}
	}
	return nil
}

// meanOf is the mean of a metric over runs, NaN where one has none.
func meanOf(runs []*node, m MetricSpec) float64 {
	sum := 0.0
	for _, n := range runs {
		x, ok := n.value(m)
		if !ok {
			return math.NaN()
		}
		sum += x
	}
	return sum / float64(len(runs))
}

// value returns a metric of a run.
func (n *node) value(m MetricSpec) (float64, bool) {
	if v, ok := n.values[m.Name]; ok && n.state == finished {
		return v.Value, true
	}
	if n.state == failed && m.Diverged != nil && errors.Is(n.err, train.ErrDiverged) {
		return *m.Diverged, true
	}
	return 0, false
}

// better orders two values, the better one first and NaN last.
func better(a, b float64, which string) int {
	switch {
	case math.IsNaN(a) && math.IsNaN(b), a == b:
		return 0
	case math.IsNaN(b), !math.IsNaN(a) && (a > b) == (stats.Better(which) == stats.Higher):
		return -1
	}
	return 1
}
