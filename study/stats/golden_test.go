package stats_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"gotune/study/stats"
)

//go:embed testdata/golden.json
var goldenJSON []byte

// What SciPy and statsmodels say, see testdata/golden.py.
type golden struct {
	Effects []struct {
		Values                        []float64
		Margin                        float64
		Interval90                    [2]float64 `json:"interval0.90"`
		Interval95                    [2]float64 `json:"interval0.95"`
		Interval99                    [2]float64 `json:"interval0.99"`
		Different, Above, Below, TOST float64
	}
	Powers []struct {
		Seeds         int
		Effect, Power float64
	}
	EqualPowers []struct {
		Seeds                     int
		Effect, SD, Margin, Power float64
	} `json:"equal_powers"`
	Seeds []struct {
		Effect float64
		Needs  int
	}
	Adjusted []struct{ P, Holm, BH []float64 }
	Trends   []struct {
		X, Y                   []float64
		Linear, Log2, Exponent float64
	}
	Peaks []struct {
		Rates, Values []float64
		At, Value     float64
	}
	Ranks []struct {
		Values []float64
		P      float64
	}
	Bootstraps []struct {
		Values    []float64
		Low, High float64
	}
	Survivals []struct {
		Times    []float64
		Censored []bool
		Until    float64
		Mean     float64
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	if err := json.Unmarshal(goldenJSON, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// near fails unless got is want to a relative tolerance (absolute near 0).
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Max(1e-3, math.Abs(want))) {
		t.Errorf("%s: %.12g, want %.12g", what, got, want)
	}
}

func effect(t *testing.T, values ...float64) stats.Effect {
	t.Helper()
	e, err := stats.Of(values)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEffectsAreSciPys(t *testing.T) {
	for _, c := range readGolden(t).Effects {
		t.Run(fmt.Sprintf("%d seeds, margin %v", len(c.Values), c.Margin), func(t *testing.T) {
			e := effect(t, c.Values...)
			for level, want := range map[float64][2]float64{0.90: c.Interval90, 0.95: c.Interval95, 0.99: c.Interval99} {
				low, high := e.Interval(level)
				near(t, fmt.Sprintf("low end at %v", level), low, want[0], 1e-9)
				near(t, fmt.Sprintf("high end at %v", level), high, want[1], 1e-9)
			}
			near(t, "different from 0", e.PDifferent(0), c.Different, 1e-9)
			near(t, "above the margin", e.PAbove(c.Margin), c.Above, 1e-9)
			near(t, "below the margin", e.PBelow(c.Margin), c.Below, 1e-9)
			rule := stats.Rule{Expect: stats.Equal, Margin: c.Margin}
			near(t, "two one-sided tests", rule.Decide(e).P, c.TOST, 1e-9)
		})
	}
}

func TestPowersAreThoseOfTheNoncentralTAndOfTwoOneSidedTests(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Powers {
		got, _ := stats.Rule{Expect: stats.Above}.Power(c.Seeds, c.Effect, 1)
		near(t, fmt.Sprintf("%d seeds, effect %v", c.Seeds, c.Effect), got, c.Power, 1e-9)
		mirrored, _ := stats.Rule{Expect: stats.Below}.Power(c.Seeds, -3*c.Effect, 3)
		near(t, "the same below, in other units", mirrored, got, 1e-9)
	}
	for _, c := range g.EqualPowers {
		got, _ := stats.Rule{Expect: stats.Equal, Margin: c.Margin}.Power(c.Seeds, c.Effect, c.SD)
		near(t, fmt.Sprintf("equal with %d seeds, effect %v, deviation %v", c.Seeds, c.Effect, c.SD), got, c.Power, 1e-5)
	}
	for _, c := range g.Seeds {
		if got := (stats.Rule{Expect: stats.Above}).Needs(c.Effect, 1, stats.Power); got != c.Needs {
			t.Errorf("an effect of %v deviations needs %d seeds, want %d", c.Effect, got, c.Needs)
		}
	}
}

func TestAdjustedPValuesAreStatsmodels(t *testing.T) {
	for _, c := range readGolden(t).Adjusted {
		given := slices.Clone(c.P)
		holm, bh := stats.Holm(c.P), stats.BenjaminiHochberg(c.P)
		for i := range c.P {
			near(t, fmt.Sprintf("Holm %d of %v", i, c.P), holm[i], c.Holm[i], 1e-12)
			near(t, fmt.Sprintf("Benjamini–Hochberg %d of %v", i, c.P), bh[i], c.BH[i], 1e-12)
		}
		if !slices.Equal(c.P, given) {
			t.Errorf("%v became %v", given, c.P)
		}
	}
}

func TestTrendsAndPeaksAreThoseOfLeastSquares(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Trends {
		for _, s := range []struct {
			name  string
			scale func(float64) float64
			want  float64
		}{{"linear", stats.Linear, c.Linear}, {"log2", math.Log2, c.Log2}, {"log", math.Log, c.Exponent}} {
			w, err := stats.Trend(c.X, s.scale)
			if err != nil {
				t.Fatal(err)
			}
			got, err := stats.Weighted(w, c.Y)
			if err != nil {
				t.Fatal(err)
			}
			near(t, s.name, got, s.want, 1e-12)
		}
	}
	for _, c := range g.Peaks {
		got, err := stats.Peak(c.Rates, c.Values, stats.Lower)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "rate", got.At, c.At, 1e-9)
		near(t, "value", got.Value, c.Value, 1e-9)
		if got.Edge {
			t.Errorf("%v: the optimum is inside", c.Rates)
		}
	}
}

func TestSignedRanksAndBootstrapAreSciPys(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Ranks {
		got, err := stats.SignedRank(c.Values)
		if err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprintf("signed ranks of %v", c.Values), got, c.P, 1e-12)
	}
	for _, c := range g.Bootstraps {
		low, high, err := stats.Bootstrap(c.Values, 0.95, 1)
		if err != nil {
			t.Fatal(err)
		}
		// Both draw: 10,000 resamples here and 400,000 there.
		if off := math.Max(math.Abs(low-c.Low), math.Abs(high-c.High)) / (c.High - c.Low); off > 0.03 {
			t.Errorf("bootstrap of %d values: %v to %v, want %v to %v", len(c.Values), low, high, c.Low, c.High)
		}
	}
}

func TestRestrictedMeansAreAreasOfKaplanAndMeier(t *testing.T) {
	for _, c := range readGolden(t).Survivals {
		got, err := stats.RestrictedMean(c.Times, c.Censored, c.Until)
		if err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprint(c.Times), got, c.Mean, 1e-12)
	}
}
