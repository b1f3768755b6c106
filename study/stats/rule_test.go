package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gotune/study/stats"
)

// Five seeds with mean 0 and standard error 1: the 95 % interval reaches 2.776 to each
// side and the 90 % one 2.132 (tables of Student's t with 4 degrees of freedom).
var unit = []float64{-math.Sqrt(5), -math.Sqrt(5), 0, math.Sqrt(5), math.Sqrt(5)}

// around returns five seeds with a mean and a standard error.
func around(mean, se float64) []float64 {
	v := make([]float64, len(unit))
	for i, u := range unit {
		v[i] = mean + se*u
	}
	return v
}

func TestAnIntervalIsThatOfTheTables(t *testing.T) {
	e := effect(t, around(10, 1)...)
	near(t, "standard error", e.SE(), 1, 1e-12)
	low, high := e.Interval(0.95)
	near(t, "low", low, 10-2.776, 1e-4)
	near(t, "high", high, 10+2.776, 1e-4)
	low, high = e.Interval(0.90)
	near(t, "low", low, 10-2.132, 1e-4)
	near(t, "high", high, 10+2.132, 1e-4)
}

func TestARuleDecidesByItsIntervals(t *testing.T) {
	const (
		yes  = stats.Supported
		no   = stats.Contradicted
		open = stats.Inconclusive
	)
	exponent := func(c float64, excludes ...float64) stats.Rule {
		return stats.Rule{Expect: stats.Contains, Contains: c, Excludes: excludes}
	}
	for _, c := range []struct {
		name string
		rule stats.Rule
		mean float64 // with standard error 1: ±2.776 at 95 %, ±2.132 at 90 %
		want stats.Outcome
	}{
		{"interval above 0, estimate above the margin", stats.Rule{Expect: stats.Above, Margin: 2}, 2.8, yes},
		{"interval reaches 0", stats.Rule{Expect: stats.Above, Margin: 2}, 2.7, open},
		{"interval above 0, estimate under the margin", stats.Rule{Expect: stats.Above, Margin: 3}, 2.8, open},
		{"estimate at the margin", stats.Rule{Expect: stats.Above, Margin: 3}, 3, yes},
		{"interval below the margin, and above 0", stats.Rule{Expect: stats.Above, Margin: 6}, 3.1, no},
		{"interval below the margin", stats.Rule{Expect: stats.Above, Margin: 2}, -0.8, no},
		{"interval reaches the margin", stats.Rule{Expect: stats.Above, Margin: 2}, -0.7, open},
		{"no margin", stats.Rule{Expect: stats.Above}, -2.8, no},
		{"below", stats.Rule{Expect: stats.Below, Margin: 2}, -2.8, yes},
		{"below, seen above", stats.Rule{Expect: stats.Below, Margin: 2}, 0.8, no},
		{"below, not clear", stats.Rule{Expect: stats.Below, Margin: 2}, -1, open},

		{"moved up", stats.Rule{Expect: stats.Different, Margin: 1}, 2.8, yes},
		{"moved down", stats.Rule{Expect: stats.Different, Margin: 1}, -2.8, yes},
		{"moved by less than the margin", stats.Rule{Expect: stats.Different, Margin: 3}, 2.8, open},
		{"did not move by the margin", stats.Rule{Expect: stats.Different, Margin: 3}, 0.2, no},

		{"90 % interval inside the margin, 95 % not", stats.Rule{Expect: stats.Equal, Margin: 2.2}, 0, yes},
		{"90 % interval not inside", stats.Rule{Expect: stats.Equal, Margin: 2.2}, 0.1, open},
		{"95 % interval outside", stats.Rule{Expect: stats.Equal, Margin: 2.2}, 5, no},
		{"95 % interval outside, below", stats.Rule{Expect: stats.Equal, Margin: 2.2}, -5, no},
		{"90 % interval outside, 95 % not", stats.Rule{Expect: stats.Equal, Margin: 2.2}, 4.9, open},

		{"not inferior", stats.Rule{Expect: stats.NotBelow, Margin: 2}, 0.8, yes},
		{"perhaps inferior", stats.Rule{Expect: stats.NotBelow, Margin: 2}, 0.7, open},
		{"inferior", stats.Rule{Expect: stats.NotBelow, Margin: 2}, -4.8, no},
		{"not above", stats.Rule{Expect: stats.NotAbove, Margin: 2}, -0.8, yes},
		{"perhaps above", stats.Rule{Expect: stats.NotAbove, Margin: 2}, 0, open},
		{"clearly above", stats.Rule{Expect: stats.NotAbove, Margin: 2}, 4.8, no},

		{"holds the value and no other", exponent(5, 0, 10), 5.5, yes},
		{"holds another value too", exponent(5, 0, 10), 7.3, open},
		{"misses the value", exponent(5, 0, 10), 7.8, no},
		{"misses every value", exponent(5, 0, 10), 50, no},
		{"nothing to exclude", exponent(5), 5, open},
		{"not a rule", stats.Rule{Expect: "faster"}, 5, open},
	} {
		t.Run(string(c.rule.Expect)+"/"+c.name, func(t *testing.T) {
			d := c.rule.Decide(effect(t, around(c.mean, 1)...))
			if d.Outcome != c.want {
				t.Errorf("mean %v, error 1: %v, want %v", c.mean, d.Outcome, c.want)
			}
			if d.Outcome == stats.Supported && d.P >= stats.Level {
				t.Errorf("supported with P = %v", d.P)
			}
		})
	}
}

