package study

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotune/train"
)

// Curves, by hand: the loss before training and after 2, 4, 6 and 8 of 8 steps.
func TestCurves(t *testing.T) {
	c := curve{steps: 8, points: []point{{0, 0, 3}, {2, 1, 3.5}, {4, 2, 2}, {6, 4, 2.5}, {8, 5, 1}}}
	for name, want := range map[string]struct {
		x         float64
		censored  bool
		threshold float64
		window    float64
	}{
		"rise": {x: 0.5, window: 0.25}, "largest_rise": {x: 0.5}, "collapse": {x: -2}, "final": {x: 1},
		"area":       {x: (3.25 + 2.75 + 2.25 + 1.75) / 4},
		"steps_to":   {x: 3, threshold: 2.75},
		"seconds_to": {x: 1.5, threshold: 2.75},
	} {
		m := MetricSpec{Window: 1, Threshold: want.threshold}
		if want.window > 0 {
			m.Window = want.window
		}
		for _, measure := range curves {
			if measure.Name != name {
				continue
			}
			if x, censored := measure.curve(c, m); math.Abs(x-want.x) > 1e-12 || censored != want.censored {
				t.Errorf("%s is %g, censored %v; want %g", name, x, censored, want.x)
			}
		}
	}
	if x, censored := stepsTo(c, MetricSpec{Threshold: 0.5}); x != 8 || !censored {
		t.Errorf("a threshold that is not met gives %g, censored %v", x, censored)
	}
	up := curve{steps: 4, rising: true, points: []point{{0, 0, 0}, {4, 1, 0.8}}}
	if x, censored := stepsTo(up, MetricSpec{Threshold: 0.4}); x != 2 || censored {
		t.Errorf("a rising curve meets its threshold at %g, censored %v", x, censored)
	}
	// The window holds no evaluation, so that the first counts.
	if x, _ := rise(c, MetricSpec{Window: 0.1}); x != 0.5 {
		t.Errorf("the rise in a window without an evaluation is %g", x)
	}
	falls := curve{steps: 4, points: []point{{0, 0, 2}, {2, 0, 1}, {4, 0, 0.5}}}
	if x, _ := rise(falls, MetricSpec{Window: 1}); x != -1 {
		t.Errorf("a loss that falls rises by %g", x)
	}
}

// Scores, by hand.
func TestScores(t *testing.T) {
	rows := []rowScore{
		{nll: 2 * math.Ln2, tokens: 2, asked: true, exact: true}, {nll: 10 * math.Ln2, tokens: 4, asked: true}, {nll: 6 * math.Ln2, tokens: 6},
	}
	for name, want := range map[string]float64{
		"exact_match": 0.5, "log_probability": -6 * math.Ln2, "loss": 1.5 * math.Ln2,
		"bits": 6, // 8 − 2, and nothing of the row that takes more than 8
	} {
		for _, m := range scores {
			if m.Name != name {
				continue
			}
			if x, err := m.rows(rows, MetricSpec{Prior: 8}); err != nil || math.Abs(x-want) > 1e-12 {
				t.Errorf("%s is %g (%v), want %g", name, x, err, want)
			}
		}
	}
	if _, err := exactMatch(rows[2:], MetricSpec{}); err == nil {
		t.Error("the exact match of text is no error")
	}
}

// An answer has the wanted form, or it has not.
func TestForm(t *testing.T) {
	const record = "name: Velmar\nkind: colour\nword: red"
	for _, c := range []struct {
		got, want string
		ended     bool
		pattern   string
		valid     bool
	}{
		{"name: Other\nkind: taste\nword: sweet", record, true, "", true},
		{"name: Other\nkind: taste\nword: sweet", record, false, "", false},
		{"name: Other\nkind: taste", record, true, "", false},
		{"name: Other\ntaste: kind\nword: sweet", record, true, "", false},
		{"name: Other\nkind: taste\nword:", record, true, "", false},
		{"Velmar is red.", record, true, "", false},
		{"It is blue.", "It is red.", true, "", true},
		{"It is blue", "It is red.", true, "", false},
		{"B", "A", true, "^[A-D]$", true},
		{"E", "A", true, "^[A-D]$", false},
	} {
		x, err := validForm([]train.Answer{{Got: c.got, Want: c.want, Ended: c.ended}}, MetricSpec{Pattern: c.pattern})
		if err != nil || (x == 1) != c.valid {
			t.Errorf("%q for %q is valid %g (%v), want %v", c.got, c.want, x, err, c.valid)
		}
	}
}

// Every measure has a definition, and a run can be measured by all of them.
func TestMeasureAll(t *testing.T) {
	d := newDesk(t)
	var text strings.Builder
	text.WriteString("id: all\nseeds: {full: 1}\nshared: {model: MODEL, data: [ROWS], max_steps: 4, batch_size: 4, full: true, learning_rate: 0.01}\narms: {a: {}}\nmetrics:\n")
	for _, m := range Measures() {
		if m.Definition == "" {
			t.Errorf("%s has no definition", m.Name)
		}
		more := map[string]string{"score": ", data: HELD, questions: 2", "curve": ", data: HELD"}[m.Family]
		more += map[string]string{"prior": ", prior: 300", "threshold": ", threshold: 0.001"}[m.Needs]
		if m.Family == productFamily {
			text.WriteString("  product-product: {product: [run-steps, score-loss]}\n")
			continue
		}
		text.WriteString("  " + m.Family + "-" + m.Name + ": {" + m.Family + ": " + m.Name + more + "}\n")
	}
	s := d.study(t, text.String())
	r := d.run(t, s, Options{})
	run := r.Arms[0].Runs[0]
	if len(run.Metrics) != len(Measures()) {
		t.Fatalf("%d of %d metrics: %s", len(run.Metrics), len(Measures()), run.Error)
	}
	if strings.Join(run.Censored, " ") != "curve-steps_to curve-seconds_to" || run.Metrics["curve-steps_to"] != 4 {
		t.Errorf("censored are %v, the steps %g", run.Censored, run.Metrics["curve-steps_to"])
	}
	// The last evaluation of the run is what the score computes anew.
	if a, b := run.Metrics["score-loss"], run.Metrics["curve-final"]; a != b {
		t.Errorf("the score is %g and the last of the curve %g", a, b)
	}
	if bits, nats := run.Metrics["score-bits"], -6*run.Metrics["score-log_probability"]; math.Abs(bits-(6*300-nats/math.Ln2)) > 1e-6*bits {
		t.Errorf("%g bits with %g nats", bits, nats)
	}
	if got, want := run.Metrics["product-product"], 4*run.Metrics["score-loss"]; got != want {
		t.Errorf("the product is %g, want %g", got, want)
	}
	// What is measured is kept, and only what is new is measured.
	known, err := readMeasures(filepath.Join(d.dir, "lab", run.Run))
	if err != nil || len(known) != len(Measures())-len(products)-len(ofPlans) {
		t.Errorf("%d measures are kept (%v)", len(known), err)
	}
	if err := os.RemoveAll(filepath.Join(d.dir, "lab", run.Run, "model")); err != nil {
		t.Fatal(err)
	}
	if again := d.run(t, s, Options{}); again.Arms[0].Runs[0].Metrics["score-loss"] != run.Metrics["score-loss"] {
		t.Errorf("what is kept is not used: %s", again.Arms[0].Runs[0].Error)
	}
}
