package optim_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/kernel"
	"gotune/optim"
)

//go:embed testdata/adamw.json
var golden []byte

var settings = optim.AdamWConfig{Beta1: .9, Beta2: .999, Epsilon: 1e-8, WeightDecay: .1, MaxGradNorm: 2}

// parameters have the shapes and values of testdata/adamw.py, in an order that
// is not that of their names.
func parameters() []optim.Parameter {
	params := []optim.Parameter{
		{Name: "a.weight", Shape: []int{3, 5}},
		{Name: "b.weight", Shape: []int{17}},
		{Name: "c.weight", Shape: []int{8, 4}},
	}
	for t := range params {
		p := &params[t]
		n := []int{15, 17, 32}[t]
		p.Value, p.Grad = make([]float32, n), make([]float32, n)
		for i := range p.Value {
			p.Value[i] = float32((i*37+t*11)%101-50) / 64
		}
	}
	return params
}

func setGradients(params []optim.Parameter, step int) {
	size := float32(1)
	switch step {
	case 3:
		size = 64
	case 5:
		size = 0x1p-26
	}
	for t, p := range params {
		for i := range p.Grad {
			p.Grad[i] = float32((i*53+step*29+t*7)%127-63) / 256 * size
		}
	}
}

func rate(step int) float64 { return 1e-2 * (1 - float64(step)/20) }

// Ten steps against torch.optim.AdamW: one is clipped, in one epsilon counts,
// and the tensor of one dimension does not decay.
func TestAdamWIsThatOfPyTorch(t *testing.T) {
	var want struct {
		Steps []struct {
			Norm   float64
			Values [][]float32
		}
		ExpAvg   [][]float32 `json:"exp_avg"`
		ExpAvgSq [][]float32 `json:"exp_avg_sq"`
	}
	if err := json.Unmarshal(golden, &want); err != nil {
		t.Fatal(err)
	}
	params := parameters()
	shuffled := []optim.Parameter{params[2], params[0], params[1]}
	o, err := optim.NewAdamW(nil, shuffled, settings)
	if err != nil {
		t.Fatal(err)
	}
	for step, w := range want.Steps {
		setGradients(params, step)
		norm, err := o.Step(rate(step))
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(norm-w.Norm) > 1e-6*w.Norm {
			t.Errorf("step %d: norm %v, want %v", step, norm, w.Norm)
		}
		for i, p := range params {
			// A step is about as large as the rate; values are below 1.
			compare(t, fmt.Sprintf("step %d %s", step, p.Name), p.Value, w.Values[i], 3e-7)
		}
	}
	for i, s := range o.State().Tensors {
		wantTensor, size := want.ExpAvg[i/2], float32(1)
		if i%2 == 1 {
			wantTensor = want.ExpAvgSq[i/2]
		}
		for _, v := range wantTensor {
			size = max(size, v)
		}
		compare(t, s.Name, s.Data, wantTensor, 1e-6*size)
	}
}

func compare(t *testing.T, what string, got, want []float32, bound float32) {
	t.Helper()
	for i := range want {
		if d := got[i] - want[i]; !(d <= bound && d >= -bound) {
			t.Errorf("%s[%d]: %v, want %v ± %v", what, i, got[i], want[i], bound)
			return
		}
	}
}

// The first step by hand: both averages are unbiased, so the step is
// rate·g/(|g| + ε), whatever the size of g, and a matrix shrinks by rate·λ.
func TestFirstStep(t *testing.T) {
	value := []float32{1, 1, 1, 1}
	params := []optim.Parameter{{Name: "w", Shape: []int{2, 2}, Value: value, Grad: []float32{5, -5, 1e-3, 1e-8}}}
	o, err := optim.NewAdamW(nil, params, optim.AdamWConfig{Beta1: .9, Beta2: .999, Epsilon: 1e-8, WeightDecay: .5})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Step(.1); err != nil {
		t.Fatal(err)
	}
	// 1·(1 − .1·.5) − .1·{1, −1, 1, ½}
	compare(t, "value", value, []float32{.85, 1.05, .85, .9}, 2e-6)
}

