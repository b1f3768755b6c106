package study

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gotune/study/stats"
	"gotune/train"
)

// rangeStudy has three warmups at two sizes of a corpus.
const rangeStudy = `
id: warmups
seeds: {quick: 2, full: 2, tuning: 1}
shared: {model: base, full: true}
arms:
  small: {data: [small.jsonl], attributes: {rows: 100}}
  large: {data: [large.jsonl], attributes: {rows: 400}}
vary: {warmup_ratio: [0, 0.1, 0.3]}
metrics:
  recall: {score: exact_match, data: held.jsonl}
  old: {score: exact_match, data: old.jsonl}
quick: ["small,warmup_ratio=0", "small,warmup_ratio=0.1"]
tests:
  - {name: any, metric: recall, range: {}, expect: above, margin: 0.05}
  - {name: less, metric: recall, range: {over: rows, scale: log2}, expect: below}
  - {name: most, metric: recall, regret: {arm: "small,warmup_ratio=0", among: ["small,warmup_ratio=0.1", "small,warmup_ratio=0.3"], given: {metric: old, at-least: -0.05}}, expect: not-above, margin: 0.05}
  - {name: pair, metric: recall, difference: ["small,warmup_ratio=0.1", "small,warmup_ratio=0"], expect: above}
`

// A range is of the worst and the best arm of the tuning seeds, whatever the test seed
// says; a regret chooses among the arms that meet a condition.
func TestRangeAndCondition(t *testing.T) {
	s, err := Parse("warmups.yaml", []byte(rangeStudy))
	if err != nil {
		t.Fatal(err)
	}
	tuning := []float64{0.2, 0.6, 0.4 /* large: */, 0.7, 0.6, 0.5}
	tested := []float64{0.1, 0.5, 0.9 /* large: */, 0.6, 0.6, 0.55}
	kept := []float64{0, -0.2, 0, 0, 0, 0} // of old text
	at := func(name string) int { return slices.IndexFunc(s.Arms, func(a Arm) bool { return a.Name == name }) }
	b := table{study: s, seeds: []uint64{1}, attributes: make(map[string]map[string]float64)}
	for i, numbers := range s.attributes() {
		b.attributes[s.Arms[i].Name] = numbers
	}
	b.value = func(arm string, _ uint64, _ string) (float64, error) { return tested[at(arm)], nil }
	b.best = func(arms []string, _ string, which stats.Better, given *Given) (string, error) {
		var means []float64
		for _, arm := range arms {
			mean := tuning[at(arm)]
			if given != nil && kept[at(arm)] < given.AtLeast {
				mean = math.NaN()
			}
			means = append(means, mean)
		}
		i, err := stats.Best(means, which)
		return arms[i], err
	}
	// All: 0.6 of "large, 0" − 0.1 of "small, 0". Small: 0.5 − 0.1; large: 0.6 − 0.55; two octaves between.
	for name, want := range map[string]float64{"any": 0.6 - 0.1, "less": (0.05 - 0.4) / 2, "most": 0.9 - 0.1} {
		i := slices.IndexFunc(s.Tests, func(t Test) bool { return t.Name == name })
		got, err := b.contrast(s.Tests[i], 1)
		if err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %g, %v; want %g", name, got, err, want)
		}
	}
	if needed := s.onTuningSeeds(s.Tests); len(needed) != 6 || len(needed["small,warmup_ratio=0.1"]) != 4 {
		t.Errorf("on tuning seeds %v", needed)
	}
}

// A quick run has the arms that the file names, and the tests of these.
func TestQuickArms(t *testing.T) {
	s, err := Parse("warmups.yaml", []byte(rangeStudy))
	if err != nil {
		t.Fatal(err)
	}
	q := s.quickly()
	if len(q.Arms) != 2 || len(q.Tests) != 1 || q.Tests[0].Name != "pair" || len(s.Arms) != 6 {
		t.Errorf("%d arms, tests %v", len(q.Arms), q.Tests)
	}
	if out := q.leftOut(); len(out) != 3 || out[0].Outcome != NotRun {
		t.Errorf("left out %v", out)
	}
	_, err = Parse("warmups.yaml", []byte(strings.Replace(rangeStudy, `quick: ["small,warmup_ratio=0",`, `quick: ["small",`, 1)))
	if err == nil || !strings.Contains(err.Error(), `quick has an arm "small" that is not there`) {
		t.Errorf("an arm that is not there: %v", err)
	}
}

// The curve of a stage begins with the evaluation that ends the stage before.
func TestCurveOfAStage(t *testing.T) {
	timeline := timeline{}
	for step := 1; step <= 8; step++ {
		stage := "settle"
		if step > 4 {
			stage = "read"
		}
		timeline.steps = append(timeline.steps, train.StepEvent{Stage: stage, Step: step, Tokens: 10, TokensPerSecond: 10})
	}
	for step, loss := range map[int]float64{0: 9, 4: 2, 6: 3, 8: 1} {
		timeline.evals = append(timeline.evals, train.EvalEvent{Step: step, Scores: train.Scores{Loss: &loss}})
	}
	slices.SortFunc(timeline.evals, func(a, b train.EvalEvent) int { return a.Step - b.Step })
	c, err := timeline.curve(MetricSpec{Of: "loss", Stage: "read"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []point{{0, 0, 2}, {2, 2, 3}, {4, 4, 1}}; !slices.Equal(c.points, want) || c.steps != 4 {
		t.Errorf("points %v of %d steps", c.points, c.steps)
	}
	if x, _ := fall(c, MetricSpec{}); x != 2 {
		t.Errorf("it comes down by %g", x)
	}
	if _, err := timeline.curve(MetricSpec{Of: "loss", Stage: "nowhere"}); err == nil {
		t.Error("a stage that is not there has a curve")
	}
}
