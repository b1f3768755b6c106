package stats_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gotune/study/stats"
)

// refused fails unless err says want.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want an error with %q", err, want)
	}
}

func TestEqualArmsHaveNoEffectToTheBit(t *testing.T) {
	for _, c := range []struct {
		name            string
		weights, values []float64
		want            float64
	}{
		{"difference", []float64{1, -1}, []float64{0.75, 0.5}, 0.25},
		{"interaction", []float64{1, -1, -1, 1}, []float64{4, 2, 1, 3}, 4},
		{"rounding alone", []float64{1, -1, -1, 1}, []float64{0.7, 0.1, 0.7, 0.1}, 0}, // −2.8e-17 in floats
		{"small, and no rounding", []float64{1, -1}, []float64{1 + 0x1p-40, 1}, 0x1p-40},
	} {
		if got, err := stats.Weighted(c.weights, c.values); err != nil || got != c.want {
			t.Errorf("%s: %v and %v, want %v", c.name, got, err, c.want)
		}
	}
	_, err := stats.Weighted([]float64{1, -1}, []float64{1})
	refused(t, err, "2 weights for 1 arms")
}

func TestATrendTakesOnlyAttributesThatDifferAndLieOnTheScale(t *testing.T) {
	w, err := stats.Trend([]float64{2, 4, 8}, math.Log2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{-0.5, 0, 0.5} {
		near(t, "weight", w[i], want, 1e-15)
	}
	_, err = stats.Trend([]float64{1, 0}, math.Log2)
	refused(t, err, "attribute 0 of arm 2 is not on the scale")
	_, err = stats.Trend([]float64{3, 3, 3}, stats.Linear)
	refused(t, err, "no two of 3 arms differ")
	_, err = stats.Trend(nil, stats.Linear)
	refused(t, err, "no two of 0 arms differ")
}

func TestALogRatioIsOfPositiveMeasures(t *testing.T) {
	got, err := stats.LogRatio(30, 20)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "30 to 20", got, math.Log(1.5), 1e-15)
	for _, c := range [][2]float64{{0, 1}, {1, 0}, {-1, 1}, {math.NaN(), 1}, {math.Inf(1), 1}} {
		_, err := stats.LogRatio(c[0], c[1])
		refused(t, err, "have to be above 0")
	}
}

func TestAPeakLiesBesideTheBestPoint(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	// −(log2 rate − 1)² at 1, 2, 4: the vertex is at 2 to the bit of the logarithms.
	for _, c := range []struct {
		name          string
		rates, values []float64
		better        stats.Better
		at, value     float64
		edge          bool
	}{
		{"parabola in the logarithm", []float64{1, 2, 4}, []float64{-1, 0, -1}, stats.Higher, 2, 0, false},
		{"between points", []float64{1, 2, 4, 8}, []float64{-2.25, -0.25, -0.25, -2.25}, stats.Higher, math.Pow(2, 1.5), 0, false},
		{"in any order", []float64{4, 1, 2}, []float64{-1, -1, 0}, stats.Higher, 2, 0, false},
		{"uneven grid", []float64{1, 2, 16}, []float64{1, 0, 9}, stats.Lower, 2, 0, false},
		{"first", []float64{1, 2, 4}, []float64{3, 2, 1}, stats.Higher, 1, 3, true},
		{"last", []float64{1, 2, 4}, []float64{3, 2, 1}, stats.Lower, 4, 1, true},
		{"first and second alike", []float64{1, 2, 4}, []float64{3, 3, 1}, stats.Higher, math.Sqrt2, 3.25, false},
		{"level", []float64{1, 2, 4}, []float64{3, 3, 3}, stats.Higher, 2, 3, false},
		{"beside one that diverged", []float64{1, 2, 4}, []float64{3, 1, nan}, stats.Lower, 2, 1, false},
		{"beside one without bound", []float64{1, 2, 4}, []float64{inf, 1, 2}, stats.Lower, 2, 1, false},
		{"two points", []float64{1, 2}, []float64{3, 1}, stats.Lower, 2, 1, true},
		{"one point", []float64{1}, []float64{3}, stats.Lower, 1, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := stats.Peak(c.rates, c.values, c.better)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "rate", got.At, c.at, 1e-12)
			near(t, "value", got.Value, c.value, 1e-12)
			if got.Edge != c.edge {
				t.Errorf("edge %v, want %v", got.Edge, c.edge)
			}
		})
	}
	for want, c := range map[string]struct{ rates, values []float64 }{
		"2 rates and 1 values":        {[]float64{1, 2}, []float64{1}},
		"rate 0 has no logarithm":     {[]float64{0, 2}, []float64{1, 2}},
		"rate 2 is there twice":       {[]float64{2, 1, 2}, []float64{1, 2, 3}},
		"none of 2 values is finite":  {[]float64{1, 2}, []float64{nan, inf}},
		"none of 0 values is finite":  {},
		"rate +Inf has no logarithm":  {[]float64{inf}, []float64{1}},
		"peak: rate NaN has no logar": {[]float64{nan}, []float64{1}},
	} {
		_, err := stats.Peak(c.rates, c.values, stats.Lower)
		refused(t, err, want)
	}
}