func TestClipFactor(t *testing.T) {
	tests := []struct{ norm, limit, want float64 }{
		{4, 1, 1 / 4.000001}, {1, 1, 1 / 1.000001}, {.5, 1, 1}, {0, 1, 1}, {1e9, 0, 1}, {3, 6, 1},
	}
	for _, tt := range tests {
		if got := optim.ClipFactor(tt.norm, tt.limit); math.Abs(got-tt.want) > 1e-15 {
			t.Errorf("norm %v, limit %v: %v, want %v", tt.norm, tt.limit, got, tt.want)
		}
	}
}

func TestGlobalNorm(t *testing.T) {
	params := []optim.Parameter{{Grad: []float32{1, 2, 2}}, {Grad: []float32{}}, {Grad: []float32{4, -12}}}
	if got := optim.GlobalNorm(nil, params); got != 13 {
		t.Errorf("norm %v, want 13", got)
	}
}

// big returns parameters that are worth splitting among threads.
func big() []optim.Parameter {
	var params []optim.Parameter
	for i, n := range []int{70_000, 33, 200_001} {
		p := optim.Parameter{Name: fmt.Sprint(i), Shape: []int{n, 1}, Value: make([]float32, n), Grad: make([]float32, n)}
		for j := range n {
			p.Value[j] = float32(j%997) / 64
			p.Grad[j] = float32((j*7919+i)%1009-500) / 300
		}
		params = append(params, p)
	}
	return params
}

