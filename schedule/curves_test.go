package schedule_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gotune/schedule"
)

// The rates are worked out by hand.
func TestCurves(t *testing.T) {
	root := math.Sqrt
	tests := []struct {
		name   string
		config schedule.Config
		want   []float64
	}{
		{"one cycle is cosine", schedule.Config{Name: "cosine_with_restarts", Cycles: 1, Steps: 3, Peak: 4},
			[]float64{4, 2, 0}},
		{"two cycles", schedule.Config{Name: "cosine_with_restarts", Cycles: 2, Steps: 6, Peak: 4},
			[]float64{4, 2, 0, 4, 2, 0}},
		{"two cycles of five steps", schedule.Config{Name: "cosine_with_restarts", Cycles: 2, Steps: 5, Peak: 4, MinRatio: .5},
			[]float64{4, 2, 4, 3, 2}},
		{"the shortest cycles", schedule.Config{Name: "cosine_with_restarts", Cycles: 3, Steps: 6, Peak: 4},
			[]float64{4, 0, 4, 0, 4, 0}},
		{"cycles begin with the last step of warmup", schedule.Config{Name: "cosine_with_restarts", Cycles: 2, Steps: 7, WarmupSteps: 2, Peak: 4},
			[]float64{2, 4, 2, 0, 4, 2, 0}},

		{"wsd linear", schedule.Config{Name: "wsd", DecayType: "linear", DecaySteps: 2, Steps: 6, WarmupSteps: 2, Peak: 4},
			[]float64{2, 4, 4, 4, 2, 0}},
		{"wsd cosine with floor", schedule.Config{Name: "wsd", DecayType: "cosine", DecayRatio: .5, Steps: 6, Peak: 4, MinRatio: .5},
			[]float64{4, 4, 4, 3.5, 2.5, 2}},
		{"wsd root", schedule.Config{Name: "wsd", DecayType: "sqrt", DecaySteps: 4, Steps: 6, WarmupSteps: 1, Peak: 4},
			[]float64{4, 4, 2, 4 - 2*root(2), 4 - 2*root(3), 0}},
		{"wsd without a stable part", schedule.Config{Name: "wsd", DecayType: "linear", DecayRatio: 1, Steps: 5, Peak: 4},
			[]float64{4, 3, 2, 1, 0}},
		{"both shares rounded up", schedule.Config{Name: "wsd", DecayType: "linear", WarmupRatio: .3, DecayRatio: .7, Steps: 5, Peak: 3},
			[]float64{1.5, 3, 2, 1, 0}},
		{"wsd of one step", schedule.Config{Name: "wsd", DecayType: "linear", DecayRatio: .1, Steps: 1, Peak: 3},
			[]float64{3}},

		{"inverse root", schedule.Config{Name: "inverse_sqrt", Steps: 9, WarmupSteps: 2, Peak: 4},
			[]float64{2, 4, 4 * root(2./3), 4 * root(2./4), 4 * root(2./5), 4 * root(2./6), 4 * root(2./7), 2, 4 * root(2./9)}},
		{"inverse root with time scale", schedule.Config{Name: "inverse_sqrt", Timescale: 1, Steps: 4, Peak: 4},
			[]float64{4, 4 * root(1./2), 4 * root(1./3), 2}},
		{"inverse root stops at the floor", schedule.Config{Name: "inverse_sqrt", Timescale: 1, Steps: 6, Peak: 4, MinRatio: .5},
			[]float64{4, 4 * root(1./2), 4 * root(1./3), 2, 2, 2}},
		{"inverse root with the floor at the peak", schedule.Config{Name: "inverse_sqrt", Timescale: 1, Steps: 3, Peak: 4, MinRatio: 1},
			[]float64{4, 4, 4}},

		{"polynomial of power 1 is linear", schedule.Config{Name: "polynomial", Power: 1, Steps: 5, Peak: 4},
			[]float64{4, 3, 2, 1, 0}},
		{"polynomial of power 2", schedule.Config{Name: "polynomial", Power: 2, Steps: 5, Peak: 16, MinRatio: .5},
			[]float64{16, 12.5, 10, 8.5, 8}},
		{"polynomial of power ½", schedule.Config{Name: "polynomial", Power: .5, Steps: 3, WarmupSteps: 1, Peak: 4},
			[]float64{4, 4 * root(.5), 0}},

		{"warmup by epochs", schedule.Config{Name: "linear", Steps: 6, StepsPerEpoch: 3, WarmupEpochs: .5, Peak: 8},
			[]float64{4, 8, 6, 4, 2, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := schedule.New(tt.config)
			if err != nil {
				t.Fatal(err)
			}
			for step, want := range tt.want {
				if got := s.Rate(step); math.Abs(got-want) > 1e-15*tt.config.Peak {
					t.Errorf("step %d: %v, want %v", step, got, want)
				}
			}
		})
	}
}

