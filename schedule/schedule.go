// Package schedule gives the learning rate of each optimizer step. A schedule
// is a pure function of the step: nothing is kept between two calls, so a
// resumed run reads the same curve as one never stopped.
//
// For step s = 0…S−1, with W warmup steps, w = max(W, 1), peak p and floor m:
//
//	s < w:  p·(s+1)/w
//	s ≥ w:  m + (p−m)·c(i, n)   with i = s−w+1 and n = S−w
//
// where c is the curve that the schedule is named after, c(0, n) = 1. So the first
// step is not wasted at a rate of 0 and the peak is met at s = w−1. The curves
// that fall to the floor have c(n, n) = 0: they meet it exactly at the last step.
// Constant stays at 1; inverse_sqrt falls as far as the run is long, and where it
// would go below the floor it stays there.
//
// Several stages that share one curve read one Schedule over the steps of all of
// them, by the step counted through the whole run; a stage with a peak of its own
// reads another that differs in nothing else.
//
// Differs from transformers' get_cosine_schedule_with_warmup and its kin, which
// start at 0 and end one step before the floor: the rate of step s here is theirs
// of step s+1 with max(W, 1) warmup steps.
package schedule

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Config says which curve to follow and between which rates. The warmup is given
// in one of three ways, or not at all.
type Config struct {
	Name string // of the curve; Names lists them

	Steps         int     // S, the optimizer steps of the run; at least 1
	StepsPerEpoch int     // needed for WarmupEpochs alone
	WarmupSteps   int     // W; at most S
	WarmupRatio   float64 // W = ceil(WarmupRatio·S); from 0 to 1
	WarmupEpochs  float64 // W = ceil(WarmupEpochs·StepsPerEpoch)

	Peak     float64 // p, the largest rate
	MinRatio float64 // m/p, from 0 to 1. Constant never falls, so there it has no effect

	Cycles     int     // cosine_with_restarts: number of falls from peak to floor, at least 1
	DecaySteps int     // wsd: steps of the fall at the end
	DecayRatio float64 // wsd: the same as a share of S, rounded up, where DecaySteps is 0
	DecayType  string  // wsd: shape of the fall; DecayTypes lists them
	Timescale  float64 // inverse_sqrt: steps after the peak until the rate is p/√2; 0 is W, or 10000 without warmup
	Power      float64 // polynomial: 1 is a straight line; above 0
}

// A curve gives the share of the way from floor to peak that is left after
// decay step i of n, 1 ≤ i ≤ n. It has the whole Config, for curves with
// settings of their own.
type curve func(c Config, i, n int) float64

// A kind is a curve with the check of the settings that it alone reads, for n
// decay steps. Curves without such settings have none.
type kind struct {
	curve curve
	check func(c Config, n int) error
}

// curves is the registry: a new schedule is a new file and a line here.
var curves = map[string]kind{
	"constant":             {curve: constant},
	"cosine":               {curve: cosine},
	"cosine_with_restarts": {restarts, checkRestarts},
	"inverse_sqrt":         {inverseSqrt, checkInverseSqrt},
	"linear":               {curve: linear},
	"polynomial":           {polynomial, checkPolynomial},
	"wsd":                  {wsd, checkWSD},
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
	k, ok := curves[c.Name]
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
	if k.check != nil {
		if err := k.check(c, c.Steps-max(warmup, 1)); err != nil {
			return nil, err
		}
	}
	return &Schedule{config: c, curve: k.curve, warmup: warmup}, nil
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
	case !(c.WarmupEpochs >= 0) || math.IsInf(c.WarmupEpochs, 1):
		return fmt.Errorf("warmup of %v epochs: it must be a number that is not negative", c.WarmupEpochs)
	case c.WarmupEpochs > 0 && (c.WarmupSteps > 0 || c.WarmupRatio > 0):
		return fmt.Errorf("warmup is given twice, as %v epochs and as steps or a ratio: give one", c.WarmupEpochs)
	case c.WarmupEpochs > 0 && c.StepsPerEpoch < 1:
		return fmt.Errorf("warmup of %v epochs: the number of steps of an epoch is not known; give it in steps or as a ratio", c.WarmupEpochs)
	}
	return nil
}

// warmup returns W.
func (c Config) warmup() int {
	switch {
	case c.WarmupSteps > 0:
		return c.WarmupSteps
	case c.WarmupEpochs > 0:
		return share(c.WarmupEpochs, c.StepsPerEpoch)
	}
	return share(c.WarmupRatio, c.Steps)
}

// share returns ratio·of, rounded up. A ratio means the decimal number that was
// written: 0.07 of 100 steps are 7, although the nearest float64 is a little above
// 0.07 and the product a little above 7. Differs from transformers, which takes 8.
func share(ratio float64, of int) int {
	exact := ratio * float64(of)
	if near := math.Round(exact); math.Abs(exact-near) <= 4*0x1p-53*exact {
		exact = near
	}
	return int(min(math.Ceil(exact), math.MaxInt32))
}

// Steps returns S.
func (s *Schedule) Steps() int { return s.config.Steps }

// WarmupSteps returns W, worked out from the ratio or the epochs where they were given.
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
