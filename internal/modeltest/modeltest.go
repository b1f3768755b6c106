// Package modeltest reads the golden files of package model and compares with
// them. They are made by transformers and PEFT; golden_llama.py, golden_gpt2.py,
// golden_families.py and golden_gemma.py in model/testdata say what is in them.
package modeltest

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/internal/hf"
	"gotune/model"
	"gotune/optim"
)

// Folders are the golden models: a Llama of four heads on two key/value heads with a
// tied head, and one with a head of its own, biases and wide heads; a GPT-2, and
// one with a head of its own and other settings; one or two of each other family.
var Folders = []string{
	"tied", "untied", "gpt2", "gpt2-untied",
	"llama3", "mistral", "qwen2", "qwen3", "phi3", "phi3-longrope", "olmo2", "granite",
	"pythia", "neox-serial", "gemma", "gemma2", "gemma3", "glm", "glm4",
}

// A Golden is what golden.json of a folder holds.
type Golden struct {
	Batches    []Batch
	Full, LoRA Run
	// Loose multiplies what values may be off by, where transformers or PEFT begins with
	// something that it rounds more than is right; 0 is 1.
	Loose float64 `json:"-"`
}

func (g Golden) loose(bound float64) float64 { return max(1, g.Loose) * bound }

// A Batch has two rows of ids and labels that are not yet shifted; Mask is 0 at
// padding.
type Batch struct{ IDs, Labels, Mask [][]int32 }

// A Run is what transformers computes for the full model or the adapted one.
type Run struct {
	Greedy []struct {
		Prompt, IDs []int32
		Penalty     float64
		Logits      []float32 // after the prompt
	}
	Loss       float64     // of the first batch
	NLL        [][]float64 // of each label but a row's first
	StepLosses []float64   `json:"step_losses"`
	StepNorms  []float64   `json:"step_norms"` // before clipping
}