func TestNewRefusesSettingsOfCurves(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		config schedule.Config
		want   string
	}{
		{schedule.Config{Name: "cosine_with_restarts", Steps: 9}, "0 cycles"},
		{schedule.Config{Name: "cosine_with_restarts", Steps: 9, Cycles: 5}, "5 cycles in 9 steps from the peak on"},
		{schedule.Config{Name: "cosine_with_restarts", Steps: 9, WarmupSteps: 9, Cycles: 2}, "2 cycles in 1 steps"},
		{schedule.Config{Name: "wsd", Steps: 9, DecayRatio: .1}, `unknown decay type "": there are 1-sqrt, cosine, linear, sqrt`},
		{schedule.Config{Name: "wsd", Steps: 9, DecayType: "linear"}, "wsd without a decay would never fall"},
		{schedule.Config{Name: "wsd", Steps: 9, DecayType: "linear", DecaySteps: -1}, "decay of -1 steps"},
		{schedule.Config{Name: "wsd", Steps: 9, DecayType: "linear", DecayRatio: 1.5}, "decay ratio 1.5"},
		{schedule.Config{Name: "wsd", Steps: 9, DecayType: "linear", DecayRatio: nan}, "decay ratio NaN"},
		{schedule.Config{Name: "wsd", Steps: 9, DecayType: "linear", WarmupSteps: 5, DecaySteps: 6}, "decay of 6 steps is longer than the 4 that are left"},
		{schedule.Config{Name: "inverse_sqrt", Steps: 9, Timescale: -1}, "time scale -1"},
		{schedule.Config{Name: "inverse_sqrt", Steps: 9, Timescale: inf}, "time scale +Inf"},
		{schedule.Config{Name: "polynomial", Steps: 9}, "power 0"},
		{schedule.Config{Name: "polynomial", Steps: 9, Power: nan}, "power NaN"},
		{schedule.Config{Name: "polynomial", Steps: 9, Power: inf}, "power +Inf"},
		{schedule.Config{Name: "linear", Steps: 9, WarmupEpochs: 1}, "steps of an epoch is not known"},
		{schedule.Config{Name: "linear", Steps: 9, WarmupEpochs: -1, StepsPerEpoch: 2}, "warmup of -1 epochs"},
		{schedule.Config{Name: "linear", Steps: 9, WarmupEpochs: nan, StepsPerEpoch: 2}, "warmup of NaN epochs"},
		{schedule.Config{Name: "linear", Steps: 9, WarmupEpochs: 5, StepsPerEpoch: 2}, "warmup of 10 steps is longer than the run of 9"},
		{schedule.Config{Name: "linear", Steps: 9, WarmupEpochs: 1e300, StepsPerEpoch: 2}, "is longer than the run of 9"},
		{schedule.Config{Name: "linear", Steps: 9, WarmupEpochs: 1, WarmupRatio: .1, StepsPerEpoch: 2}, "given twice"},
	}
	for _, tt := range tests {
		if _, err := schedule.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.config, err, tt.want)
		}
	}
}

