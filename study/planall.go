package study

import (
	"context"

	"gotune/internal/yamlnode"
)

// A Plan says what several studies will run in one laboratory. A run that studies
// share counts for the first of them.
type Plan struct {
	Studies []Planned // as the studies were given
	Unique  int       // runs, each once
	Tokens  float64   // of these
	Rate    float64   // tokens a second of one run on one thread; 0 if not probed
}

// A Planned study is a part of a plan.
type Planned struct {
	Outline
	New       int     // runs that no study before it has
	NewTokens float64 // of these
	Shared    float64 // tokens of the runs that other studies have too
	Least     float64 // tokens of the smallest run of a test
}

// PlanAll works out what studies will run, in full or in quick runs, and checks the
// models and the data that they name. With a probe a few steps of the first run are done.
func PlanAll(ctx context.Context, studies []*Study, quick, probe bool) (Plan, error) {
	var plan Plan
	all := newPlanner(nil)
	runs := make([]map[string]*node, len(studies))
	users := make(map[string]int)
	for i, s := range studies {
		one, p, err := s.planWith(ctx, all, quick)
		if err != nil {
			return plan, yamlnode.Errorf("study", s.name, err)
		}
		runs[i] = p.nodes
		for _, key := range sortedKeys(p.nodes) {
			size, err := p.sizeOf(ctx, p.nodes[key])
			if err != nil {
				return plan, yamlnode.Errorf("study", s.name, err)
			}
			p.nodes[key].size = size
			if users[key]++; users[key] == 1 {
				one.New++
				one.NewTokens += size.tokens
			}
		}
		if probe && plan.Rate == 0 && one.Tokens > 0 {
			first, err := p.add(ctx, &p.study.Arms[0], nil, p.study.seedsOf(quick)[0], 1, p.study.Metrics)
			if err == nil {
				plan.Rate, err = p.probe(ctx, first)
			}
			if err != nil {
				return plan, yamlnode.Errorf("study", s.name, err)
			}
		}
		plan.Studies = append(plan.Studies, one)
		plan.Unique += one.New
		plan.Tokens += one.NewTokens
	}
	for i, nodes := range runs {
		for key, n := range nodes {
			if users[key] > 1 {
				plan.Studies[i].Shared += n.size.tokens
			}
		}
	}
	return plan, nil
}

// planWith plans a study with the sizes and hashes that a planner knows already.
func (s *Study) planWith(ctx context.Context, all *planner, quick bool) (Planned, *planner, error) {
	if quick {
		s = s.quickly()
	}
	p := newPlanner(s)
	p.hashes, p.sizes = all.hashes, all.sizes
	if s.Kind == NotBuilt || len(s.Arms) == 0 {
		return Planned{}, p, nil
	}
	o, err := p.outline(ctx, quick, false)
	one := Planned{Outline: o}
	for i, a := range o.Arms {
		if i == 0 || a.Tokens < one.Least {
			one.Least = a.Tokens
		}
	}
	return one, p, err
}

// seedsOf are those of the tests.
func (s *Study) seedsOf(quick bool) []uint64 {
	if quick {
		return s.Seeds.Quick
	}
	return s.Seeds.Full
}