func TestSeedsThatAgreeAndTooFewHaveAnswers(t *testing.T) {
	rules := map[string]stats.Rule{
		"above":     {Expect: stats.Above, Margin: 0.05},
		"different": {Expect: stats.Different},
		"equal":     {Expect: stats.Equal, Margin: 0.05},
		"not-below": {Expect: stats.NotBelow, Margin: 0.05},
		"contains":  {Expect: stats.Contains, Contains: 0.5, Excludes: []float64{0, 1}},
	}
	for _, c := range []struct {
		rule   string
		values []float64
		want   stats.Decision
	}{
		{"above", []float64{0.1, 0.1, 0.1}, stats.Decision{Outcome: stats.Supported, P: 0}},
		{"above", []float64{0.85 - 0.80, 0.85 - 0.80}, stats.Decision{Outcome: stats.Supported, P: 0}}, // 0.04999…
		{"above", []float64{0, 0, 0}, stats.Decision{Outcome: stats.Contradicted, P: 1}},
		{"above", []float64{-1, -1}, stats.Decision{Outcome: stats.Contradicted, P: 1}},
		{"different", []float64{0, 0}, stats.Decision{Outcome: stats.Inconclusive, P: 1}},
		{"different", []float64{-0.1, -0.1}, stats.Decision{Outcome: stats.Supported, P: 0}},
		{"equal", []float64{0, 0}, stats.Decision{Outcome: stats.Supported, P: 0}},
		{"equal", []float64{0.05, 0.05}, stats.Decision{Outcome: stats.Inconclusive, P: 1}},
		{"equal", []float64{0.1, 0.1}, stats.Decision{Outcome: stats.Contradicted, P: 1}},
		{"not-below", []float64{0, 0}, stats.Decision{Outcome: stats.Supported, P: 0}},
		{"contains", []float64{0.5, 0.5}, stats.Decision{Outcome: stats.Supported, P: 0}},
		{"contains", []float64{0.4, 0.4}, stats.Decision{Outcome: stats.Contradicted, P: 0}},
		{"contains", []float64{1, 1}, stats.Decision{Outcome: stats.Contradicted, P: 1}},
	} {
		if got := rules[c.rule].Decide(effect(t, c.values...)); got != c.want {
			t.Errorf("%s of %v: %+v, want %+v", c.rule, c.values, got, c.want)
		}
	}
	for name, rule := range rules {
		for _, values := range [][]float64{nil, {0}, {0.5}, {7}} {
			e := effect(t, values...)
			if got, want := rule.Decide(e), (stats.Decision{Outcome: stats.Inconclusive, P: 1}); got != want {
				t.Errorf("%s of %v: %+v, want %+v", name, values, got, want)
			}
			low, high := e.Interval(0.95)
			if !math.IsInf(low, -1) || !math.IsInf(high, 1) || e.Known() || e.DF() != 0 {
				t.Errorf("%v: %v to %v, known %v with %v degrees of freedom", values, low, high, e.Known(), e.DF())
			}
		}
	}
	same := effect(t, 0.1, 0.1, 0.1) // whose sum over 3 is not 0.1
	if low, high := same.Interval(0.95); low != 0.1 || high != 0.1 || same.SE() != 0 {
		t.Errorf("three times 0.1: %v to %v, error %v", low, high, same.SE())
	}
}

func TestRunsThatDivergedAreErrors(t *testing.T) {
	for want, values := range map[string][]float64{
		"value 2 of 3 is NaN":                             {1, math.NaN(), 2},
		"value 1 of 1 is +Inf":                            {math.Inf(1)},
		"values up to 1e+200 are too large to be squared": {-1e200, 1e200},
	} {
		if _, err := stats.Of(values); err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %q", values, err, want)
		}
	}
}

