package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gotune/study/stats"
)

const trials = 4000

// rates returns how often a rule supports and contradicts, of trials studies whose
// seeds draw gives.
func rates(t *testing.T, rule stats.Rule, seeds int, draw func(*rand.Rand) float64) (supported, contradicted float64) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(seeds), 7))
	values := make([]float64, seeds)
	for range trials {
		for i := range values {
			values[i] = draw(random)
		}
		switch rule.Decide(effect(t, values...)).Outcome {
		case stats.Supported:
			supported += 1.0 / trials
		case stats.Contradicted:
			contradicted += 1.0 / trials
		}
	}
	return supported, contradicted
}

// chance returns four deviations of a binomial share around p: a right program fails
// once in 16,000 comparisons, were the draws not fixed.
func chance(p float64) float64 { return 4*math.Sqrt(p*(1-p)/trials) + 1e-9 }

// Two arms of one distribution differ by noise alone.
func TestArmsOfOneDistributionAreFalselySupportedAtTheNominalRate(t *testing.T) {
	twoArms := func(r *rand.Rand) float64 { return r.NormFloat64() - r.NormFloat64() }
	for _, seeds := range []int{2, 3, 6, 10} {
		for _, c := range []struct {
			rule    stats.Rule
			nominal float64
			shift   float64 // to the end of the null hypothesis
		}{
			{stats.Rule{Expect: stats.Above}, 0.025, 0},
			{stats.Rule{Expect: stats.Below}, 0.025, 0},
			{stats.Rule{Expect: stats.Different}, 0.05, 0},
			{stats.Rule{Expect: stats.NotBelow, Margin: 1}, 0.025, -1},
			{stats.Rule{Expect: stats.NotAbove, Margin: 1}, 0.025, 1},
			{stats.Rule{Expect: stats.Equal, Margin: 30}, 0.05, 30},
		} {
			t.Run(fmt.Sprintf("%s with %d seeds", c.rule.Expect, seeds), func(t *testing.T) {
				got, _ := rates(t, c.rule, seeds, func(r *rand.Rand) float64 { return c.shift + twoArms(r) })
				// With two seeds ±30 is too narrow for two one-sided tests to use their whole level.
				atMost := c.rule.Expect == stats.Equal && seeds == 2
				if got > c.nominal+chance(c.nominal) || !atMost && got < c.nominal-chance(c.nominal) {
					t.Errorf("false supported in %.4f of %d studies, want %v ± %.4f", got, trials, c.nominal, chance(c.nominal))
				}
			})
		}
	}
}

// Shares of 60 questions, as exact match is, are not normal, and a margin makes false
// support rarer: the rate stays at or under the nominal one.
func TestSharesOfQuestionsAreFalselySupportedNoMoreThanNominally(t *testing.T) {
	score := func(r *rand.Rand) (share float64) {
		for range 60 {
			if r.Float64() < 0.9 {
				share += 1.0 / 60
			}
		}
		return share
	}
	for _, seeds := range []int{3, 6} {
		for _, margin := range []float64{0, 0.05} {
			got, _ := rates(t, stats.Rule{Expect: stats.Above, Margin: margin}, seeds, func(r *rand.Rand) float64 { return score(r) - score(r) })
			if got > 0.025+chance(0.025) {
				t.Errorf("%d seeds, margin %v: false supported in %.4f of %d studies", seeds, margin, got, trials)
			}
		}
	}
}

// An effect that is really there is found as often as Power says, by every rule.
func TestAPlantedEffectIsFoundAtItsPower(t *testing.T) {
	for _, c := range []struct {
		rule       stats.Rule
		seeds      int
		effect, sd float64
	}{
		{stats.Rule{Expect: stats.Above}, 6, 1.2, 1},
		{stats.Rule{Expect: stats.Above, Margin: 0.05}, 5, 0.08, 0.04},
		{stats.Rule{Expect: stats.Above, Margin: 0.05}, 8, 0, 0.04}, // contradicts
		{stats.Rule{Expect: stats.Below, Margin: 1}, 4, -1.3, 0.7},
		{stats.Rule{Expect: stats.Different, Margin: 0.5}, 6, 0.6, 0.8},
		{stats.Rule{Expect: stats.Different, Margin: 2}, 6, 0.3, 1},
		{stats.Rule{Expect: stats.Equal, Margin: 1}, 6, 0.2, 0.8},
		{stats.Rule{Expect: stats.Equal, Margin: 1}, 6, 1.8, 0.6},
		{stats.Rule{Expect: stats.NotBelow, Margin: 1}, 6, 0, 0.8},
		{stats.Rule{Expect: stats.NotAbove, Margin: 1}, 6, 1.8, 0.8},
		{stats.Rule{Expect: stats.Contains, Contains: 0.5, Excludes: []float64{0, 1}}, 6, 0.5, 0.4},
		{stats.Rule{Expect: stats.Contains, Contains: 0.5, Excludes: []float64{0, 1}}, 6, 0.9, 0.3},
	} {
		t.Run(fmt.Sprintf("%s %v", c.rule.Expect, c.effect), func(t *testing.T) {
			yes, no := c.rule.Power(c.seeds, c.effect, c.sd)
			gotYes, gotNo := rates(t, c.rule, c.seeds, func(r *rand.Rand) float64 { return c.effect + c.sd*r.NormFloat64() })
			if math.Abs(gotYes-yes) > chance(yes) || math.Abs(gotNo-no) > chance(no) {
				t.Errorf("%d seeds, deviation %v: supported %.4f and contradicted %.4f, want %.4f and %.4f", c.seeds, c.sd, gotYes, gotNo, yes, no)
			}
			if math.Max(yes, no) < 0.2 {
				t.Errorf("powers of %.3f and %.3f test little", yes, no)
			}
		})
	}
}

