package schedule_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gotune/schedule"
)

// The rates are worked out by hand: cos(π/4) = √½, cos(π/3) = ½, cos(π/2) = 0,
// cos(2π/3) = −½, cos(3π/4) = −√½, cos(π) = −1.
func TestRate(t *testing.T) {
	half := math.Sqrt2 / 4 // ½·√½
	tests := []struct {
		name   string
		config schedule.Config
		want   []float64
	}{
		{"cosine", schedule.Config{Name: "cosine", Steps: 5, Peak: 1},
			[]float64{1, .5 + half, .5, .5 - half, 0}},
		{"cosine with warmup", schedule.Config{Name: "cosine", Steps: 5, WarmupSteps: 2, Peak: 8},
			[]float64{4, 8, 6, 2, 0}},
		{"cosine with warmup and floor", schedule.Config{Name: "cosine", Steps: 6, WarmupSteps: 4, Peak: 8, MinRatio: .25},
			[]float64{2, 4, 6, 8, 5, 2}},
		{"one step of warmup is none", schedule.Config{Name: "cosine", Steps: 3, WarmupSteps: 1, Peak: 4},
			[]float64{4, 2, 0}},
		{"linear", schedule.Config{Name: "linear", Steps: 5, Peak: 4},
			[]float64{4, 3, 2, 1, 0}},
		{"linear with warmup and floor", schedule.Config{Name: "linear", Steps: 6, WarmupRatio: .3, Peak: 10, MinRatio: .2},
			[]float64{5, 10, 8, 6, 4, 2}},
		{"constant with warmup", schedule.Config{Name: "constant", Steps: 4, WarmupRatio: .5, Peak: 3, MinRatio: .1},
			[]float64{1.5, 3, 3, 3}},
		{"all warmup", schedule.Config{Name: "cosine", Steps: 4, WarmupRatio: 1, Peak: 4, MinRatio: .5},
			[]float64{1, 2, 3, 4}},
		{"one step", schedule.Config{Name: "linear", Steps: 1, Peak: 3},
			[]float64{3}},
		{"floor at the peak", schedule.Config{Name: "cosine", Steps: 3, Peak: 3, MinRatio: 1},
			[]float64{3, 3, 3}},
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

func TestFloorIsExactAtTheLastStep(t *testing.T) {
	for _, name := range []string{"cosine", "linear"} {
		for _, ratio := range []float64{0, 0.1, 1. / 3} {
			for steps := 2; steps < 300; steps++ {
				s, err := schedule.New(schedule.Config{Name: name, Steps: steps, WarmupRatio: .03, Peak: 3e-4, MinRatio: ratio})
				if err != nil {
					t.Fatal(err)
				}
				if s.WarmupSteps() == steps {
					continue // the run is over before anything falls
				}
				if got, want := s.Rate(steps-1), ratio*3e-4; got != want {
					t.Fatalf("%s, %d steps, ratio %v: the last rate is %v, want %v", name, steps, ratio, got, want)
				}
				if w := s.WarmupSteps(); s.Rate(w-1) != 3e-4 {
					t.Fatalf("%s, %d steps: rate %v at the end of warmup", name, steps, s.Rate(w-1))
				}
			}
		}
	}
}

func TestConstantIsThePeak(t *testing.T) {
	s, err := schedule.New(schedule.Config{Name: "constant", Steps: 9, Peak: 3e-4, MinRatio: .1})
	if err != nil {
		t.Fatal(err)
	}
	for step := range 9 {
		if got := s.Rate(step); got != 3e-4 {
			t.Errorf("step %d: %v", step, got)
		}
	}
}

func TestWarmupSteps(t *testing.T) {
	tests := []struct {
		ratio float64
		steps int
		want  int
	}{
		{0, 100, 0}, {.03, 100, 3}, {.03, 101, 4}, {.1, 1, 1}, {1, 7, 7},
		{.07, 100, 7}, {.55, 100, 55}, {.29, 100, 29}, {.1, 3, 1},
	}
	for _, tt := range tests {
		s, err := schedule.New(schedule.Config{Name: "linear", Steps: tt.steps, WarmupRatio: tt.ratio, Peak: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.WarmupSteps(); got != tt.want {
			t.Errorf("ratio %v of %d steps: %d, want %d", tt.ratio, tt.steps, got, tt.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		config schedule.Config
		want   string
	}{
		{schedule.Config{Name: "sine", Steps: 1}, `unknown schedule "sine": there are constant, cosine, cosine_with_restarts, inverse_sqrt, linear, polynomial, wsd`},
		{schedule.Config{Name: "cosine"}, "0 steps"},
		{schedule.Config{Name: "cosine", Steps: 3, WarmupSteps: 4}, "warmup of 4 steps is longer than the run of 3"},
		{schedule.Config{Name: "cosine", Steps: 3, WarmupSteps: -1}, "warmup of -1 steps"},
		{schedule.Config{Name: "cosine", Steps: 3, WarmupSteps: 1, WarmupRatio: .1}, "given twice"},
		{schedule.Config{Name: "cosine", Steps: 3, WarmupRatio: 1.1}, "warmup ratio 1.1"},
		{schedule.Config{Name: "cosine", Steps: 3, WarmupRatio: -.1}, "warmup ratio -0.1"},
		{schedule.Config{Name: "cosine", Steps: 3, WarmupRatio: math.NaN()}, "warmup ratio NaN"},
		{schedule.Config{Name: "cosine", Steps: 3, Peak: -1e-4}, "learning rate -0.0001"},
		{schedule.Config{Name: "cosine", Steps: 3, Peak: math.NaN()}, "learning rate NaN"},
		{schedule.Config{Name: "cosine", Steps: 3, Peak: math.Inf(1)}, "learning rate +Inf"},
		{schedule.Config{Name: "constant", Steps: 3, MinRatio: 1.5}, "not above the peak"},
		{schedule.Config{Name: "cosine", Steps: 3, MinRatio: -.5}, "minimum learning rate -0.5"},
		{schedule.Config{Name: "cosine", Steps: 3, MinRatio: math.NaN()}, "minimum learning rate NaN"},
	}
	for _, tt := range tests {
		if _, err := schedule.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.config, err, tt.want)
		}
	}
}

func Example() {
	s, err := schedule.New(schedule.Config{
		Name: "cosine", Steps: 6, WarmupSteps: 2, Peak: 3e-4, MinRatio: 0.1,
	})
	if err != nil {
		panic(err)
	}
	for step := range s.Steps() {
		fmt.Printf("%.2e ", s.Rate(step))
	}
	// Output: 1.50e-04 3.00e-04 2.60e-04 1.65e-04 6.95e-05 3.00e-05
}
