package study

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gotune/study/stats"
)

// planted is a study of arms a, b, c and d over six seeds, whose metric m is planted.
func planted(t *testing.T, tests string, value func(arm string, seed uint64) float64) table {
	t.Helper()
	s, err := Parse("planted.yaml", []byte(`
id: planted
seeds: {full: 6, tuning: 2}
shared: {data: ["world:chat"]}
arms:
  a: {lora_rank: 1, attributes: {size: 1}}
  b: {lora_rank: 2, attributes: {size: 1}}
  c: {lora_rank: 4, attributes: {size: 4}}
  d: {lora_rank: 8, attributes: {size: 4}}
metrics: {m: {score: exact_match, data: "world:heldout"}}
`+tests))
	if err != nil {
		t.Fatal(err)
	}
	b := table{study: s, seeds: s.Seeds.Full, attributes: make(map[string]map[string]float64)}
	for i, a := range s.attributes() {
		b.attributes[s.Arms[i].Name] = a
	}
	b.value = func(arm string, seed uint64, metric string) (float64, error) {
		x := value(arm, seed)
		if math.IsNaN(x) {
			return 0, fmt.Errorf("%s has no %s", arm, metric)
		}
		return x, nil
	}
	b.censored = func(string, uint64, string) bool { return false }
	b.best = func([]string, string, stats.Better, *Given) (string, error) { return "b", nil }
	return b
}

// noise is a spread of the seeds that is alike for all arms but for a little.
func noise(arm string, seed uint64) float64 {
	return 0.1*float64(seed) + 0.004*math.Sin(float64(seed)*7+float64(arm[0]))
}

// Each contrast makes the planted number of every seed, and the verdict follows.
func TestVerdicts(t *testing.T) {
	effect := map[string]float64{"a": 0, "b": 0.3, "c": 0.32, "d": 0.6}
	value := func(arm string, seed uint64) float64 { return 0.2 + effect[arm] + noise(arm, seed) }
	for name, c := range map[string]struct {
		test, outcome, contrast string
		effect                  float64
	}{
		"above":         {"difference: [b, a], expect: above, margin: 0.05", Supported, "b − a", 0.3},
		"swapped":       {"difference: [a, b], expect: above, margin: 0.05", Contradicted, "a − b", -0.3},
		"below":         {"difference: [a, b], expect: below, margin: 0.05", Supported, "a − b", -0.3},
		"different":     {"difference: [a, b], expect: different, margin: 0.05", Supported, "a − b", -0.3},
		"not different": {"difference: [c, b], expect: different, margin: 0.05", Contradicted, "c − b", 0.02},
		"equal":         {"difference: [c, b], expect: equal, margin: 0.05", Supported, "c − b", 0.02},
		"not equal":     {"difference: [d, b], expect: equal, margin: 0.05", Contradicted, "d − b", 0.3},
		"not worse":     {"difference: [b, c], expect: not-below, margin: 0.05", Supported, "b − c", -0.02},
		"too small":     {"difference: [c, b], expect: above, margin: 0.05", Contradicted, "c − b", 0.02},
		"interaction":   {"contrast: {d: 1, c: -1, b: -1, a: 1}, expect: equal, margin: 0.05", Supported, "a + d − b − c", -0.02},
		"trend":         {"trend: {over: lora_rank, scale: log2}, expect: above, margin: 0.05", Supported, "slope over log2 lora_rank of a, b, c, d", 0.182},
		"level":         {"level: a, expect: above, margin: 0.05", Supported, "a", 0.55},
		"regret":        {"regret: {arm: a, among: [a, b, c]}, expect: not-above, margin: 0.05", Contradicted, "regret of a against the best of a, b, c", 0.3},
		"no regret":     {"regret: {arm: c, among: [a, b, c]}, expect: not-above, margin: 0.05", Supported, "regret of c against the best of a, b, c", -0.02},
		"exponent":      {"exponent: {of: lora_rank, over: size}, expect: {contains: 0.5, excludes: [0]}", Contradicted, "b in best lora_rank ∝ size^b", 1},
		"all":           {"all: [{difference: [b, a], expect: above, margin: 0.05}, {difference: [d, c], expect: above, margin: 0.05}]", Supported, "all of 2 tests", 0.28},
		"not all":       {"all: [{difference: [b, a], expect: above, margin: 0.05}, {difference: [a, d], expect: above, margin: 0.05}]", Contradicted, "all of 2 tests", -0.6},
	} {
		t.Run(name, func(t *testing.T) {
			b := planted(t, "tests:\n  - {metric: m, "+c.test+"}\n", value)
			_, verdicts := b.judge(nil, b.study.Tests)
			v := verdicts[0]
			if v.Outcome != c.outcome || v.Contrast != c.contrast || math.Abs(v.Effect-c.effect) > 0.01 || v.Seeds != 6 {
				t.Errorf("%s of %d seeds: %s = %.3f, want %s: %s = %.3f\n%s", v.Outcome, v.Seeds, v.Contrast, v.Effect, c.outcome, c.contrast, c.effect, v.Reading)
			}
			if !strings.HasPrefix(v.Reading, v.Outcome) {
				t.Errorf("the reading of %s is %q", v.Outcome, v.Reading)
			}
		})
	}
}

