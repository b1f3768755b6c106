package study

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gotune/train"
)

// A curve is a number of a run on the way: at each of its points after so many steps,
// and so many seconds of optimizer steps. The first is before training where the run
// was evaluated then.
type curve struct {
	points []point
	steps  int // of the run
	rising bool
}

type point struct {
	step    int
	seconds float64
	value   float64
}

// curves are measures of evaluations on the way; y(s) is the value after s of S steps.
var curves = []Measure{
	{Family: "curve", Name: "rise", Better: "", curve: rise,
		Definition: "max of y(s) over evaluations with 0 < s ≤ window·S, minus y at the start: how far it goes above the start in the window, or below 0 how far it has fallen at least"},
	{Family: "curve", Name: "largest_rise", Better: "", curve: largestRise,
		Definition: "max over s < t of y(t) − y(s), or 0: the largest rise anywhere in the run"},
	{Family: "curve", Name: "fall", Better: "", curve: fall,
		Definition: "max of y minus y at the end: how far it comes down after it was highest"},
	{Family: "curve", Name: "collapse", Better: "", curve: collapse,
		Definition: "y at the end minus y at the start: above 0 for a loss that training has made worse"},
	{Family: "curve", Name: "final", Better: "lower", curve: final,
		Definition: "y at the last evaluation"},
	{Family: "curve", Name: "area", Better: "lower", curve: area,
		Definition: "mean of y over the steps between the first and the last evaluation, by trapezoids"},
	{Family: "curve", Name: "steps_to", Unit: "steps", Better: "lower", curve: stepsTo, Needs: "threshold",
		Definition: "steps until y first reaches threshold, by a line between evaluations; censored at the end"},
	{Family: "curve", Name: "seconds_to", Unit: "s", Better: "lower", curve: secondsTo, Needs: "threshold",
		Definition: "seconds of optimizer steps until y first reaches threshold, by a line between evaluations; censored at the end"},
}

func rise(c curve, m MetricSpec) (float64, bool) {
	first := c.points[0]
	x, any := 0.0, false
	for _, p := range c.points[1:] {
		// The first evaluation counts where the window holds none.
		if float64(p.step) <= m.Window*float64(c.steps) || !any {
			if d := p.value - first.value; !any || d > x {
				x, any = d, true
			}
		}
	}
	return x, false
}

func largestRise(c curve, _ MetricSpec) (float64, bool) {
	x, least := 0.0, c.points[0].value
	for _, p := range c.points {
		least = min(least, p.value)
		x = max(x, p.value-least)
	}
	return x, false
}

func fall(c curve, _ MetricSpec) (float64, bool) {
	most := c.points[0].value
	for _, p := range c.points {
		most = max(most, p.value)
	}
	return most - c.points[len(c.points)-1].value, false
}

func collapse(c curve, _ MetricSpec) (float64, bool) {
	return c.points[len(c.points)-1].value - c.points[0].value, false
}

func final(c curve, _ MetricSpec) (float64, bool) { return c.points[len(c.points)-1].value, false }

func area(c curve, _ MetricSpec) (float64, bool) {
	sum := 0.0
	for i := 1; i < len(c.points); i++ {
		a, b := c.points[i-1], c.points[i]
		sum += float64(b.step-a.step) * (a.value + b.value) / 2
	}
	if span := c.points[len(c.points)-1].step - c.points[0].step; span > 0 {
		return sum / float64(span), false
	}
	return c.points[0].value, false
}

func stepsTo(c curve, m MetricSpec) (float64, bool) {
	return c.reach(m.Threshold, func(p point) float64 { return float64(p.step) })
}

func secondsTo(c curve, m MetricSpec) (float64, bool) {
	return c.reach(m.Threshold, func(p point) float64 { return p.seconds })
}

