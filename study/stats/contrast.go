package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Better says which values of a metric are the better ones.
type Better string

// A metric is better the higher or the lower it is.
const (
	Higher Better = "higher"
	Lower  Better = "lower"
)

// sign returns what values are multiplied by for the higher to be the better one.
func (b Better) sign() float64 {
	if b == Lower {
		return -1
	}
	return 1
}

// Weighted returns Σ weights[i]·values[i] of the arms of one seed: 1 and −1 make a
// difference, 1, −1, −1 and 1 an interaction, [Trend]'s weights a slope. A sum that is
// nothing but the rounding of its terms is 0, so that equal arms have no effect.
func Weighted(weights, values []float64) (float64, error) {
	if len(weights) != len(values) {
		return 0, fmt.Errorf("%d weights for %d arms", len(weights), len(values))
	}
	var sum, size float64
	for i, w := range weights {
		sum += w * values[i]
		size += math.Abs(w * values[i])
	}
	if math.Abs(sum) <= 1e-14*size {
		return 0, nil
	}
	return sum, nil
}

// Linear is the scale of an attribute as it is, beside math.Log2 and math.Log.
func Linear(x float64) float64 { return x }

// Trend returns the weights by which [Weighted] gives the least-squares slope of a
// metric over an attribute of the arms on a scale ([Linear], math.Log2 or math.Log):
// with u = scale(x),
//
//	w[i] = (u[i] − ū) / Σ (u[j] − ū)²
//
// On math.Log2 the slope is the effect of doubling the attribute. At least two arms
// have to differ in the attribute.
func Trend(attribute []float64, scale func(float64) float64) ([]float64, error) {
	w := make([]float64, len(attribute))
	var mean float64
	for i, x := range attribute {
		w[i] = scale(x)
		if math.IsNaN(w[i]) || math.IsInf(w[i], 0) {
			return nil, fmt.Errorf("trend: attribute %v of arm %d is not on the scale", x, i+1)
		}
		mean += w[i] / float64(len(w))
	}
	if len(w) < 2 || slices.Min(w) == slices.Max(w) {
		return nil, fmt.Errorf("trend: no two of %d arms differ in the attribute", len(w))
	}
	var squares float64
	for i := range w {
		w[i] -= mean
		squares += w[i] * w[i]
	}
	for i := range w {
		w[i] /= squares
	}
	return w, nil
}

// LogRatio returns ln(a/b) of two positive measures such as times, steps or bytes. A
// margin of 10 % is ln 1.1 here.
func LogRatio(a, b float64) (float64, error) {
	if !(a > 0 && b > 0) || math.IsInf(a, 0) || math.IsInf(b, 0) {
		return 0, fmt.Errorf("log ratio of %v and %v: both have to be above 0", a, b)
	}
	return math.Log(a) - math.Log(b), nil
}

// Best returns the index of the best value, the first of equals. Values that are not
// finite, as of runs that diverged, are never the best; the error says that all are.
func Best(values []float64, better Better) (int, error) {
	best := -1
	for i, v := range values {
		if finite(v) && (best < 0 || better.sign()*v > better.sign()*values[best]) {
			best = i
		}
	}
	if best < 0 {
		return 0, fmt.Errorf("none of %d values is finite", len(values))
	}
	return best, nil
}

// Regret returns by how much chosen is worse than best, in one seed; it is negative
// where it is better. The best arm is to be picked by [Best] from means over tuning
// seeds: picked from the seed itself it would be the luckiest one, and the regret too
// high for every choice.
func Regret(chosen, best float64, better Better) float64 {
	return better.sign() * (best - chosen)
}

// An Optimum is where a metric is best over a grid of rates.
type Optimum struct {
	At    float64 // the rate
	Value float64 // of the metric there
	Edge  bool    // the best is the first or last of the grid: the optimum may lie beyond
}