func TestThreadsChangeNoBit(t *testing.T) {
	run := func(team *kernel.Team) (norms []float64, params []optim.Parameter) {
		params = big()
		o, err := optim.NewAdamW(team, params, settings)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			norm, err := o.Step(1e-2)
			if err != nil {
				t.Fatal(err)
			}
			norms = append(norms, norm)
		}
		return norms, params
	}
	team := kernel.NewTeam(3)
	defer team.Close()
	wantNorms, want := run(nil)
	gotNorms, got := run(team)
	if !slices.Equal(gotNorms, wantNorms) {
		t.Errorf("norms %v with three threads, %v with one", gotNorms, wantNorms)
	}
	for i := range want {
		if !slices.Equal(got[i].Value, want[i].Value) {
			t.Errorf("parameter %d differs", i)
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	team := kernel.NewTeam(2)
	defer team.Close()
	o, err := optim.NewAdamW(team, big(), settings)
	if err != nil {
		t.Fatal(err)
	}
	// Go may start a thread of the system meanwhile, which takes seven allocations once.
	if n := testing.AllocsPerRun(50, func() {
		if _, err := o.Step(1e-3); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An optimizer restored after four steps takes the same next six, in bits.
func TestRestoreContinues(t *testing.T) {
	whole := parameters()
	a, err := optim.NewAdamW(nil, whole, settings)
	if err != nil {
		t.Fatal(err)
	}
	var saved optim.State
	half := parameters()
	for step := range 10 {
		if step == 4 {
			saved = a.State()
			for i := range saved.Tensors {
				saved.Tensors[i].Data = slices.Clone(saved.Tensors[i].Data)
			}
			slices.Reverse(saved.Tensors)
			for i := range half {
				copy(half[i].Value, whole[i].Value)
			}
		}
		setGradients(whole, step)
		if _, err := a.Step(rate(step)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := optim.NewAdamW(nil, half, settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(saved); err != nil {
		t.Fatal(err)
	}
	for step := 4; step < 10; step++ {
		setGradients(half, step)
		if _, err := b.Step(rate(step)); err != nil {
			t.Fatal(err)
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
}

func TestRestoreRefuses(t *testing.T) {
	fresh := func() *optim.AdamW {
		o, err := optim.NewAdamW(nil, parameters(), settings)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	tests := []struct {
		change func(*optim.State)
		want   string
	}{
		{func(s *optim.State) { s.Steps = -1 }, "-1 steps"},
		{func(s *optim.State) { s.Tensors = s.Tensors[:5] }, "no tensor c.weight.exp_avg_sq"},
		{func(s *optim.State) { s.Tensors[2].Name = "d" }, "tensor d belongs to no parameter"},
		{func(s *optim.State) { s.Tensors[2] = s.Tensors[3] }, "no tensor b.weight.exp_avg"},
		{func(s *optim.State) { s.Tensors[0].Shape = []int{5, 3} }, "tensor a.weight.exp_avg has shape [5 3]"},
		{func(s *optim.State) { s.Tensors[0].Data = s.Tensors[0].Data[1:] }, "and 14 values"},
	}
	for _, tt := range tests {
		s := fresh().State()
		tt.change(&s)
		for i := range s.Tensors {
			for j := range s.Tensors[i].Data {
				s.Tensors[i].Data[j] = 1
			}
		}
		o := fresh()
		if err := o.Restore(s); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
		if diff := cmp.Diff(fresh().State(), o.State()); diff != "" {
			t.Errorf("%s: the state has changed:\n%s", tt.want, diff)
		}
	}
}

// A gradient that is no number stops the step before anything has changed.
func TestStepRefusesGradientsThatAreNoNumbers(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		params := parameters()
		setGradients(params, 0)
		o, err := optim.NewAdamW(nil, params, settings)
		if err != nil {
			t.Fatal(err)
		}
		params[1].Grad[4] = bad
		if _, err := o.Step(1e-2); err == nil || !strings.Contains(err.Error(), "the norm of the gradients of step 1 is") {
			t.Errorf("gradient %v: error %v", bad, err)
		}
		for i, p := range parameters() {
			if !slices.Equal(p.Value, params[i].Value) {
				t.Errorf("gradient %v: %s has changed", bad, p.Name)
			}
		}
		if o.State().Steps != 0 {
			t.Errorf("gradient %v: the step counts", bad)
		}
	}
}

func TestNewAdamWRefuses(t *testing.T) {
	with := func(change func(*optim.AdamWConfig)) optim.AdamWConfig {
		c := settings
		change(&c)
		return c
	}
	nan := math.NaN()
	same := parameters()
	same[1].Name = "a.weight"
	short := parameters()
	short[1].Grad = short[1].Grad[1:]
	tests := []struct {
		params []optim.Parameter
		config optim.AdamWConfig
		want   string
	}{
		{nil, settings, "no parameter to train"},
		{same, settings, `two parameters are called "a.weight"`},
		{short, settings, "parameter b.weight of shape [17] has 17 values and 16 gradients"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.Beta1 = 1 }), "adam beta1 1"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.Beta1 = nan }), "adam beta1 NaN"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.Beta2 = -.1 }), "adam beta2 -0.1"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.Epsilon = 0 }), "adam epsilon 0"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.Epsilon = nan }), "adam epsilon NaN"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.WeightDecay = -1 }), "weight decay -1"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.WeightDecay = nan }), "weight decay NaN"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.MaxGradNorm = -1 }), "maximum gradient norm -1"},
		{parameters(), with(func(c *optim.AdamWConfig) { c.MaxGradNorm = nan }), "maximum gradient norm NaN"},
	}
	for _, tt := range tests {
		if _, err := optim.NewAdamW(nil, tt.params, tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
	}
}

// One step down the slope of ½·w².
func ExampleAdamW() {
	w, g := []float32{3}, []float32{0}
	o, err := optim.NewAdamW(nil, []optim.Parameter{{Name: "w", Shape: []int{1}, Value: w, Grad: g}},
		optim.AdamWConfig{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, MaxGradNorm: 1})
	if err != nil {
		panic(err)
	}
	for range 3 {
		g[0] = w[0]
		norm, err := o.Step(0.5)
		if err != nil {
			panic(err)
		}
		fmt.Printf("norm %.2f, w %.2f\n", norm, w[0])
	}
	// Output:
	// norm 3.00, w 2.50
	// norm 2.50, w 2.00
	// norm 2.00, w 1.50
}
