// Package stats holds the statistics of studies: pure functions on numbers, one for
// each seed. It knows nothing of runs, arms or files.
//
// # Contrasts
//
// The arms of a seed see the same data in the same order, so everything is paired. A
// contrast turns what the arms of one seed measured into one number: [Weighted] (a
// difference, an interaction, and with [Trend]'s weights the least-squares slope over
// an attribute), [LogRatio] (times, steps, bytes), [Exponent] over the optima that
// [Peak] finds, [Regret], and [Restrict] for times that a run did not live to see.
//
// # Effects
//
// The n numbers x of a contrast, one a seed, make an [Effect]:
//
//	mean  m = Σx/n          deviation  s² = Σ(x−m)²/(n−1)          error  e = s/√n
//
// The interval of level 1−α is m ± t·e, where t is the 1−α/2 quantile of Student's t
// with n−1 degrees of freedom, and (m−b)/e has that distribution if the true effect is
// b (Student 1908). This supposes that the numbers of the seeds are independent and
// about normal.
//
// # Decisions
//
// A [Rule] says beforehand which means, given the error, support a claim and which
// contradict it. With the 95 % interval [l, h], the 90 % interval [l', h'] and the
// margin d ≥ 0:
//
//	expect      supported                      contradicted                   null hypothesis of P
//	above       l > 0 and m ≥ d                h < d                          effect ≤ 0
//	below       h < 0 and m ≤ −d               l > −d                         effect ≥ 0
//	different   0 not in [l, h] and |m| ≥ d    −d < l and h < d               effect = 0
//	equal       −d < l' and h' < d             l > d or h < −d                |effect| ≥ d
//	not-below   l > −d                         h < −d                         effect ≤ −d
//	not-above   h < d                          l > d                          effect ≥ d
//	contains    c in [l, h], no e of the       c not in [l, h]                effect is one of
//	            excluded in [l, h]                                            the excluded
//
// and inconclusive otherwise. Equality is by two one-sided tests (Schuirmann 1987,
// "A comparison of the two one-sided tests procedure and the power approach"), of
// which the larger p counts. A claim with a direction is tested at both sides' level:
// its P is twice the one-sided p (at most 1), so that for every rule P < 0.05 says the
// same as its interval, and one [Holm] or [BenjaminiHochberg] takes them all.
//
// # Power
//
// Given the true effect δ and deviation σ, s/σ = r has the density of √(χ²/ν), ν = n−1,
// and is independent of m (Fisher 1925), so the chance that a rule's answer comes out is
//
//	∫ P(m in its region | e = σr/√n) · f(r) dr,   f(r) = 2(ν/2)^(ν/2)/Γ(ν/2) · r^(ν−1) · e^(−νr²/2)
//
// which [Rule.Power] integrates. For above with margin 0 it is the power of the t test
// by the noncentral t distribution, for equal that of two one-sided tests by Owen's Q.
package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// An Effect is the mean of a contrast over seeds and what is known of its error.
type Effect struct {
	N    int     // seeds
	Mean float64 // 0 of none
	SD   float64 // between seeds, with N−1 in its denominator; 0 of fewer than two
}

// Of returns the effect that the values of the seeds show. The error names the first
// value that is not a finite number: a run that diverged has no mean to speak of.
func Of(values []float64) (Effect, error) {
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Effect{}, fmt.Errorf("value %d of %d is %v", i+1, len(values), v)
		}
	}
	switch {
	case len(values) == 0:
		return Effect{}, nil
	case slices.Min(values) == slices.Max(values): // rounding would make a deviation of its own
		return Effect{N: len(values), Mean: values[0]}, nil
	}
	e := Effect{N: len(values)}
	e.Mean, e.SD = stat.MeanStdDev(values, nil)
	if math.IsInf(e.Mean, 0) || math.IsNaN(e.SD) || math.IsInf(e.SD, 0) {
		return Effect{}, fmt.Errorf("values up to %v are too large to be squared", slices.Max(values))
	}
	return e, nil
}

// Known says whether there are enough seeds for an interval: two. Below that every
// interval is the whole line, which encoding/json does not write.
func (e Effect) Known() bool { return e.N >= 2 }

// DF returns the degrees of freedom, N−1, or 0.
func (e Effect) DF() float64 { return float64(max(e.N-1, 0)) }

// SE returns the standard error of the mean, +Inf where it is not [Effect.Known].
func (e Effect) SE() float64 {
	if !e.Known() {
		return math.Inf(1)
	}
	return e.SD / math.Sqrt(float64(e.N))
}

// Interval returns the bounds of the two-sided confidence interval of a level from 0
// to 1, such as 0.95. It is a point where the seeds agree to the bit, and the whole
// line, −Inf to +Inf, where the effect is not [Effect.Known].
func (e Effect) Interval(level float64) (low, high float64) {
	h := halfWidth(e.SE(), e.N, level)
	return e.Mean - h, e.Mean + h
}

// halfWidth returns how far the interval of a level reaches to each side of the mean
// of n seeds.
func halfWidth(se float64, n int, level float64) float64 {
	switch {
	case n < 2:
		return math.Inf(1)
	case se == 0:
		return 0
	}
	return se * quantile(n, level)
}

// quantile returns the t that an interval of a level reaches to, in standard errors.
func quantile(n int, level float64) float64 {
	level = math.Max(0, math.Min(level, 1))
	return -distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}.Quantile((1 - level) / 2)
}

// PDifferent returns the two-sided p-value of the hypothesis that the true effect is
// bound. Where the seeds agree to the bit it is 1 at the bound and 0 elsewhere; where
// the effect is not [Effect.Known] it is 1.
func (e Effect) PDifferent(bound float64) float64 {
	return math.Min(1, 2*math.Min(e.PAbove(bound), e.PBelow(bound)))
}

// PAbove returns the one-sided p-value of the hypothesis that the true effect is at or
// below bound: it is small if the effect is above. Where the seeds agree to the bit it
// is 0 or 1; where the effect is not [Effect.Known] it is 1.
func (e Effect) PAbove(bound float64) float64 {
	switch {
	case !e.Known():
		return 1
	case e.SD == 0 && e.Mean > bound:
		return 0
	case e.SD == 0:
		return 1
	}
	return distuv.StudentsT{Sigma: 1, Nu: e.DF()}.Survival((e.Mean - bound) / e.SE())
}

// PBelow is [Effect.PAbove] for the hypothesis that the true effect is at or above bound.
func (e Effect) PBelow(bound float64) float64 {
	return Effect{N: e.N, Mean: -e.Mean, SD: e.SD}.PAbove(-bound)
}