// reach returns where on a scale the curve first meets a threshold, or its end.
func (c curve) reach(threshold float64, scale func(point) float64) (float64, bool) {
	there := func(p point) bool {
		if c.rising {
			return p.value >= threshold
		}
		return p.value <= threshold
	}
	for i, p := range c.points {
		if !there(p) {
			continue
		}
		if i == 0 {
			return scale(p), false
		}
		a := c.points[i-1]
		part := (threshold - a.value) / (p.value - a.value)
		return scale(a) + part*(scale(p)-scale(a)), false
	}
	return scale(c.points[len(c.points)-1]), true
}

// A timeline is metrics.jsonl: the steps of a run and its evaluations.
type timeline struct {
	steps []train.StepEvent
	evals []train.EvalEvent
}

// readTimeline reads the metrics of a finished run.
func readTimeline(run string) (timeline, error) {
	var t timeline
	f, err := os.Open(filepath.Join(run, "metrics.jsonl"))
	if err != nil {
		return t, err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return t, err
		}
		var kind struct {
			Event string `json:"event"`
		}
		if err = json.Unmarshal(line, &kind); err == nil && kind.Event == "step" {
			var e train.StepEvent
			err = json.Unmarshal(line, &e)
			t.steps = append(t.steps, e)
		} else if err == nil && kind.Event == "eval" {
			var e train.EvalEvent
			err = json.Unmarshal(line, &e)
			t.evals = append(t.evals, e)
		}
		if err != nil {
			return t, fmt.Errorf("%s:%d: %w", f.Name(), n, err)
		}
	}
}

// seconds returns the time of the first n optimizer steps.
func (t timeline) seconds(n int) float64 {
	sum := 0.0
	for _, e := range t.steps {
		if e.Step <= n {
			sum += took(e)
		}
	}
	return sum
}

// took is the time of a step.
func took(e train.StepEvent) float64 {
	if e.TokensPerSecond > 0 {
		return float64(e.Tokens) / e.TokensPerSecond
	}
	return 0
}

// curve returns what a metric is of.
func (t timeline) curve(m MetricSpec) (curve, error) {
	c := curve{rising: m.rising()}
	if n := len(t.steps); n > 0 {
		c.steps = t.steps[n-1].Step
	}
	if m.Of == "train_loss" {
		seconds := 0.0
		for _, e := range t.steps {
			seconds += took(e)
			c.points = append(c.points, point{e.Step, seconds, e.Loss})
		}
	} else {
		for _, e := range t.evals {
			v := valueOf(e.Scores, m)
			if v == nil {
				continue
			}
			p := point{e.Step, t.seconds(e.Step), *v}
			if n := len(c.points); n > 0 && c.points[n-1].step == p.step {
				c.points[n-1] = p // the last step is evaluated on the way and after
				continue
			}
			c.points = append(c.points, p)
		}
	}
	if m.Stage != "" {
		c = t.within(c, m.Stage)
	}
	if len(c.points) < 2 {
		return c, fmt.Errorf("the run has %d evaluations of %s, and a curve needs two", len(c.points), m.Spec())
	}
	return c, nil
}

// within returns what of a curve is of one stage, counted from its beginning, which is
// evaluated as the end of the stage before.
func (t timeline) within(c curve, stage string) curve {
	begin, end := -1, -1
	for _, e := range t.steps {
		if e.Stage == stage {
			if begin < 0 {
				begin = e.Step - 1
			}
			end = e.Step
		}
	}
	part := curve{rising: c.rising, steps: end - begin}
	for _, p := range c.points {
		if begin >= 0 && p.step >= begin && p.step <= end {
			part.points = append(part.points, point{p.step - begin, p.seconds - t.seconds(begin), p.value})
		}
	}
	return part
}

// valueOf is the score that a curve is of; nil where there is none.
func valueOf(s train.Scores, m MetricSpec) *float64 {
	if len(m.Data) > 0 {
		for _, corpus := range s.Corpora {
			if corpus.Path == m.Data[0] {
				s = corpus.Scores
				break
			}
		}
	}
	switch m.Of {
	case "exact_match":
		return s.ExactMatch
	case "log_probability":
		return s.LogProbability
	case "retain_loss":
		return s.RetainLoss
	}
	return s.Loss
}