// A ratio is told as one, and its interval in the logarithm.
func TestRatio(t *testing.T) {
	b := planted(t, "tests:\n  - {metric: m, ratio: [b, a], expect: above, margin: 0.0953}\n", func(arm string, seed uint64) float64 {
		x := float64(seed) * (1 + 0.01*math.Sin(float64(seed)))
		if arm == "b" {
			x *= 2 + 0.01*math.Cos(float64(seed))
		}
		return x
	})
	_, verdicts := b.judge(nil, b.study.Tests)
	if v := verdicts[0]; v.Outcome != Supported || math.Abs(v.Effect-math.Ln2) > 0.01 || !strings.Contains(v.Reading, "m of b is 2 times that of a") {
		t.Errorf("%g: %s", v.Effect, v.Reading)
	}
}

// The figures of a conjunction are those of the part that decides it, which its reading
// names: the part that contradicts it, wherever it stands.
func TestConjunctionShows(t *testing.T) {
	b := planted(t, `
tests:
  - all:
      - {name: open, metric: m, difference: [c, a], expect: above, margin: 0.001}
      - {name: against, metric: m, difference: [a, b], expect: above, margin: 0.05}
      - {name: out, metric: m, difference: [b, a], expect: above, margin: 0.05}
`, func(arm string, seed uint64) float64 { return noise(arm, seed) + map[string]float64{"b": 0.3}[arm] })
	_, verdicts := b.judge(nil, b.study.Tests)
	v := verdicts[0]
	if v.Parts[0].Outcome != Inconclusive || v.Outcome != Contradicted || v.Shown != "against" || math.Abs(v.Effect+0.3) > 0.01 || v.P != 1 {
		t.Errorf("%s by %q, %.3f: %s", v.Outcome, v.Shown, v.Effect, v.Reading)
	}
	if want := "contradicted: 1 of 3 parts came out; the figures are of against: contradicted: a − b"; !strings.HasPrefix(v.Reading, want) {
		t.Errorf("the reading is %q, want %q", v.Reading, want)
	}
}

// A check of which nothing is known leaves the tests open; the set-up has not failed.
func TestCheckNotRun(t *testing.T) {
	b := planted(t, `
checks: [{name: moves, metric: m, difference: [d, a], expect: different, margin: 0.05}]
tests: [{metric: m, difference: [b, a], expect: equal, margin: 0.05}]
`, func(arm string, seed uint64) float64 {
		if arm == "d" {
			return math.NaN()
		}
		return noise(arm, seed)
	})
	_, verdicts := b.judge(b.study.Checks, b.study.Tests)
	if v := verdicts[0]; v.Outcome != NotRun || !strings.Contains(v.Reading, "nothing is known of the check moves: 0 of 6 seeds can be compared") {
		t.Errorf("%s: %s", v.Outcome, v.Reading)
	}
}

