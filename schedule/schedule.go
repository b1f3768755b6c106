// Package schedule gives the learning rate of each optimizer step. A schedule
// is a pure function of the step: nothing is kept between two calls, so a
// resumed run reads the same curve as one never stopped.
//
// For step s = 0…S−1, with W warmup steps, w = max(W, 1), peak p and floor m:
//
//	s < w:  p·(s+1)/w
//	s ≥ w:  m + (p−m)·c(i, n)   with i = s−w+1 and n = S−w
//
// where c is the curve that the schedule is named after; it falls from c(0, n) = 1
// to c(n, n) = 0, except constant, which stays at 1. So the first step is not wasted at a rate of 0, the peak is
// met at s = w−1, and the floor exactly at the last step.
//
// Differs from transformers' get_cosine_schedule_with_warmup and its kin, which
// start at 0 and end one step before the floor.
package schedule

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Config says which curve to follow and between which rates.
type Config struct {
	Name string // of the curve: constant, linear or cosine

	Steps       int     // S, the optimizer steps of the run; at least 1
	WarmupSteps int     // W; at most S
	WarmupRatio float64 // W = ceil(WarmupRatio·S); from 0 to 1, and 0 where WarmupSteps is set

	Peak     float64 // p, the largest rate
	MinRatio float64 // m/p, from 0 to 1. Constant never falls, so there it has no effect
}

// A curve gives the share of the way from floor to peak that is left after
// decay step i of n, 1 ≤ i ≤ n. It has the whole Config, for curves with
// settings of their own.
type curve func(c Config, i, n int) float64

// curves is the registry: a new schedule is a new file and a line here.
var curves = map[string]curve{
	"constant": constant,
	"cosine":   cosine,
	"linear":   linear,
}

// Names returns the names of all curves, sorted.
func Names() []string { return slices.Sorted(maps.Keys(curves)) }

// A Schedule is a learning-rate curve over a known number of steps.
type Schedule struct {
	config Config
	curve  curve
	warmup int
}

// New checks c and returns its schedule.
func New(c Config) (*Schedule, error) {
	f, ok := curves[c.Name]
	if !ok {
		return nil, fmt.Errorf("unknown schedule %q: there are %s", c.Name, strings.Join(Names(), ", "))
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	warmup := c.warmup()
	if warmup > c.Steps {
		return nil, fmt.Errorf("warmup of %d steps is longer than the run of %d", warmup, c.Steps)
	}
	return &Schedule{config: c, curve: f, warmup: warmup}, nil
}

// check reports the first setting that makes no sense by itself. Each test is
// written so that NaN fails it.
func (c Config) check() error {
	switch {
	case c.Steps < 1:
		return fmt.Errorf("a schedule over %d steps: there must be at least one", c.Steps)
	case !(c.Peak >= 0) || math.IsInf(c.Peak, 1):
		return fmt.Errorf("learning rate %v: it must be a number that is not negative", c.Peak)
	case !(c.MinRatio >= 0 && c.MinRatio <= 1):
		return fmt.Errorf("minimum learning rate %v of the peak: the ratio must lie between 0 and 1, so that the floor is not above the peak", c.MinRatio)
	case !(c.WarmupRatio >= 0 && c.WarmupRatio <= 1):
		return fmt.Errorf("warmup ratio %v: it must lie between 0 and 1", c.WarmupRatio)
	case c.WarmupSteps < 0:
		return fmt.Errorf("warmup of %d steps: it must not be negative", c.WarmupSteps)
	case c.WarmupSteps > 0 && c.WarmupRatio > 0:
		return fmt.Errorf("warmup is given twice, as %d steps and as a ratio of %v: give one", c.WarmupSteps, c.WarmupRatio)
	}
	return nil
}

// warmup returns W. A ratio means the decimal number that was written: 0.07 of
// 100 steps are 7, although the nearest float64 is a little above 0.07 and the
// product a little above 7. Differs from transformers, which takes 8.
func (c Config) warmup() int {
	if c.WarmupSteps > 0 {
		return c.WarmupSteps
	}
	exact := c.WarmupRatio * float64(c.Steps)
	if near := math.Round(exact); math.Abs(exact-near) <= 4*0x1p-53*exact {
		return int(near)
	}
	return int(math.Ceil(exact))
}

// Steps returns S.
func (s *Schedule) Steps() int { return s.config.Steps }

// WarmupSteps returns W, worked out from the ratio where one was given.
func (s *Schedule) WarmupSteps() int { return s.warmup }

// Rate returns the learning rate of a step, counted from 0. Steps outside
// 0…S−1 have the rate of the nearest step inside.
func (s *Schedule) Rate(step int) float64 {
	c := s.config
	step = min(max(step, 0), c.Steps-1)
	w := max(s.warmup, 1)
	if step < w {
		return c.Peak * (float64(step+1) / float64(w))
	}
	// m + (p−m)·c, written so that c = 1 gives p and c = 0 gives m exactly. Each
	// product is rounded by itself: no target fuses it into the sum, and the
	// rates are the same bits everywhere.
	left := s.curve(c, step-w+1, c.Steps-w)
	return float64(c.Peak*left) + float64(c.MinRatio*c.Peak*(1-left))
}
