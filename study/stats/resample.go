package stats

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// FewestSeeds is how many seeds rank tests and the bootstrap ask for. With five, no
// signed ranks have a two-sided p-value under 0.0625, and 126 resamples are all there are.
const FewestSeeds = 6

// ErrTooFewSeeds is what rank tests and the bootstrap return below [FewestSeeds].
var ErrTooFewSeeds = errors.New("too few seeds")

func enough(values []float64) error {
	if len(values) < FewestSeeds {
		return fmt.Errorf("%w: %d, want %d or more", ErrTooFewSeeds, len(values), FewestSeeds)
	}
	_, err := Of(values)
	return err
}

// SignedRank returns the two-sided p-value of the hypothesis that the values are as
// likely to be x as −x (Wilcoxon 1945). Zeros are left out and equal sizes share their
// mean rank. It is exact, ties or not: of the 2ⁿ ways to give signs to the ranks it
// counts those whose rank sum is as far from the middle as the one seen. 1 if all
// values are 0. The error is [ErrTooFewSeeds] or names a value that is not finite.
func SignedRank(values []float64) (float64, error) {
	if err := enough(values); err != nil {
		return 0, fmt.Errorf("signed ranks: %w", err)
	}
	v := slices.DeleteFunc(slices.Clone(values), func(x float64) bool { return x == 0 })
	slices.SortFunc(v, func(a, b float64) int {
		switch a, b := math.Abs(a), math.Abs(b); {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	})
	// Ranks are doubled, so that shared ones are whole numbers too.
	ranks := make([]int, len(v))
	seen, total := 0, 0
	for i := 0; i < len(v); {
		j := i
		for j < len(v) && math.Abs(v[j]) == math.Abs(v[i]) {
			j++
		}
		for k := i; k < j; k++ {
			ranks[k] = i + 1 + j
			total += ranks[k]
			if v[k] > 0 {
				seen += ranks[k]
			}
		}
		i = j
	}
	// chance[s] is that of the positive ranks' sum being s.
	chance := make([]float64, total+1)
	chance[0] = 1
	for _, r := range ranks {
		for s := total; s >= 0; s-- {
			chance[s] /= 2
			if s >= r {
				chance[s] += chance[s-r] / 2
			}
		}
	}
	tail := math.Abs(float64(seen) - float64(total)/2)
	p := 0.0
	for s, c := range chance {
		if math.Abs(float64(s)-float64(total)/2) >= tail {
			p += c
		}
	}
	return math.Min(1, p), nil
}

// resamples is how many [Bootstrap] draws. The bounds of a 95 % interval then move by
// about a fiftieth of its width from one seed to another.
const resamples = 10000

// Bootstrap returns the bias-corrected and accelerated interval of the mean (Efron
// 1987, "Better bootstrap confidence intervals"), for contrasts that are far from
// normal. The same values, level and seed give the same bounds. The error is
// [ErrTooFewSeeds] or names a value that is not finite.
func Bootstrap(values []float64, level float64, seed uint64) (low, high float64, err error) {
	if err := enough(values); err != nil {
		return 0, 0, fmt.Errorf("bootstrap: %w", err)
	}
	if !(level > 0 && level < 1) {
		return 0, 0, fmt.Errorf("bootstrap: level %v: want one between 0 and 1", level)
	}
	if slices.Min(values) == slices.Max(values) {
		return values[0], values[0], nil
	}
	mean := stat.Mean(values, nil)
	random := rand.New(rand.NewPCG(seed, uint64(len(values))))
	means := make([]float64, resamples)
	below := 0.5 // never 0 nor all, which have no quantile
	for i := range means {
		for range values {
			means[i] += values[random.IntN(len(values))] / float64(len(values))
		}
		switch {
		case means[i] < mean:
			below++
		case means[i] == mean:
			below += 0.5
		}
	}
	slices.Sort(means)

	// z is the bias of the median, a the acceleration from the jackknife, which for a
	// mean is the skewness.
	z := distuv.UnitNormal.Quantile(below / (resamples + 1))
	var squares, cubes float64
	for _, v := range values {
		d := v - mean
		squares += d * d
		cubes += d * d * d
	}
	a := cubes / (6 * math.Pow(squares, 1.5))
	bound := func(p float64) float64 {
		q := z + distuv.UnitNormal.Quantile(p)
		return stat.Quantile(distuv.UnitNormal.CDF(z+q/(1-a*q)), stat.LinInterp, means, nil)
	}
	return bound((1 - level) / 2), bound((1 + level) / 2), nil
}