func TestAnExponentIsThatOfAPowerLaw(t *testing.T) {
	got, err := stats.Exponent([]float64{8, 32, 128}, []float64{1e-3, 2e-3, 4e-3})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the square root", got, 0.5, 1e-12)
	if got, err := stats.Exponent([]float64{8, 32, 128}, []float64{1e-3, 1e-3, 1e-3}); got != 0 || err != nil {
		t.Errorf("an optimum that stays: %v and %v", got, err)
	}
	_, err = stats.Exponent([]float64{8, 32}, []float64{1e-3, 0})
	refused(t, err, "optimum 0 has no logarithm")
	_, err = stats.Exponent([]float64{8, 32}, []float64{1e-3})
	refused(t, err, "2 weights for 1 arms")
	_, err = stats.Exponent([]float64{8, 8}, []float64{1e-3, 1e-3})
	refused(t, err, "exponent: trend: no two of 2 arms differ")
}

func TestRegretIsAgainstTheBestOfTheTuningSeeds(t *testing.T) {
	losses := []float64{2.1, math.NaN(), 1.9, 1.9}
	best, err := stats.Best(losses, stats.Lower)
	if err != nil || best != 2 {
		t.Errorf("best of %v: %d and %v", losses, best, err)
	}
	if got := stats.Regret(2.5, 2, stats.Lower); got != 0.5 {
		t.Errorf("a loss of 2.5 where 2 is to be had: regret %v", got)
	}
	if got := stats.Regret(0.75, 0.5, stats.Higher); got != -0.25 {
		t.Errorf("a share of 0.75 against 0.5: regret %v", got)
	}
	_, err = stats.Best(nil, stats.Higher)
	refused(t, err, "none of 0 values")
}

func TestCensoredTimesAreRestrictedToAHorizonThatAllReach(t *testing.T) {
	for _, c := range []struct {
		time     float64
		censored bool
		want     float64
	}{{40, false, 40}, {120, false, 100}, {100, true, 100}, {150, true, 100}} {
		if got, err := stats.Restrict(c.time, c.censored, 100); err != nil || got != c.want {
			t.Errorf("%v, censored %v: %v and %v, want %v", c.time, c.censored, got, err, c.want)
		}
	}
	_, err := stats.Restrict(90, true, 100)
	refused(t, err, "ended at 90, before 100")
	_, err = stats.Restrict(math.NaN(), false, 100)
	refused(t, err, "NaN")

	// Where all runs go on to the horizon, the area is the mean of restricted times.
	got, err := stats.RestrictedMean([]float64{40, 100, 70, 100}, []bool{false, true, false, true}, 100)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean", got, (40+100+70+100)/4.0, 1e-12)
	_, err = stats.RestrictedMean([]float64{40, 90}, []bool{false, true}, 100)
	refused(t, err, "the last run ended at 90 without the event, before 100")
	_, err = stats.RestrictedMean([]float64{-1}, []bool{false}, 100)
	refused(t, err, "time -1")
	_, err = stats.RestrictedMean(nil, nil, 100)
	refused(t, err, "0 times")
}

func TestRanksAndBootstrapAskForSixSeeds(t *testing.T) {
	five := []float64{1, 2, 3, 4, 5}
	if _, err := stats.SignedRank(five); !errors.Is(err, stats.ErrTooFewSeeds) {
		t.Errorf("signed ranks of five: %v", err)
	}
	if _, _, err := stats.Bootstrap(five, 0.95, 1); !errors.Is(err, stats.ErrTooFewSeeds) {
		t.Errorf("bootstrap of five: %v", err)
	}
	if p, err := stats.SignedRank(make([]float64, 6)); p != 1 || err != nil {
		t.Errorf("six zeros: %v and %v", p, err)
	}
	if low, high, err := stats.Bootstrap([]float64{2, 2, 2, 2, 2, 2}, 0.95, 1); low != 2 || high != 2 || err != nil {
		t.Errorf("six twos: %v to %v and %v", low, high, err)
	}
	six := []float64{1, 2, 3, 4, 5, 60}
	a, b, err := stats.Bootstrap(six, 0.9, 5)
	if err != nil {
		t.Fatal(err)
	}
	if c, d, _ := stats.Bootstrap(six, 0.9, 5); a != c || b != d {
		t.Errorf("the same seed gave %v to %v and %v to %v", a, b, c, d)
	}
	if c, d, _ := stats.Bootstrap(six, 0.9, 6); a == c && b == d {
		t.Error("another seed gave the same bounds")
	}
	_, _, err = stats.Bootstrap(six, 95, 1)
	refused(t, err, "level 95: want one between 0 and 1")
	six[2] = math.NaN()
	_, err = stats.SignedRank(six)
	refused(t, err, "value 3 of 6 is NaN")
}

func TestAdjustmentTakesWhatIsNoProbabilityForOne(t *testing.T) {
	for i, want := range []float64{0.03, 1, 1} {
		p := []float64{0.01, math.NaN(), 7}
		near(t, "Holm", stats.Holm(p)[i], want, 1e-15)
		near(t, "Benjamini–Hochberg", stats.BenjaminiHochberg(p)[i], want, 1e-15)
	}
	if len(stats.Holm(nil)) != 0 || len(stats.BenjaminiHochberg(nil)) != 0 {
		t.Error("none became some")
	}
}