// Of five claims that are all false, Holm lets one through in at most 5 % of studies;
// without it, it would be 12 %.
func TestHolmKeepsTheRateOfAWholeStudy(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	rule := stats.Rule{Expect: stats.Above}
	var plain, held float64
	for range trials {
		p := make([]float64, 5)
		for i := range p {
			values := make([]float64, 6)
			for j := range values {
				values[j] = random.NormFloat64()
			}
			p[i] = rule.Decide(effect(t, values...)).P
		}
		some := func(p []float64) float64 {
			for _, v := range p {
				if v < stats.Level {
					return 1.0 / trials
				}
			}
			return 0
		}
		plain += some(p)
		held += some(stats.Holm(p))
	}
	// Each is one-sided at 2.5 %.
	one := 1 - math.Pow(1-0.025, 5)
	if math.Abs(plain-one) > chance(one) {
		t.Errorf("without adjustment %.4f of studies support something, want %.4f", plain, one)
	}
	if want := 1 - math.Pow(1-0.005, 5); math.Abs(held-want) > chance(want) {
		t.Errorf("with Holm %.4f of studies support something, want %.4f", held, want)
	}
}

func TestNeededSeedsHaveThePowerAndOneFewerHasNot(t *testing.T) {
	for _, c := range []struct {
		rule       stats.Rule
		effect, sd float64
	}{
		{stats.Rule{Expect: stats.Above, Margin: 0.05}, 0.1, 0.08},
		{stats.Rule{Expect: stats.Above, Margin: 0.05}, 0, 0.08},
		{stats.Rule{Expect: stats.Equal, Margin: 0.05}, 0.01, 0.08},
		{stats.Rule{Expect: stats.Different, Margin: 0.05}, 0.08, 0.05},
		{stats.Rule{Expect: stats.Contains, Contains: 0.5, Excludes: []float64{0, 1}}, 0.5, 0.3},
	} {
		n := c.rule.Needs(c.effect, c.sd, stats.Power)
		best := func(n int) float64 { return math.Max(c.rule.Power(n, c.effect, c.sd)) }
		if n < 3 || best(n) < stats.Power || best(n-1) >= stats.Power {
			t.Errorf("%+v, effect %v: %d seeds have power %.3f, one fewer %.3f", c.rule, c.effect, n, best(n), best(n-1))
		}
	}
	if n := (stats.Rule{Expect: stats.Above, Margin: 0.05}).Needs(0.05, 0.08, stats.Power); n != 0 {
		t.Errorf("%d seeds are to decide about an effect that is just the margin", n)
	}
	if n := (stats.Rule{Expect: stats.Equal, Margin: 0.05}).Needs(0, 0, stats.Power); n != 2 {
		t.Errorf("without deviation %d seeds, want 2", n)
	}
}

// 30 seeds of one arm with deviation 1: two arms differ with deviation √2.
func TestWhatAPilotResolvesIsFoundAtThePower(t *testing.T) {
	var pilot []float64
	for i := range 30 {
		pilot = append(pilot, 5+math.Sqrt(29.0/30)*(2*float64(i%2)-1))
	}
	before := math.Inf(1)
	for _, seeds := range []int{2, 3, 6, 10, 30} {
		got, err := stats.Resolves(pilot, seeds)
		if err != nil {
			t.Fatal(err)
		}
		power, _ := stats.Rule{Expect: stats.Above}.Power(seeds, got, math.Sqrt2)
		near(t, fmt.Sprintf("power of %v with %d seeds", got, seeds), power, stats.Power, 1e-6)
		if got >= before {
			t.Errorf("%d seeds resolve %v, fewer %v", seeds, got, before)
		}
		before = got
	}
	for _, c := range []struct {
		pilot []float64
		seeds int
		want  float64
	}{{[]float64{1, 1, 1}, 3, 0}, {[]float64{1}, 3, math.Inf(1)}, {[]float64{1, 2}, 1, math.Inf(1)}} {
		if got, err := stats.Resolves(c.pilot, c.seeds); err != nil || got != c.want {
			t.Errorf("%v with %d seeds: %v and %v, want %v", c.pilot, c.seeds, got, err, c.want)
		}
	}
	if _, err := stats.Resolves([]float64{1, math.NaN()}, 3); err == nil || err.Error() != "pilot: value 2 of 2 is NaN" {
		t.Errorf("a pilot that diverged: %v", err)
	}
}