// Where a run ended without the event, no other of its seed counts for longer: one arm
// met the threshold after 3, when the other had been stopped after 2.
func TestTimesShareAHorizon(t *testing.T) {
	b := planted(t, "tests: [{metric: m, ratio: [b, a], expect: above, margin: 0.1}]\n", func(arm string, _ uint64) float64 {
		return map[string]float64{"a": 2, "b": 3}[arm]
	})
	for stopped, want := range map[string]float64{"": math.Log(3) - math.Log(2), "a": 0, "b": math.Log(3) - math.Log(2)} {
		b.censored = func(arm string, _ uint64, _ string) bool { return arm == stopped }
		if values, err := b.values(b.study.Tests[0]); err != nil || math.Abs(values[0]-want) > 1e-12 {
			t.Errorf("with %q stopped the logarithm of the ratio is %v (%v), want %v", stopped, values, err, want)
		}
	}
}

// Values chosen at an end of what was tried are told of.
func TestChosenAtAnEnd(t *testing.T) {
	points := []SearchPoint{{Values: map[string]float64{"learning_rate": 0.01}}, {Values: map[string]float64{"learning_rate": 0.1}}, {Values: map[string]float64{"learning_rate": 1}}}
	for rate, want := range map[float64]string{0.01: "learning_rate=0.01", 0.1: "", 1: "learning_rate=1"} {
		one := &trial{choice: choice{values: map[string]float64{"learning_rate": rate}, points: points}}
		if got := one.atEnd(); got != want {
			t.Errorf("of %g it says %q, want %q", rate, got, want)
		}
	}
}

// Runs that did not meet a threshold are told of.
func TestThresholdNotMet(t *testing.T) {
	b := planted(t, "tests: [{metric: m, ratio: [b, a], expect: above, margin: 0.1}]\n", func(arm string, seed uint64) float64 {
		return 1 + noise(arm, seed) + map[string]float64{"b": 2}[arm]
	})
	b.censored = func(arm string, seed uint64, _ string) bool { return arm == "b" && seed > 4 }
	_, verdicts := b.judge(nil, b.study.Tests)
	if want := "; 2 of 12 runs did not meet the threshold, and the times of a seed count up to where the first of its own ended"; !strings.HasSuffix(verdicts[0].Reading, want) {
		t.Errorf("the reading is %q, want %q at its end", verdicts[0].Reading, want)
	}
}

// An exponent of best values that lie at an end of the grid says so.
func TestExponentAtTheEdge(t *testing.T) {
	b := planted(t, "tests: [{metric: m, exponent: {of: lora_rank, over: size}, expect: {contains: 0.5, excludes: [0]}}]\n", func(arm string, seed uint64) float64 {
		return noise(arm, seed) + map[string]float64{"b": 0.3, "d": 0.3}[arm]
	})
	_, verdicts := b.judge(nil, b.study.Tests)
	if want := "; 12 of 12 best values are the first or last that was tried"; !strings.Contains(verdicts[0].Reading, want) {
		t.Errorf("the reading is %q, want %q in it", verdicts[0].Reading, want)
	}
}

// A failed check makes the study insensitive, whatever the test says.
func TestInsensitive(t *testing.T) {
	b := planted(t, `
checks: [{name: moves, metric: m, difference: [c, a], expect: different, margin: 0.05}]
tests: [{metric: m, difference: [b, a], expect: equal, margin: 0.05}]
`, func(arm string, seed uint64) float64 { return noise(arm, seed) })
	checks, verdicts := b.judge(b.study.Checks, b.study.Tests)
	if checks[0].Outcome != Contradicted || verdicts[0].Outcome != Insensitive {
		t.Errorf("the check is %s and the test %s", checks[0].Outcome, verdicts[0].Outcome)
	}
	if want := "check moves (contradicted); the test alone would say: supported"; !strings.Contains(verdicts[0].Reading, want) {
		t.Errorf("the reading is %q, want %q in it", verdicts[0].Reading, want)
	}
}

