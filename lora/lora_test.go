package lora_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/modeltest"
	"gotune/lora"
	"gotune/model"
)

// wants reports an error that does not contain every part.
func wants(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
}

func tiny(t testing.TB) *model.Model {
	t.Helper()
	return modeltest.Load(t, folder("tied"))
}

func TestNew(t *testing.T) {
	m := tiny(t)
	ad, err := lora.New(lora.Config{Rank: 3, Alpha: 6, Targets: lora.DefaultTargets}, m, 5)
	if err != nil {
		t.Fatal(err)
	}
	ps := ad.Parameters()
	if !slices.IsSortedFunc(ps, func(p, q model.Parameter) int { return strings.Compare(p.Name, q.Name) }) {
		t.Error("parameters are not in order of name")
	}
	// Rank times (in + out): q 32+32, k and v 32+16, up and down 32+48; two layers.
	if want := 2 * 3 * (64 + 2*48 + 2*80); ad.Count() != want || len(ps) != 2*2*5 {
		t.Errorf("%d values in %d matrices, want %d in 20", ad.Count(), len(ps), want)
	}
	for _, p := range ps {
		largest, sum := 0.0, 0.0
		for _, v := range p.Value {
			largest, sum = max(largest, math.Abs(float64(v))), sum+float64(v)
		}
		bound := 1 / math.Sqrt(float64(p.Shape[1]))
		switch {
		case strings.Contains(p.Name, "lora_B"):
			if largest != 0 {
				t.Errorf("%s does not start at 0", p.Name)
			}
		case largest > bound || largest < 0.9*bound || math.Abs(sum/float64(len(p.Value))) > 0.2*bound:
			t.Errorf("%s: largest %g, mean %g; want uniform in ±%g", p.Name, largest, sum/float64(len(p.Value)), bound)
		}
	}
}

// A new adapter leaves the model as it is; equal seeds give equal adapters, and
// what an A holds does not depend on which other layers are adapted.
func TestNewIsNamedRandomness(t *testing.T) {
	m := tiny(t)
	values := func(seed uint64, targets ...string) []float32 {
		ad, err := lora.New(lora.Config{Rank: 2, Alpha: 1, Targets: targets}, m, seed)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(ad.Parameters(), func(p model.Parameter) bool { return p.Name == "model.layers.1.mlp.up_proj.lora_A.weight" })
		return ad.Parameters()[i].Value
	}
	first := values(1, "up_proj")
	if !slices.Equal(first, values(1, "up_proj", "q_proj")) || slices.Equal(first, values(2, "up_proj")) {
		t.Error("an A does not depend on seed and name alone")
	}
	ad, err := lora.New(lora.Config{Rank: 2, Alpha: 1, Targets: lora.DefaultTargets}, m, 1)
	if err != nil {
		t.Fatal(err)
	}
	batch := modeltest.Read(t, folder("tied")).Batches[0]
	rows, length := batch.Shape()
	var nll [2][]float32
	for i, a := range []*lora.Adapter{nil, ad} {
		p, _ := compile(t, m, a, rows, length, false, false)
		batch.Write(p.Inputs)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		nll[i] = slices.Clone(p.NLL())
	}
	if !slices.Equal(nll[0], nll[1]) {
		t.Error("a new adapter changes the model")
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		targets []string
		want    int
	}{
		{[]string{"q_proj"}, 2},
		{[]string{"self_attn.q_proj"}, 2},
		{[]string{"model.layers.1.self_attn.q_proj"}, 1},
		{[]string{"layers.0.mlp.up_proj", "up_proj"}, 2}, // both match: once
	} {
		ad, err := lora.New(lora.Config{Rank: 1, Alpha: 1, Targets: c.targets}, tiny(t), 1)
		if err != nil || len(ad.Parameters()) != 2*c.want {
			t.Errorf("%v: %v, want %d layers", c.targets, err, c.want)
		}
	}
}

func TestWrongConfig(t *testing.T) {
	ok := lora.Config{Rank: 4, Alpha: 8, Targets: []string{"q_proj"}}
	for _, c := range []struct {
		change func(*lora.Config)
		parts  []string
	}{
		{func(c *lora.Config) { c.Rank = 0 }, []string{"rank is 0", "at least 1"}},
		{func(c *lora.Config) { c.Rank = -3 }, []string{"rank is -3"}},
		{func(c *lora.Config) { c.Rank = 33 }, []string{"rank 33", "q_proj", "32×32"}},
		{func(c *lora.Config) { c.Rank, c.Targets = 17, []string{"k_proj"} }, []string{"rank 17", "k_proj", "16×32"}},
		{func(c *lora.Config) { c.Rank = math.MaxInt }, []string{"rank"}},
		{func(c *lora.Config) { c.Alpha = 0 }, []string{"alpha is 0"}},
		{func(c *lora.Config) { c.Alpha = math.NaN() }, []string{"alpha is NaN"}},
		{func(c *lora.Config) { c.Alpha = math.Inf(1) }, []string{"alpha is +Inf"}},
		{func(c *lora.Config) { c.Dropout = 1 }, []string{"dropout is 1"}},
		{func(c *lora.Config) { c.Dropout = -0.1 }, []string{"dropout is -0.1"}},
		{func(c *lora.Config) { c.Dropout = math.NaN() }, []string{"dropout is NaN"}},
		{func(c *lora.Config) { c.Targets = nil }, []string{"no lora targets", "q_proj,k_proj"}},
		{func(c *lora.Config) { c.Targets = []string{"q_proj", "query"} }, []string{`"query"`, "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"}},
		{func(c *lora.Config) { c.Targets = []string{"proj"} }, []string{`"proj"`, "matches no layer"}},
		{func(c *lora.Config) { c.Targets = []string{""} }, []string{`""`, "matches no layer"}},
	} {
		wrong := ok
		c.change(&wrong)
		_, err := lora.New(wrong, tiny(t), 1)
		wants(t, err, c.parts...)
	}
}