// Two stages share a curve by the step of the whole run. The second has half the
// peak: its rates are half of what they would have been.
func TestStagesShareACurve(t *testing.T) {
	whole := schedule.Config{Name: "cosine", Steps: 20, WarmupSteps: 4, Peak: 1, MinRatio: .1}
	half := whole
	half.Peak = .5
	a, err := schedule.New(whole)
	if err != nil {
		t.Fatal(err)
	}
	b, err := schedule.New(half)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 20 {
		if got, want := b.Rate(step), a.Rate(step)/2; got != want {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
}

// Whatever New takes has rates that are numbers, rise in the warmup, and lie
// between floor and peak afterwards.
func FuzzConfig(f *testing.F) {
	for i := range schedule.Names() {
		f.Add(i, 100, 10, 5, .1, 0., 3e-4, .1, 3, 7, .2, 1, 0., 2.)
		f.Add(i, 7, 3, 0, 0., .5, 1., 0., 1, 0, 1., 2, 3., .1)
		f.Add(i, 1, 1, 0, 1., 0., 1e-3, 1., 2, 0, .5, 0, 1e9, 1e9)
	}
	f.Fuzz(func(t *testing.T, name, steps, perEpoch, warmup int, ratio, epochs, peak, floor float64,
		cycles, decay int, decayRatio float64, decayType int, scale, power float64) {
		names, types := schedule.Names(), schedule.DecayTypes()
		c := schedule.Config{
			Name: names[uint(name)%uint(len(names))], Steps: steps, StepsPerEpoch: perEpoch,
			WarmupSteps: warmup, WarmupRatio: ratio, WarmupEpochs: epochs, Peak: peak, MinRatio: floor,
			Cycles: cycles, DecaySteps: decay, DecayRatio: decayRatio, DecayType: types[uint(decayType)%uint(len(types))],
			Timescale: scale, Power: power,
		}
		s, err := schedule.New(c)
		if err != nil || c.Peak > 1e300 {
			return
		}
		w := max(s.WarmupSteps(), 1)
		rounding := 0x1p-50*c.Peak + 0x1p-1070 // of the products
		check := func(step int) {
			rate, least := s.Rate(step), c.MinRatio*c.Peak
			if step < w {
				least = 0
			}
			if !(rate >= least-rounding && rate <= c.Peak+rounding) {
				t.Fatalf("%+v: rate %v at step %d", c, rate, step)
			}
		}
		for step := range min(c.Steps, 2000) {
			check(step)
			check(c.Steps - 1 - step)
		}
		if got := s.Rate(w - 1); got != c.Peak {
			t.Fatalf("%+v: rate %v at the end of warmup", c, got)
		}
		if last := s.Rate(c.Steps - 1); w < c.Steps && last != c.MinRatio*c.Peak && c.Name != "constant" && c.Name != "inverse_sqrt" {
			t.Fatalf("%+v: rate %v at the last step", c, last)
		}
	})
}

// draw prints the rates of ten steps as shares of the peak.
func draw(c schedule.Config) {
	c.Steps, c.Peak = 10, 1
	s, err := schedule.New(c)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.2f", s.Rate(0))
	for step := 1; step < c.Steps; step++ {
		fmt.Printf(" %.2f", s.Rate(step))
	}
	fmt.Println()
}

// Every curve over ten steps, two of them warmup, with a floor of a tenth.
func ExampleNew() {
	draw(schedule.Config{Name: "constant", WarmupSteps: 2, MinRatio: .1})
	draw(schedule.Config{Name: "linear", WarmupSteps: 2, MinRatio: .1})
	draw(schedule.Config{Name: "cosine", WarmupSteps: 2, MinRatio: .1})
	draw(schedule.Config{Name: "cosine_with_restarts", WarmupSteps: 2, MinRatio: .1, Cycles: 3})
	draw(schedule.Config{Name: "wsd", WarmupSteps: 2, MinRatio: .1, DecayRatio: .3, DecayType: "sqrt"})
	draw(schedule.Config{Name: "inverse_sqrt", WarmupSteps: 2, MinRatio: .1})
	draw(schedule.Config{Name: "polynomial", WarmupSteps: 2, MinRatio: .1, Power: 2})
	// Output:
	// 0.50 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00
	// 0.50 1.00 0.89 0.78 0.66 0.55 0.44 0.33 0.21 0.10
	// 0.50 1.00 0.97 0.87 0.72 0.55 0.38 0.23 0.13 0.10
	// 0.50 1.00 0.55 0.10 1.00 0.55 0.10 1.00 0.55 0.10
	// 0.50 1.00 1.00 1.00 1.00 1.00 1.00 0.48 0.27 0.10
	// 0.50 1.00 0.82 0.71 0.63 0.58 0.53 0.50 0.47 0.45
	// 0.50 1.00 0.79 0.61 0.45 0.33 0.23 0.16 0.11 0.10
}
