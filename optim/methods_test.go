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

//go:embed testdata/methods.json
var methodsFile []byte

// methods are the cases of testdata/methods.py.
type methods struct {
	Books struct{ Signed, Unsigned []float32 }
	Cases map[string]goldenCase
	// Muon with its iteration in bfloat16, which ours is not.
	BFloat16 goldenCase
	EMA      map[string]struct {
		goldenCase
		Averages [][][]float32
	}
}

func readMethods(t *testing.T) (m methods) {
	t.Helper()
	if err := json.Unmarshal(methodsFile, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

var (
	adafactor = optim.Config{Name: "adafactor", ClipThreshold: 1, DecayRate: -.8, WeightDecay: .1, MaxGradNorm: 2}
	adamw8    = optim.Config{Name: "adamw_8bit", Beta1: .9, Beta2: .999, Epsilon: 1e-8, BlockSize: 256, Min8BitSize: 64, WeightDecay: .1, MaxGradNorm: 2}
	muon      = optim.Config{Name: "muon", MuonMomentum: .95, NSSteps: 5, AdjustLR: "original",
		Beta1: .9, Beta2: .999, Epsilon: 1e-8, WeightDecay: .1, MaxGradNorm: 2}
)

func with(c optim.Config, change func(*optim.Config)) optim.Config {
	change(&c)
	return c
}

func relative(warmup bool) func(int) float64 {
	return func(step int) float64 { return optim.RelativeStep(step+1, warmup) }
}

// methodSettings are those of the cases.
var methodSettings = map[string]struct {
	config optim.Config
	rate   func(step int) float64
}{
	"adafactor": {adafactor, rate},
	"adafactor scaled, first moment": {with(adafactor, func(c *optim.Config) {
		c.ScaleParameter, c.FirstMoment, c.ClipThreshold, c.DecayRate = true, .9, .5, -.6
	}), rate},
	"adafactor relative":         {with(adafactor, func(c *optim.Config) { c.ScaleParameter = true }), relative(false)},
	"adafactor relative, warmup": {with(adafactor, func(c *optim.Config) { c.ScaleParameter = true }), relative(true)},
	"adamw_8bit":                 {adamw8, rate},
	"adamw_8bit of 2048":         {with(adamw8, func(c *optim.Config) { c.BlockSize = 2048 }), rate},
	"muon":                       {muon, rate},
	"muon as adamw":              {with(muon, func(c *optim.Config) { c.AdjustLR, c.MuonMomentum = "match_rms_adamw", .8 }), rate},
}

// Ten steps against transformers' Adafactor, bitsandbytes' AdamW8bit and PyTorch's Muon.
func TestMethodsAreThoseOfTheirLibraries(t *testing.T) {
	cases := readMethods(t).Cases
	if len(cases) != len(methodSettings) {
		t.Errorf("%d cases in the file, %d here", len(cases), len(methodSettings))
	}
	for name, want := range cases {
		for _, level := range kernel.Levels() {
			t.Run(fmt.Sprintf("%s/%v", name, level), func(t *testing.T) {
				defer kernel.SetLevel(level)()
				follow(t, want, methodSettings[name].config, methodSettings[name].rate)
			})
		}
	}
}

// The iteration in float32 and that in bfloat16, which has 8 bits, agree to what these
// can say: the ten steps are 0.1 in all, and differ by a few hundredths of that.
func TestMuonIsThatOfBFloat16ButForItsBits(t *testing.T) {
	want := readMethods(t).BFloat16
	params := want.parameters()
	o := make1(t, nil, params, muon)
	for step := range want.Steps {
		setGradients(params, step)
		if _, err := o.Step(rate(step)); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range params {
		compare(t, p.Name, p.Value, want.Steps[len(want.Steps)-1].Values[i], 4e-3)
	}
}

// What Muon makes of a matrix has the singular values of an orthogonal one, to within the
// 0.7 to 1.2 that five steps of its iteration leave.
func TestMuonMakesMatricesOrthogonal(t *testing.T) {
	for _, shape := range [][]int{{40, 24}, {24, 40}, {24, 24}} {
		rows, cols := shape[0], shape[1]
		p := optim.Parameter{Name: "layers.0.w", Shape: shape, Value: make([]float32, rows*cols), Grad: make([]float32, rows*cols)}
		for i := range p.Grad {
			p.Grad[i] = float32((i*i*7919+i*104729)%2003-1001) / 1000
		}
		o := make1(t, nil, []optim.Parameter{p}, with(muon, func(c *optim.Config) { c.WeightDecay, c.MaxGradNorm = 0, 0 }))
		if _, err := o.Step(1); err != nil {
			t.Fatal(err)
		}
		// Of k singular values the squares are the trace of x·xᵀ, about k.
		sum, k := 0.0, float64(min(rows, cols))
		for _, v := range p.Value {
			sum += float64(v) * float64(v)
		}
		sum /= max(1, float64(rows)/float64(cols))
		if sum < .7*.7*k || sum > 1.2*1.2*k {
			t.Errorf("%v: singular values of %.2f on average", shape, math.Sqrt(sum/k))
		}
	}
}

func TestDynamicBooksAreThoseOfBitsandbytes(t *testing.T) {
	m := readMethods(t)
	for signed, want := range map[bool][]float32{true: m.Books.Signed, false: m.Books.Unsigned} {
		if book := kernel.DynamicBook(signed); !slices.Equal(book[:], want) {
			t.Errorf("signed %v: %v, want %v", signed, book, want)
		}
	}
}

// Ten updates against EMAModel of diffusers.
func TestEMAIsThatOfDiffusers(t *testing.T) {
	for text, want := range readMethods(t).EMA {
		t.Run(text, func(t *testing.T) {
			var decay float64
			if _, err := fmt.Sscan(text, &decay); err != nil {
				t.Fatal(err)
			}
			params := want.parameters()
			e, err := optim.NewEMA(nil, params, decay)
			if err != nil {
				t.Fatal(err)
			}
			for step, w := range want.Steps {
				for i := range params {
					copy(params[i].Value, w.Values[i])
				}
				e.Update()
				for i, s := range e.State().Tensors {
					compare(t, fmt.Sprint("step ", step, " ", s.Name), s.Data, want.Averages[step][i], 3e-7)
				}
			}
			e.Swap()
			compare(t, "after a swap", params[0].Value, want.Averages[len(want.Steps)-1][0], 3e-7)
			e.Swap()
			if !slices.Equal(params[0].Value, want.Steps[len(want.Steps)-1].Values[0]) {
				t.Error("a second swap does not undo the first")
			}
		})
	}
}

func TestEMAIsRestored(t *testing.T) {
	params := parameters()
	of := func(params []optim.Parameter) *optim.EMA {
		e, err := optim.NewEMA(nil, params, .9)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	a, b := of(params), of(parameters())
	for step := range 6 {
		if step == 3 {
			if err := b.Restore(a.State()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range params[0].Value {
			params[0].Value[i] += float32(step)
		}
		if a.Update(); step >= 3 {
			state := b.State()
			c := of(params)
			if err := c.Restore(state); err != nil {
				t.Fatal(err)
			}
			c.Update()
			if err := b.Restore(c.State()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(a.State(), b.State()); diff != "" {
		t.Errorf("averages differ:\n%s", diff)
	}
	s := a.State()
	s.Tensors = s.Tensors[:2]
	if err := b.Restore(s); err == nil || !strings.Contains(err.Error(), "moving average") {
		t.Errorf("a state without a parameter: error %v", err)
	}
	for _, decay := range []float64{0, 1, -.5, math.NaN()} {
		if _, err := optim.NewEMA(nil, params, decay); err == nil || !strings.Contains(err.Error(), "ema_decay") {
			t.Errorf("decay %v: error %v", decay, err)
		}
	}
}

// Memory is what New takes: the bytes of State, which are those of a checkpoint.
func TestMemory(t *testing.T) {
	everywhere(t, func(t *testing.T, c optim.Config) {
		params := fit(c)
		for i := range params {
			params[i].Value, params[i].Grad = nil, nil
		}
		state, work, err := optim.Memory(params, c)
		if err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		for _, s := range make1(t, nil, fit(c), c).State().Tensors {
			want += 4*int64(len(s.Data)) + int64(len(s.Codes))
		}
		if state != want {
			t.Errorf("%d bytes, want %d", state, want)
		}
		if needs := c.Name == "muon" || c.Name == "adafactor"; (work > 0) != needs {
			t.Errorf("%d bytes of working memory", work)
		}
	})
	large := []optim.Parameter{{Name: "layers.0.w", Shape: []int{512, 1024}}}
	for name, want := range map[string]struct{ state, work int64 }{
		"adamw": {8 << 19, 0}, "adamw groups 8": {2<<19 + 8<<11, 0},
		"adafactor": {4 * (512 + 1024), 4 * (512 + 1024)}, "muon": {4 << 19, 4 * (2<<19 + 2<<18)},
	} {
		c := optim.Config{Name: strings.TrimSuffix(name, " groups 8")}
		if strings.HasSuffix(name, "8") {
			c.Name, c.BlockSize = "adamw_8bit", 256
		}
		state, work, err := optim.Memory(large, c)
		if err != nil || state != want.state || work != want.work {
			t.Errorf("%s: %d bytes and %d, want %d and %d (%v)", name, state, work, want.state, want.work, err)
		}
	}
	if _, _, err := optim.Memory(large, optim.Config{Name: "adam"}); err == nil {
		t.Error("an unknown optimizer has a memory")
	}
}