// What is saved is loaded again, to the byte.
func TestSaveThenLoad(t *testing.T) {
	m, ad := load(t, "untied")
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "new", "folder")
	if err := ad.Save(first, "untied"); err != nil {
		t.Fatal(err)
	}
	again, err := lora.Load(os.DirFS(first), "first", m)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Save(second, "untied"); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		a, err := os.ReadFile(filepath.Join(first, file))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, file))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs after a second save (%v)", file, err)
		}
	}
	// The tensors are those that PEFT wrote, under PEFT's names.
	got, want := modeltest.Tensors(t, first, "adapter_model.safetensors"), modeltest.Tensors(t, filepath.Join(folder("untied"), "adapter"), "adapter_model.safetensors")
	if len(got) != len(want) {
		t.Errorf("%d tensors, PEFT has %d", len(got), len(want))
	}
	for name, w := range want {
		if g := got[name]; !slices.Equal(g.Shape, w.Shape) || !slices.Equal(g.Data, w.Data) {
			t.Errorf("%s differs from PEFT's", name)
		}
	}
}

func TestSaveWhereNothingCanBe(t *testing.T) {
	_, ad := load(t, "tied")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, ad.Save(file, ""), "saving the adapter", file)
}

func TestMergeIntoAnotherModel(t *testing.T) {
	_, ad := load(t, "tied")
	_, err := ad.Merge(modeltest.Load(t, folder("untied")))
	wants(t, err, "merging", "q_proj", "32×32", "[48 32]")
}

// Dropout: a key gives a mask, another key another one; computing blocks again
// sees the same mask; evaluation has none.
func TestDropout(t *testing.T) {
	m, ad := load(t, "tied")
	ad.Config.Dropout = 0.3
	batch := modeltest.Read(t, folder("tied")).Batches[0]
	rows, length := batch.Shape()
	type result struct{ nll, grad []float32 }
	run := func(p *model.Program, params []model.Parameter, key int32) (r result) {
		for _, q := range params {
			clear(q.Grad)
		}
		batch.Write(p.Inputs)
		p.Key[0], p.Key[1] = key, 9
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		r.nll = slices.Clone(p.NLL())
		for _, q := range params {
			r.grad = append(r.grad, q.Grad...)
		}
		return r
	}
	equal := func(a, b result) bool { return slices.Equal(a.nll, b.nll) && slices.Equal(a.grad, b.grad) }

	plain, params := compile(t, m, ad, rows, length, true, false)
	first, other, again := run(plain, params, 1), run(plain, params, 2), run(plain, params, 1)
	if !equal(first, again) {
		t.Error("the same key gives another mask")
	}
	if slices.Equal(first.nll, other.nll) {
		t.Error("another key gives the same mask")
	}
	recomputed, params := compile(t, m, ad, rows, length, true, true)
	if !equal(first, run(recomputed, params, 1)) {
		t.Error("blocks computed again see another mask")
	}
	evaluated, _ := compile(t, m, ad, rows, length, false, false)
	_, without := load(t, "tied")
	reference, _ := compile(t, m, without, rows, length, false, false)
	if !slices.Equal(run(evaluated, nil, 1).nll, run(reference, nil, 1).nll) {
		t.Error("dropout is on in evaluation")
	}
}

// Two runs of one micro-batch each give the sum of their gradients.
func TestGradientsAccumulate(t *testing.T) {
	m, ad := load(t, "untied")
	golden := modeltest.Read(t, folder("untied"))
	rows, length := golden.Batches[0].Shape()
	p, params := compile(t, m, ad, rows, length, true, false)
	var apart [][]float32
	for i, q := range params {
		apart = append(apart, make([]float32, len(q.Grad)))
		for _, batch := range golden.Batches {
			clear(q.Grad)
			batch.Write(p.Inputs)
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			for j, g := range q.Grad {
				apart[i][j] += g
			}
		}
	}
	for _, q := range params {
		clear(q.Grad)
	}
	for _, batch := range golden.Batches {
		batch.Write(p.Inputs)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}
	for i, q := range params {
		modeltest.Near(t, q.Name, q.Grad, apart[i], 1e-6)
	}
}

// After the first run of a shape a training step allocates nothing.
func TestRunDoesNotAllocate(t *testing.T) {
	m, ad := load(t, "tied")
	golden := modeltest.Read(t, folder("tied"))
	rows, length := golden.Batches[0].Shape()
	p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: rows, Length: length, Parameters: ad.Parameters(), Project: ad.Project})
	if err != nil {
		t.Fatal(err)
	}
	golden.Batches[0].Write(p.Inputs)
	if n := testing.AllocsPerRun(10, func() {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a run allocates %g times", n)
	}
}

// all-linear is every linear layer of the blocks, and the adapter says which these are.
func TestAllLinear(t *testing.T) {
	m := tiny(t)
	ad, err := lora.New(lora.Config{Rank: 2, Alpha: 4, Targets: []string{lora.AllLinear}}, m, 5)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"}
	if !slices.Equal(ad.Config.Targets, want) {
		t.Errorf("targets are %v, want %v", ad.Config.Targets, want)
	}
	if got, want := len(ad.Parameters()), 2*len(m.Projections()); got != want {
		t.Errorf("%d matrices, want %d", got, want)
	}
}
