package train

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
)

// Worked by hand: differences 0.1, 0.2, 0.3 have mean 0.2, deviation 0.1, and
// t(0.975, 2) = 4.303 gives a half-width of 4.303·0.1/√3 = 0.2484.
func TestProbeInterval(t *testing.T) {
	var r ProbeRate
	r.against([]float64{1.1, 1.2, 1.3}, []float64{1, 1, 1})
	if math.Abs(r.Worse-0.2) > 1e-9 || math.Abs(r.Low+0.0484) > 1e-4 || math.Abs(r.High-0.4484) > 1e-4 || !r.LikeBest {
		t.Errorf("%+v", r)
	}
	r = ProbeRate{}
	r.against([]float64{1.2, 1.21, 1.19}, []float64{1, 1, 1})
	if r.LikeBest {
		t.Errorf("%+v", r)
	}
}

func TestProbeVerdict(t *testing.T) {
	rates := []float64{1e-5, 1e-4, 1e-3}
	for name, c := range map[string]struct {
		losses [3][3]float64 // by rate and seed; 0 diverged
		best   float64
		want   string
	}{
		"one is best":      {[3][3]float64{{2, 2.1, 2.05}, {1, 1.1, 1.05}, {1.5, 1.61, 1.56}}, 1e-4, "best: 0.0001"},
		"two are alike":    {[3][3]float64{{2, 2.1, 2.05}, {1, 1.1, 1.05}, {1.05, 1.02, 1.1}}, 1e-4, "cannot be told apart from 0.001"},
		"at the edge":      {[3][3]float64{{2, 2.1, 2.05}, {1.5, 1.6, 1.55}, {1, 1.1, 1.05}}, 1e-3, "the highest that was tried"},
		"cannot tell":      {[3][3]float64{{1, 1.3, 1.1}, {1.05, 1.2, 1.12}, {1.2, 1.1, 1.1}}, 1e-4, "cannot tell"},
		"one diverges":     {[3][3]float64{{2, 2.1, 2.05}, {1, 1.1, 1.05}, {0.5, 0, 0.5}}, 1e-4, "best: 0.0001"},
		"nothing improves": {[3][3]float64{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}, 0, "no learning rate made"},
	} {
		var runs []ProbeRun
		for i, rate := range rates {
			for seed, loss := range c.losses[i] {
				runs = append(runs, ProbeRun{Rate: rate, Seed: uint64(seed), Loss: loss, Diverged: loss == 0})
			}
		}
		var p Probed
		p.judge(rates, runs)
		if p.Best != c.best || !strings.Contains(p.Verdict, c.want) {
			t.Errorf("%s: best %g, %q", name, p.Best, p.Verdict)
		}
	}
}

// A rate that is far too small and one that is far too large lose against one in
// between, and two probes are the same.
func TestProbe(t *testing.T) {
	r := tinyRecipe(t)
	c := ProbeConfig{Rates: []float64{1e-7, 1e-2, 10}, Steps: 10, Seeds: 2, HeldOut: 4}
	told := 0
	got, err := Probe(t.Context(), r, c, func(ProbeRun) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	if told != 6 || got.Best != 1e-2 || got.Rows != 4 || got.Rates[1].Loss >= got.Start {
		t.Errorf("%d runs: %+v", told, got)
	}
	again, err := Probe(t.Context(), r, c, func(ProbeRun) {})
	if err != nil || again.Rates[1] != got.Rates[1] {
		t.Errorf("%+v, %v; want %+v", again.Rates[1], err, got.Rates[1])
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Probe(ctx, r, c, func(ProbeRun) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestProbeRefuses(t *testing.T) {
	for want, c := range map[string]ProbeConfig{
		"at least two learning rates": {Rates: []float64{1}, Steps: 1, Seeds: 2, HeldOut: 1},
		"above 0":                     {Rates: []float64{0, 1}, Steps: 1, Seeds: 2, HeldOut: 1},
		"given twice":                 {Rates: []float64{1, 1}, Steps: 1, Seeds: 2, HeldOut: 1},
		"at least one step":           {Seeds: 2, HeldOut: 1},
		"at least two seeds":          {Steps: 1, Seeds: 1, HeldOut: 1},
		"cannot be held out":          {Steps: 1, Seeds: 2, HeldOut: 1000},
	} {
		if _, err := Probe(t.Context(), tinyRecipe(t), c, func(ProbeRun) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