// What is supported alone but not after Holm's correction is inconclusive, and says so.
func TestHolm(t *testing.T) {
	// Of arm b the effect has P = 0.033; the two others have none.
	spread := []float64{0.2, -0.02, 0.3, 0.08, 0.24, 0.1}
	b := planted(t, `
tests:
  - {metric: m, difference: [b, a], expect: different}
  - {metric: m, difference: [c, a], expect: different}
  - {metric: m, difference: [d, a], expect: different}
`, func(arm string, seed uint64) float64 {
		switch arm {
		case "b":
			return spread[seed-1]
		case "a":
			return 0
		}
		return math.Sin(float64(seed)*3 + float64(arm[0]))
	})
	alone := b.verdict(b.study.Tests[0])
	_, verdicts := b.judge(nil, b.study.Tests)
	v := verdicts[0]
	if alone.Outcome != Supported || v.Outcome != Inconclusive || v.PHolm <= v.P || !strings.HasPrefix(v.Reading, "inconclusive: b − a") || !strings.Contains(v.Reading, "of 3 tests Holm's correction leaves P") {
		t.Errorf("alone %s (P = %.3g), corrected %s (P = %.3g): %s", alone.Outcome, alone.P, v.Outcome, v.PHolm, v.Reading)
	}
}

// With seeds missing the others decide, and the reading says which are not there.
func TestMissingSeeds(t *testing.T) {
	for _, left := range []uint64{1, 4} {
		b := planted(t, "tests:\n  - {metric: m, difference: [b, a], expect: above, margin: 0.05}\n", func(arm string, seed uint64) float64 {
			if seed > left {
				return math.NaN()
			}
			return noise(arm, seed) + 0.3*float64(arm[0]-'a')
		})
		_, verdicts := b.judge(nil, b.study.Tests)
		v := verdicts[0]
		want := map[uint64]string{1: NotRun, 4: Supported}[left]
		if v.Outcome != want || v.Seeds != int(left) || !strings.Contains(v.Reading, "b has no m") {
			t.Errorf("with %d seeds: %s: %s", left, v.Outcome, v.Reading)
		}
	}
}

// With too few seeds to decide the verdict says how many it needs.
func TestNeeds(t *testing.T) {
	b := planted(t, "tests:\n  - {metric: m, difference: [b, a], expect: above, margin: 0.01}\n", func(arm string, seed uint64) float64 {
		if arm == "a" {
			return 0
		}
		return []float64{0.1, -0.05, 0.12, -0.02, 0.08, 0.01}[seed-1]
	})
	_, verdicts := b.judge(nil, b.study.Tests)
	if v := verdicts[0]; v.Outcome != Inconclusive || v.Needs <= 6 || !strings.Contains(v.Reading, fmt.Sprintf("needs %d seeds", v.Needs)) {
		t.Errorf("%s, needs %d: %s", v.Outcome, v.Needs, v.Reading)
	}
}

// Identities and accountings hold for every seed or fail, without a P-value.
func TestAccounting(t *testing.T) {
	for effect, want := range map[float64]string{0: Holds, 1e-6: Fails} {
		b := planted(t, "kind: identity\ntests:\n  - {metric: m, difference: [b, a], expect: equal}\n", func(arm string, seed uint64) float64 {
			if arm == "b" && seed == 3 {
				return 0.5 + effect
			}
			return 0.5
		})
		_, verdicts := b.judge(nil, b.study.Tests)
		if v := verdicts[0]; v.Outcome != want || v.P != 0 {
			t.Errorf("an effect of %g in one seed: %s, P = %g", effect, v.Outcome, v.P)
		}
	}
}