// Peak returns the optimum of a metric over a grid of positive rates in any order: the
// vertex of the parabola over the logarithm of the rate through the best point and its
// two neighbours, which lies between them. At the edge of the grid it is the edge
// itself. Beside a run that diverged (a value that is not finite) there is no parabola,
// and it is the point itself. Of equally good points one inside the grid is taken.
func Peak(rates, values []float64, better Better) (Optimum, error) {
	if len(rates) != len(values) {
		return Optimum{}, fmt.Errorf("peak: %d rates and %d values", len(rates), len(values))
	}
	order := make([]int, len(rates))
	for i, r := range rates {
		if !(r > 0) || math.IsInf(r, 0) {
			return Optimum{}, fmt.Errorf("peak: rate %v has no logarithm", r)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if rates[a] < rates[b] {
			return -1
		}
		return 1
	})
	var x, y []float64
	for i, o := range order {
		if i > 0 && rates[o] == rates[order[i-1]] {
			return Optimum{}, fmt.Errorf("peak: rate %v is there twice", rates[o])
		}
		x, y = append(x, math.Log(rates[o])), append(y, better.sign()*values[o])
	}
	best, err := Best(y, Higher)
	if err != nil {
		return Optimum{}, fmt.Errorf("peak: %w", err)
	}
	if best == 0 && len(y) > 2 && y[1] == y[0] {
		best = 1
	}
	o := Optimum{At: rates[order[best]], Value: values[order[best]]}
	if best == 0 || best == len(x)-1 {
		o.Edge = true
		return o, nil
	}
	if at, value, ok := vertex(x[best-1:best+2], y[best-1:best+2]); ok {
		o.At, o.Value = math.Exp(at), better.sign()*value
	}
	return o, nil
}

// vertex returns that of the parabola through three points, in Newton's form. There is
// none if a point is not finite or all are level.
func vertex(x, y []float64) (at, value float64, ok bool) {
	left, right := (y[1]-y[0])/(x[1]-x[0]), (y[2]-y[1])/(x[2]-x[1])
	bend := (right - left) / (x[2] - x[0])
	if bend == 0 || !finite(bend) {
		return 0, 0, false
	}
	at = (x[0]+x[1])/2 - left/(2*bend)
	return at, y[0] + left*(at-x[0]) + bend*(at-x[0])*(at-x[1]), true
}

// Exponent returns the k of optimum ∝ attribute^k in one seed: the least-squares slope
// of the logarithm of the optimum (of [Peak]) over that of the attribute.
func Exponent(attribute, optima []float64) (float64, error) {
	w, err := Trend(attribute, math.Log)
	if err != nil {
		return 0, fmt.Errorf("exponent: %w", err)
	}
	logs := make([]float64, len(optima))
	for i, o := range optima {
		if !(o > 0) || math.IsInf(o, 0) {
			return 0, fmt.Errorf("exponent: optimum %v has no logarithm", o)
		}
		logs[i] = math.Log(o)
	}
	return Weighted(w, logs)
}

// Restrict returns min(time, until) of one run: the time to an event, restricted to a
// horizon that all arms share. A censored time is how long a run went on without the
// event; one that ended before the horizon is an error. The mean of restricted times
// is the restricted mean, so they make contrasts like any other number.
func Restrict(time float64, censored bool, until float64) (float64, error) {
	if censored && time < until {
		return 0, fmt.Errorf("a run without the event ended at %v, before %v", time, until)
	}
	if math.IsNaN(time) {
		return 0, errors.New("a time is NaN")
	}
	return math.Min(time, until), nil
}

// RestrictedMean returns the mean time to an event up to a horizon, of runs some of
// which ended before it: the area under the estimate of the survival function by
// Kaplan and Meier (1958) from 0 to until. Censored times are as in [Restrict]; a time
// at which one run has the event and another ends counts the latter as still at risk.
// It is an error if the runs that are left all end before the horizon without it.
func RestrictedMean(times []float64, censored []bool, until float64) (float64, error) {
	if len(times) != len(censored) || len(times) == 0 {
		return 0, fmt.Errorf("restricted mean: %d times and %d marks of censoring", len(times), len(censored))
	}
	order := make([]int, len(times))
	for i, t := range times {
		if !(t >= 0) {
			return 0, fmt.Errorf("restricted mean: time %v", t)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case times[a] != times[b]:
			if times[a] < times[b] {
				return -1
			}
			return 1
		case censored[a] == censored[b]:
			return 0
		case censored[b]:
			return -1
		}
		return 1
	})
	var area, since float64
	alive := 1.0
	for i, o := range order {
		if times[o] >= until {
			break
		}
		if !censored[o] {
			area += alive * (times[o] - since)
			since = times[o]
			atRisk := float64(len(order) - i)
			alive *= (atRisk - 1) / atRisk
		}
	}
	last := order[len(order)-1]
	if censored[last] && times[last] < until {
		return 0, fmt.Errorf("restricted mean: the last run ended at %v without the event, before %v", times[last], until)
	}
	return area + alive*(until-since), nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