// Read reads golden.json of a folder.
func Read(t testing.TB, folder string) Golden {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g Golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// Tensors reads a safetensors file of a folder.
func Tensors(t testing.TB, folder, file string) map[string]hf.Tensor {
	t.Helper()
	ts, err := hf.ReadFS(os.DirFS(folder), file, file)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

// Load loads the model of a folder.
func Load(t testing.TB, folder string) *model.Model {
	t.Helper()
	m, err := model.Load(t.Context(), os.DirFS(folder), folder)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Shape returns the number of rows and of tokens in each.
func (b Batch) Shape() (rows, length int) { return len(b.IDs), len(b.IDs[0]) }

// Write writes a batch as a program takes it: targets shifted, padding at
// position 0, and the scale that makes the loss a mean over the targets.
func (b Batch) Write(in *model.Inputs) {
	rows, length := b.Shape()
	count := 0
	for r := range rows {
		for t := range length {
			i := r*length + t
			in.IDs[i], in.Positions[i], in.Targets[i] = b.IDs[r][t], int32(t)*b.Mask[r][t], -100
			if t+1 < length && b.Labels[r][t+1] >= 0 {
				in.Targets[i] = b.Labels[r][t+1]
				count++
			}
		}
	}
	in.Scale[0] = 1 / float32(count)
}

// Near reports an error where got differs from want by more than bound times
// the largest absolute value of want. It returns the largest difference in that
// measure.
func Near(t testing.TB, what string, got []float32, want []float32, bound float64) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", what, len(got), len(want))
		return math.Inf(1)
	}
	var largest, worst float64
	at := 0
	for i, w := range want {
		largest = max(largest, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= bound*largest) {
		t.Errorf("%s[%d] = %g, want %g: off by %.2g of the largest value, want at most %g", what, at, got[at], want[at], worst/largest, bound)
	}
	if largest == 0 {
		return 0
	}
	return worst / largest
}

// NearOne is Near for two numbers.
func NearOne(t testing.TB, what string, got, want, bound float64) {
	t.Helper()
	if !(math.Abs(got-want) <= bound*math.Abs(want)) {
		t.Errorf("%s is %.9g, want %.9g within a factor of 1 ± %g", what, got, want, bound)
	}
}

// FirstBatch runs the first batch and compares loss, nll and every gradient, by
// name, with a golden run and its file of gradients.
func FirstBatch(t *testing.T, g Golden, want Run, p *model.Program, params []model.Parameter, grads map[string]hf.Tensor) {
	t.Helper()
	batch := g.Batches[0]
	batch.Write(p.Inputs)
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	// A float32 carries 24 bits: a few roundings of the loss are 1e-6 of it. An
	// nll is the difference of two numbers of the size of the logits.
	NearOne(t, "loss", float64(p.Loss()), want.Loss, g.loose(1e-6))
	t.Logf("loss differs by %.2g of itself", math.Abs(float64(p.Loss())/want.Loss-1))
	var got, nll []float32
	_, length := batch.Shape()
	for r, row := range want.NLL {
		got = append(got, p.NLL()[r*length:(r+1)*length-1]...)
		for _, v := range row {
			nll = append(nll, float32(v))
		}
	}
	t.Logf("nll differs by %.2g of the largest", Near(t, "nll", got, nll, g.loose(1e-6)))
	worst, name := 0.0, ""
	for _, q := range params {
		w, ok := grads[q.Name]
		if !ok || !slices.Equal(w.Shape, q.Shape) {
			t.Errorf("parameter %s has shape %v, golden %v", q.Name, q.Shape, w.Shape)
			continue
		}
		// Sums over some dozens of tokens and two layers in another order.
		if d := Near(t, "gradient of "+q.Name, q.Grad, w.Data, g.loose(5e-6)); d > worst {
			worst, name = d, q.Name
		}
		delete(grads, q.Name)
	}
	for _, left := range slices.Sorted(maps.Keys(grads)) {
		t.Errorf("%s has a golden gradient and is no parameter", left)
	}
	t.Logf("gradients differ by up to %.2g of a tensor's largest (%s)", worst, name)
}

// A keyBias says which elements of a bias, by the end of its name, are those of keys that
// are not turned by rotary embeddings: from … to−1 of every period.
type keyBias struct {
	name             string
	period, from, to int
}

// keyBiases are those of the golden models: queries, keys and values of GPT-2; of
// GPT-NeoX, whose heads of 8 have them beside each other and are turned by half; and the
// keys of GLM, of the same width.
var keyBiases = []keyBias{
	{".c_attn.bias", 3 * 32, 32, 64}, {".query_key_value.bias", 24, 12, 16}, {".k_proj.bias", 8, 4, 8},
}

// noGradient reports the biases of keys that are not turned. One adds the same to all
// scores of a query, which changes nothing: its gradient is 0 but for rounding, and that
// is what Adam makes steps of.
func noGradient(p model.Parameter, i int) bool {
	for _, b := range keyBiases {
		if strings.HasSuffix(p.Name, b.name) {
			return i%b.period >= b.from && i%b.period < b.to
		}
	}
	return false
}

// Steps takes the ten steps of AdamW of the golden runs and returns loss and norm of each.
func Steps(t testing.TB, g Golden, p *model.Program, params []model.Parameter) (losses, norms []float64) {
	t.Helper()
	ps := make([]optim.Parameter, len(params))
	for i, q := range params {
		ps[i] = optim.Parameter(q)
	}
	o, err := optim.NewAdamW(nil, ps, optim.AdamWConfig{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01, MaxGradNorm: 1})
	if err != nil {
		t.Fatal(err)
	}
	for s := range 10 {
		for _, q := range params {
			clear(q.Grad)
		}
		g.Batches[s%len(g.Batches)].Write(p.Inputs)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		norm, err := o.Step(1e-2)
		if err != nil {
			t.Fatal(err)
		}
		losses, norms = append(losses, float64(p.Loss())), append(norms, norm)
	}
	return losses, norms
}

// TenSteps takes the golden run's steps of AdamW and compares loss and norm of
// each, and the final values.
func TenSteps(t *testing.T, g Golden, want Run, p *model.Program, params []model.Parameter, final map[string]hf.Tensor) {
	t.Helper()
	first := make(map[string][]float32)
	for _, q := range params {
		first[q.Name] = slices.Clone(q.Value)
	}
	losses, norms := Steps(t, g, p, params)
	for s := range want.StepLosses {
		NearOne(t, "loss of a step", losses[s], want.StepLosses[s], 1e-5)
		NearOne(t, "norm of a step", norms[s], want.StepNorms[s], 1e-4)
		t.Logf("step %d: loss off by %.2g, norm by %.2g", s+1, losses[s]/want.StepLosses[s]-1, norms[s]/want.StepNorms[s]-1)
	}
	worst, name := 0.0, ""
	for _, q := range params {
		var far, moved float64
		for i, v := range q.Value {
			if noGradient(q, i) {
				continue
			}
			w := float64(final[q.Name].Data[i])
			far += (float64(v) - w) * (float64(v) - w)
			moved += (w - float64(first[q.Name][i])) * (w - float64(first[q.Name][i]))
		}
		// Adam divides a gradient by its own size, so the rounding of a tiny one
		// moves a value as a large one would: what counts is the distance as a
		// share of the way gone.
		d := math.Sqrt(far / moved)
		if !(d <= 5e-4) {
			t.Errorf("%s ends %.2g of its way from the golden value", q.Name, d)
		}
		if d > worst {
			worst, name = d, q.Name
		}
	}
	t.Logf("final values are off by up to %.2g of their way (%s)", worst, name)
}
