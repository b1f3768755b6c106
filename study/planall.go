package study

import (
	"context"
	"runtime"
	"sync"

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
// models and the data that they name, several studies at a time. With a probe a few steps
// of the first run are done.
func PlanAll(ctx context.Context, studies []*Study, known *Known, quick, probe bool) (Plan, error) {
	planned, planners, errs := make([]Planned, len(studies)), make([]*planner, len(studies)), make([]error, len(studies))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				if errs[i] = ctx.Err(); errs[i] == nil {
					planned[i], planners[i], errs[i] = studies[i].planWith(ctx, known, quick)
				}
			}
		})
	}
	for i := range studies {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return Plan{}, yamlnode.Errorf("study", studies[i].name, err)
		}
	}
	plan := Plan{Studies: planned}
	plan.share(planners)
	if !probe {
		return plan, nil
	}
	for i, p := range planners {
		if planned[i].Tokens == 0 {
			continue
		}
		first, err := p.add(ctx, &p.study.Arms[0], nil, p.study.TestSeeds(quick)[0], 1, p.study.Metrics)
		if err == nil {
			plan.Rate, err = p.probe(ctx, first)
		}
		if err != nil {
			return plan, yamlnode.Errorf("study", studies[i].name, err)
		}
		break
	}
	return plan, nil
}

// share counts the runs that studies have in common.
func (plan *Plan) share(planners []*planner) {
	users := make(map[string]int)
	for i, p := range planners {
		one := &plan.Studies[i]
		for key, n := range p.nodes {
			if users[key]++; users[key] == 1 {
				one.New++
				one.NewTokens += n.size.tokens
			}
		}
		plan.Unique += one.New
		plan.Tokens += one.NewTokens
	}
	for i, p := range planners {
		for key, n := range p.nodes {
			if users[key] > 1 {
				plan.Studies[i].Shared += n.size.tokens
			}
		}
	}
}

// planWith plans a study, with what is known already.
func (s *Study) planWith(ctx context.Context, known *Known, quick bool) (Planned, *planner, error) {
	if quick {
		s = s.quickly()
	}
	p := newPlanner(s, known)
	if s.Kind == NotBuilt || len(s.Arms) == 0 {
		return Planned{}, p, nil
	}
	o, err := p.outline(ctx, quick, false)
	if err != nil {
		return Planned{}, p, err
	}
	one := Planned{Outline: o}
	for i, a := range o.Arms {
		if i == 0 || a.Tokens < one.Least {
			one.Least = a.Tokens
		}
	}
	return one, p, nil
}

// TestSeeds are the seeds of the tests, in full or in a quick run.
func (s *Study) TestSeeds(quick bool) []uint64 {
	if quick {
		return s.Seeds.Quick
	}
	return s.Seeds.Full
}
