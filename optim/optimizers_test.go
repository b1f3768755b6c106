package optim_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/kernel"
	"gotune/optim"
)

// everywhere runs a test for every configuration of golden_test.go and methods_test.go
// that fits the parameters of fit.
func everywhere(t *testing.T, test func(t *testing.T, c optim.Config)) {
	for name, c := range every {
		if name != "loraplus" {
			t.Run(name, func(t *testing.T) { test(t, c) })
		}
	}
	for name, m := range methodSettings {
		if m.config.Name == "adamw_8bit" {
			m.config.BlockSize, m.config.Min8BitSize = 16, 16 // of parameters of 15 to 32 elements
		}
		t.Run(name, func(t *testing.T) { test(t, m.config) })
	}
}

// fit returns parameters that a configuration has a use for: Muon wants matrices of blocks.
func fit(c optim.Config) []optim.Parameter {
	params := parameters()
	if c.Name == "muon" {
		for i := range params {
			params[i].Name = strings.Replace(params[i].Name, ".", ".layers.0.", 1)
		}
	}
	return params
}

func make1(t *testing.T, team *kernel.Team, params []optim.Parameter, c optim.Config) optim.Optimizer {
	t.Helper()
	o, err := optim.New(team, params, c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The first two steps of w = 1 with gradients 4 and −2, no decay but where it says
// so: worked out by hand.
func TestFirstSteps(t *testing.T) {
	tests := []struct {
		name   string
		config optim.Config
		want   [2]float32
	}{
		{"sgd", optim.Config{Name: "sgd"}, [2]float32{1 - .1*4, .6 + .1*2}},
		{"sgd with decay", optim.Config{Name: "sgd", WeightDecay: .5}, [2]float32{1 - .1*4.5, .55 - .1*(-2+.275)}},
		// u = 4, then .5·4 − 2 = 0.
		{"momentum", optim.Config{Name: "sgd", Momentum: .5}, [2]float32{1 - .1*4, .6}},
		// g + .5·u = 6, then −2 + .5·0 = −2.
		{"nesterov", optim.Config{Name: "sgd", Momentum: .5, Nesterov: true}, [2]float32{1 - .1*6, .4 + .1*2}},
		// c = 2, then m = 2, c = .5·2 − .5·2 = 0: no step.
		{"lion", optim.Config{Name: "lion", Beta1: .5, Beta2: .5}, [2]float32{.9, .9}},
		// m = 1 after the first step; c = .5·1 − .5·2 < 0.
		{"lion with decay", optim.Config{Name: "lion", Beta1: .5, Beta2: .75, WeightDecay: .5}, [2]float32{.95 - .1, .85*.95 + .1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value, grad := []float32{1}, []float32{4}
			o := make1(t, nil, []optim.Parameter{{Name: "w", Shape: []int{1, 1}, Value: value, Grad: grad}}, tt.config)
			for step, want := range tt.want {
				if _, err := o.Step(.1); err != nil {
					t.Fatal(err)
				}
				compare(t, fmt.Sprint("step ", step), value, []float32{want}, 2e-7)
				grad[0] = -2
			}
		})
	}
}

func TestThreadsChangeNoBitOfAny(t *testing.T) {
	team := kernel.NewTeam(3)
	defer team.Close()
	everywhere(t, func(t *testing.T, c optim.Config) {
		c.Groups = nil // the names are others
		one, three := big(), big()
		a, b := make1(t, nil, one, c), make1(t, team, three, c)
		for range 3 {
			x, _ := a.Step(1e-2)
			y, _ := b.Step(1e-2)
			if x != y {
				t.Errorf("norm %v with three threads, %v with one", y, x)
			}
		}
		for i := range one {
			if !slices.Equal(one[i].Value, three[i].Value) {
				t.Errorf("parameter %d differs", i)
			}
		}
		// Go may start a thread of the system meanwhile, which takes seven allocations once.
		if n := testing.AllocsPerRun(20, func() { _, _ = b.Step(1e-3) }); n != 0 {
			t.Errorf("a step makes %v allocations", n)
		}
	})
}

// Whichever optimizer: restored after four steps it takes the same next six, in bits.
func TestRestoreContinuesAny(t *testing.T) {
	everywhere(t, func(t *testing.T, c optim.Config) {
		whole, half := fit(c), fit(c)
		a, b := make1(t, nil, whole, c), make1(t, nil, half, c)
		for step := range 10 {
			if step == 4 {
				if err := b.Restore(a.State()); err != nil {
					t.Fatal(err)
				}
				for i := range half {
					copy(half[i].Value, whole[i].Value)
				}
			}
			for i, o := range []optim.Optimizer{a, b} {
				if i == 1 && step < 4 {
					continue
				}
				params := [][]optim.Parameter{whole, half}[i]
				setGradients(params, step)
				if _, err := o.Step(rate(step)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(a.State(), b.State()); diff != "" {
			t.Errorf("states differ:\n%s", diff)
		}
		for i := range whole {
			if !slices.Equal(whole[i].Value, half[i].Value) {
				t.Errorf("%s differs", whole[i].Name)
			}
		}
	})
}

// The state of one optimizer is refused by every other one.
func TestRestoreRefusesTheStateOfAnother(t *testing.T) {
	kinds := []string{"sgd momentum", "lion", "adamw groups"}
	for _, from := range kinds {
		for _, to := range kinds {
			state := make1(t, nil, parameters(), every[from]).State()
			err := make1(t, nil, parameters(), every[to]).Restore(state)
			if (err == nil) != (from == to) {
				t.Errorf("state of %s for %s: error %v", from, to, err)
			}
		}
	}
	if err := make1(t, nil, parameters(), every["sgd"]).Restore(make1(t, nil, parameters(), every["lion"]).State()); err == nil {
		t.Error("sgd without momentum takes the state of lion")
	}
}

func TestStepRefusesNaNWhicheverOptimizer(t *testing.T) {
	everywhere(t, func(t *testing.T, c optim.Config) {
		params := fit(c)
		o := make1(t, nil, params, c)
		params[1].Grad[4] = float32(math.NaN())
		if _, err := o.Step(1e-2); err == nil || o.State().Steps != 0 {
			t.Errorf("error %v, %d steps taken", err, o.State().Steps)
		}
		for i, p := range parameters() {
			if !slices.Equal(p.Value, params[i].Value) {
				t.Errorf("%s has changed", p.Name)
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		config optim.Config
		want   string
	}{
		{optim.Config{Name: "adam"}, `unknown optimizer "adam": there are adafactor, adamw, adamw_8bit, lion, muon, sgd`},
		{optim.Config{Name: "sgd", Momentum: 1}, "sgd momentum 1"},
		{optim.Config{Name: "sgd", Momentum: -.1}, "sgd momentum -0.1"},
		{optim.Config{Name: "sgd", Momentum: nan}, "sgd momentum NaN"},
		{optim.Config{Name: "sgd", Nesterov: true}, "nesterov needs a momentum above 0"},
		{optim.Config{Name: "lion", Beta1: 1}, "lion beta1 1"},
		{optim.Config{Name: "lion", Beta2: nan}, "lion beta2 NaN"},
		{with(adamw8, func(c *optim.Config) { c.BlockSize = 8 }), "8-bit block size 8"},
		{with(adamw8, func(c *optim.Config) { c.Min8BitSize = -1 }), "min_8bit_size -1"},
		{with(adamw8, func(c *optim.Config) { c.Beta2 = 1 }), "adam beta2 1"},
		{with(adafactor, func(c *optim.Config) { c.ClipThreshold = nan }), "clip_threshold NaN"},
		{with(adafactor, func(c *optim.Config) { c.DecayRate = 0 }), "adafactor decay rate 0"},
		{with(adafactor, func(c *optim.Config) { c.FirstMoment = 1 }), "adafactor beta1 1"},
		{muon, "none is trained (a.weight is none)"},
		{with(muon, func(c *optim.Config) { c.MuonMomentum = 1 }), "muon momentum 1"},
		{with(muon, func(c *optim.Config) { c.NSSteps = 0 }), "muon has 0 steps"},
		{with(muon, func(c *optim.Config) { c.AdjustLR = "spectral" }), `muon's adjustment of the rate is "spectral"`},
		{optim.Config{Name: "sgd", WeightDecay: inf}, "weight decay +Inf"},
		{optim.Config{Name: "sgd", MaxGradNorm: nan}, "maximum gradient norm NaN"},
	}
	for _, tt := range tests {
		if _, err := optim.New(nil, parameters(), tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
	}
}