// Whatever the numbers: arms the other way round turn supported into contradicted, the
// mirrored rule says of the mirrored numbers what the rule says of the numbers, and
// supported goes with a P under the level.
func TestSwappedArmsContradictWhatWasSupported(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	mirror := map[stats.Expect]stats.Expect{
		stats.Above: stats.Below, stats.Below: stats.Above, stats.NotBelow: stats.NotAbove, stats.NotAbove: stats.NotBelow,
		stats.Different: stats.Different, stats.Equal: stats.Equal,
	}
	seen := map[stats.Expect]map[stats.Outcome]int{}
	for range 1500 {
		values, swapped := make([]float64, 2+random.IntN(6)), []float64{}
		mean := 2 * random.NormFloat64()
		for i := range values {
			values[i] = mean + random.NormFloat64()
			swapped = append(swapped, -values[i])
		}
		margin := math.Max(0, 2*random.Float64()-0.5)
		for expect, mirrored := range mirror {
			rule := stats.Rule{Expect: expect, Margin: margin}
			got := rule.Decide(effect(t, values...))
			if seen[expect] == nil {
				seen[expect] = map[stats.Outcome]int{}
			}
			seen[expect][got.Outcome]++
			if other := (stats.Rule{Expect: mirrored, Margin: margin}).Decide(effect(t, swapped...)); other != got {
				t.Fatalf("%+v of %v: %+v; mirrored %+v", rule, values, got, other)
			}
			if got.Outcome == stats.Supported && got.P >= stats.Level {
				t.Fatalf("%+v of %v: supported with P = %v", rule, values, got.P)
			}
			directional := expect == stats.Above || expect == stats.Below
			if back := rule.Decide(effect(t, swapped...)); directional && got.Outcome == stats.Supported && back.Outcome != stats.Contradicted {
				t.Fatalf("%+v of %v is supported, and with arms swapped %v", rule, values, back.Outcome)
			}
		}
	}
	for expect := range mirror {
		for _, o := range []stats.Outcome{stats.Supported, stats.Contradicted, stats.Inconclusive} {
			if seen[expect][o] < 20 {
				t.Errorf("%s came out %s in %d of 1500 trials: the property was hardly tested", expect, o, seen[expect][o])
			}
		}
	}
}

func TestARuleThatCouldNotComeOutEitherWayIsRefused(t *testing.T) {
	for want, rule := range map[string]stats.Rule{
		`margin -1 of "above": want a number from 0 on`:                                          {Expect: stats.Above, Margin: -1},
		`margin NaN of "different": want a number from 0 on`:                                     {Expect: stats.Different, Margin: math.NaN()},
		`margin 0 of "equal": want a number above 0`:                                             {Expect: stats.Equal},
		`margin +Inf of "not-below": want a number above 0`:                                      {Expect: stats.NotBelow, Margin: math.Inf(1)},
		"contains a value and excludes none: any interval that is wide enough would do":          {Expect: stats.Contains, Contains: 1},
		"1 is to be both contained and excluded":                                                 {Expect: stats.Contains, Contains: 1, Excludes: []float64{0, 1}},
		`expect "faster": want above, below, different, equal, not-below, not-above or contains`: {Expect: "faster"},
	} {
		if err := rule.Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %q", rule, err, want)
		}
	}
	for _, rule := range []stats.Rule{
		{Expect: stats.Above}, {Expect: stats.Below, Margin: 1}, {Expect: stats.Equal, Margin: 1},
		{Expect: stats.Contains, Contains: 0.5, Excludes: []float64{0, 1}},
	} {
		if err := rule.Check(); err != nil {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}

func TestAConjunctionIsAsGoodAsItsWorstPart(t *testing.T) {
	yes := stats.Decision{Outcome: stats.Supported, P: 0.01}
	no := stats.Decision{Outcome: stats.Contradicted, P: 0.9}
	open := stats.Decision{Outcome: stats.Inconclusive, P: 0.2}
	for _, c := range []struct {
		parts []stats.Decision
		want  stats.Decision
	}{
		{[]stats.Decision{yes, {Outcome: stats.Supported, P: 0.03}}, stats.Decision{Outcome: stats.Supported, P: 0.03}},
		{[]stats.Decision{yes, open, yes}, stats.Decision{Outcome: stats.Inconclusive, P: 0.2}},
		{[]stats.Decision{no, open, yes}, stats.Decision{Outcome: stats.Contradicted, P: 0.9}},
		{[]stats.Decision{yes, open, no}, stats.Decision{Outcome: stats.Contradicted, P: 0.9}},
		{nil, stats.Decision{Outcome: stats.Inconclusive, P: 1}},
	} {
		if got := stats.All(c.parts...); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.parts, got, c.want)
		}
	}
}
