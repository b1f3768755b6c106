package optim_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"gotune/internal/kernel"
	"gotune/optim"
)

//go:embed testdata/optimizers.json
var others []byte

// A goldenCase is ten steps of an optimizer of testdata/optimizers.py.
type goldenCase struct {
	Names  []string
	Shapes [][]int
	Steps  []struct {
		Norm   float64
		Values [][]float32
	}
	State map[string][]float32
	Codes map[string][]byteCode
}

// A byteCode is a byte in JSON, where a slice of bytes would be text.
type byteCode int

// parameters have the values of testdata/optimizers.py.
func (g goldenCase) parameters() []optim.Parameter {
	var params []optim.Parameter
	for t, name := range g.Names {
		n := 1
		for _, d := range g.Shapes[t] {
			n *= d
		}
		p := optim.Parameter{Name: name, Shape: g.Shapes[t], Value: make([]float32, n), Grad: make([]float32, n)}
		for i := range p.Value {
			p.Value[i] = float32((i*37+t*11)%101-50) / 64
		}
		params = append(params, p)
	}
	return params
}

// every has a configuration of every optimizer and of everything that changes
// the settings of a parameter.
var every = map[string]optim.Config{
	"sgd":          {Name: "sgd", WeightDecay: .1, MaxGradNorm: 2},
	"sgd momentum": {Name: "sgd", Momentum: .9, WeightDecay: .1, MaxGradNorm: 2},
	"sgd nesterov": {Name: "sgd", Momentum: .9, Nesterov: true, WeightDecay: .1, MaxGradNorm: 2},
	"lion":         {Name: "lion", Beta1: .9, Beta2: .99, WeightDecay: .1, MaxGradNorm: 2},
	"adamw groups": {Name: "adamw", Beta1: .9, Beta2: .999, Epsilon: 1e-8, WeightDecay: .1, MaxGradNorm: 2, Groups: []optim.Group{
		{Pattern: `^a\.`, RateScale: new(.1)},
		{Pattern: `^[ac]\.`, RateScale: new(.5), WeightDecay: new(.5)},
	}},
	"loraplus": {Name: "adamw", Beta1: .9, Beta2: .999, Epsilon: 1e-8, WeightDecay: .1, MaxGradNorm: 2,
		Scales: []optim.Scale{optim.LoRAPlus(16)}},
}

// Ten steps against PyTorch and PEFT: one is clipped, one has tiny gradients, and
// the tensor of one dimension does not decay.
func TestOptimizersAreThoseOfPyTorchAndPEFT(t *testing.T) {
	var file struct{ Cases map[string]goldenCase }
	if err := json.Unmarshal(others, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != len(every) {
		t.Errorf("%d cases in the file, %d here", len(file.Cases), len(every))
	}
	for name, want := range file.Cases {
		for _, level := range kernel.Levels() {
			t.Run(fmt.Sprintf("%s/%v", name, level), func(t *testing.T) {
				defer kernel.SetLevel(level)()
				follow(t, want, every[name], rate)
			})
		}
	}
}

// follow takes the steps of a case. Steps without values compare the norm alone.
func follow(t *testing.T, want goldenCase, c optim.Config, rate func(step int) float64) {
	params := want.parameters()
	o, err := optim.New(nil, params, c)
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
		for i, values := range w.Values {
			p := params[i]
			// Values are below 2 and steps below 0.2: a few roundings of them.
			compare(t, fmt.Sprintf("step %d %s", step, p.Name), p.Value, values, 1e-6)
		}
	}
	state := o.State()
	if state.Steps != len(want.Steps) || len(state.Tensors) != len(want.State)+len(want.Codes) {
		t.Errorf("state of %d steps and %d tensors, want %d and %d", state.Steps, len(state.Tensors), len(want.Steps), len(want.State)+len(want.Codes))
	}
	for _, s := range state.Tensors {
		if s.Codes != nil {
			compareCodes(t, s, want.Codes[s.Name])
			continue
		}
		w, size := want.State[s.Name], float32(1)
		if len(w) != len(s.Data) {
			t.Fatalf("state %s has %d values, want %d", s.Name, len(s.Data), len(w))
		}
		for _, v := range w {
			size = max(size, v, -v)
		}
		compare(t, s.Name, s.Data, w, 1e-6*size)
	}
}

// compareCodes compares averages of a byte each. Sums that are fused or not lie on both
// sides of the middle between two values now and then.
func compareCodes(t *testing.T, s optim.Tensor, want []byteCode) {
	t.Helper()
	if len(s.Codes) != len(want) {
		t.Fatalf("state %s has %d codes, want %d", s.Name, len(s.Codes), len(want))
	}
	others := 0
	for i, w := range want {
		switch d := int(s.Codes[i]) - int(w); {
		case d == 1 || d == -1:
			others++
		case d != 0:
			t.Fatalf("%s[%d]: code %d, want %d", s.Name, i, s.Codes[i], w)
		}
	}
	if 1000*others > len(want) {
		t.Errorf("%s: %d of %d codes are those of a neighbour", s.Name, others, len(want))
	}
}
