package study

import (
	"math"
	"strings"
	"testing"

	"gotune/train"
)

// What a worker keeps, by hand: 100 of weights, 20 of an adapter, 40 of gradients, 80 of
// averages and 7 of activations.
func TestShares(t *testing.T) {
	p := train.Plan{Memory: train.Memory{Inputs: 1000, Weights: 100, Adapter: 20, Gradients: 40, Optimizer: 80, Activations: 7}}
	for zero, want := range []float64{247, 247 - 60, 247 - 60 - 30, 247 - 60 - 30 - 90} {
		m := MetricSpec{Workers: 4, Zero: zero}
		if x := m.bytes(p); x != want {
			t.Errorf("by stage %d a worker keeps %g, want %g", zero, x, want)
		}
		if x := savedShare(p, m); math.Abs(x-(1-want/247)) > 1e-12 {
			t.Errorf("by stage %d a worker saves %g", zero, x)
		}
	}
}

// A study of plans alone trains nothing.
func TestPlansAlone(t *testing.T) {
	d := newDesk(t)
	r := d.run(t, d.study(t, `
id: bytes
kind: accounting
seeds: {quick: 1, full: 1}
shared: {model: MODEL, data: [ROWS], max_steps: 3, batch_size: 4}
arms:
  full: {full: true}
  adapter: {lora_rank: 2, lora_targets: [q_proj]}
metrics:
  trainable: {plan: trainable}
  optimizer: {plan: optimizer}
  half: {plan: optimizer, workers: 2, zero: 1}
tests:
  - {name: fewer, metric: trainable, difference: [adapter, full], expect: below}
  - {name: more, metric: optimizer, difference: [adapter, full], expect: above}
`), Options{Jobs: 1})
	if r.Verdicts[0].Outcome != Holds || r.Verdicts[1].Outcome != Fails {
		t.Errorf("%s; %s", r.Verdicts[0].Reading, r.Verdicts[1].Reading)
	}
	for _, a := range r.Arms {
		run := a.Runs[0]
		if run.Run != "" || run.Steps != 0 || run.Metrics["optimizer"] != 8*run.Metrics["trainable"] || run.Metrics["half"]*2 != run.Metrics["optimizer"] {
			t.Errorf("%s: %+v", a.Name, run)
		}
	}
}

// Two runs with the same arithmetic end with the same bits; a product is of the metrics
// before it; an arm puts its own text into recipe and metrics.
func TestDigestProductTexts(t *testing.T) {
	d := newDesk(t)
	r := d.run(t, d.study(t, `
id: same
kind: identity
seeds: {quick: 2, full: 2}
shared: {model: MODEL, data: ["{rows}"], max_steps: 3, batch_size: 4, learning_rate: 0.01, full: true, save_steps: 0}
arms:
  a: {objective: cpt, texts: {rows: ROWS}}
  b: {objective: cpt, warmup_steps: 0, max_grad_norm: 1e8, texts: {rows: ROWS}}
  c: {objective: cpt, max_grad_norm: 1e9, texts: {rows: ROWS}}
metrics:
  bits: {run: digest}
  seen: {score: loss, data: "{rows}"}
  steps: {run: steps}
  both: {product: [seen, steps]}
tests:
  - {name: same, metric: bits, difference: [c, b], expect: equal}
  - {name: clipped, metric: bits, difference: [a, b], expect: equal}
`), Options{Jobs: 1})
	if r.Verdicts[0].Outcome != Holds || r.Verdicts[1].Outcome != Fails {
		t.Errorf("%s; %s", r.Verdicts[0].Reading, r.Verdicts[1].Reading)
	}
	run := r.Arms[0].Runs[0]
	if run.Metrics["seen"] == 0 || run.Metrics["both"] != 3*run.Metrics["seen"] {
		t.Errorf("%v", run.Metrics)
	}
}

func TestPlansAndProductsRefused(t *testing.T) {
	for metric, want := range map[string]string{
		"{product: [x]}":                     "stands before it",
		"{plan: bytes, zero: 2}":             "at least two",
		"{plan: bytes, zero: 4, workers: 2}": "a stage from 1 to 3",
		"{plan: bytes, data: f}":             "a plan has no data",
		"{score: loss, data: f, workers: 2}": "of plans alone",
		"{plan: byte}":                       "perhaps bytes is meant",
		"{plan: bytes, workers: 0}":          "a number of workers",
	} {
		_, err := Parse("s.yaml", []byte("id: x\nvary: {lora_rank: [1, 2]}\nshared: {data: [f]}\nmetrics: {m: "+metric+"}\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", metric, err, want)
		}
	}
}
