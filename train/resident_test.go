//go:build linux

package train

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotune/internal/hf"
	"gotune/model"
	"gotune/tokenizer"
)

// midModel writes a Llama of 13 million parameters with the embedded base's tokenizer, stored
// as d.
func midModel(t *testing.T, d hf.DType) string {
	t.Helper()
	src, err := OpenModel(BaseName)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(src, BaseName)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(WithTokenizer(model.Config{
		ModelType: "llama", HiddenAct: "silu", VocabSize: 8192, HiddenSize: 384, IntermediateSize: 1024, Layers: 6, Heads: 6, KVHeads: 2,
		HeadDim: 64, MaxPositions: 512, InitializerRange: 0.02, RMSNormEps: 1e-5, Rope: model.Rope{Theta: 10000}, TieWordEmbeddings: true,
	}, tok), 3)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "mid")
	if err := m.Save(dir, d); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// held is what a run said it would need, and what it took at most: of what it still had
// after a collection of garbage, and of all that was resident at any moment.
type held struct{ Planned, Live, Peak int64 }

// watched keeps what the header says, and looks at what is resident at every event.
type watched struct {
	Silent
	held
}

func (w *watched) look()               { w.Live = max(w.Live, resident()) }
func (w *watched) Start(h Header)      { w.Planned = h.PlannedBytes; w.look() }
func (w *watched) Step(StepEvent)      { w.look() }
func (w *watched) Evaluated(EvalEvent) { w.look() }
func (w *watched) Done(DoneEvent)      { w.look() }

// TestRunInItsOwnProcess is no test but what TestPlannedIsResident runs: a recipe,
// whose memory it prints.
func TestRunInItsOwnProcess(t *testing.T) {
	path := os.Getenv("GOTUNE_TEST_RECIPE")
	if path == "" {
		return
	}
	r := DefaultRecipe()
	if err := r.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	var o watched
	if _, err := Run(context.Background(), r, &o); err != nil {
		t.Fatal(err)
	}
	o.Peak = peakBytes(t)
	o.report(t, path+".held")
}

// inItsOwnProcess runs a test of this file with a variable of the environment and
// returns what it wrote into a file.
func inItsOwnProcess(t *testing.T, test, variable, value, result string) held {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	c.Env = append(os.Environ(), variable+"="+value)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var h held
	raw, err := os.ReadFile(result)
	if err == nil {
		err = json.Unmarshal(raw, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// report writes what inItsOwnProcess returns.
func (h held) report(t *testing.T, path string) {
	t.Helper()
	raw, err := json.Marshal(h)
	if err == nil {
		err = os.WriteFile(path, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func peakBytes(t *testing.T) int64 {
	t.Helper()
	peak, err := peakRSS()
	if err != nil {
		t.Fatal(err)
	}
	return int64(peak * (1 << 20))
}

// TestLoadInItsOwnProcess is no test but what TestLoadingHoldsNoCopy runs: it loads a
// model, reads its norms, and says how many bytes the model has, and by how many the peak
// rose.
func TestLoadInItsOwnProcess(t *testing.T) {
	dir, base, ok := strings.Cut(os.Getenv("GOTUNE_TEST_LOAD"), "|")
	if !ok {
		return
	}
	before := peakBytes(t)
	m, err := model.LoadFrozen(t.Context(), os.DirFS(dir), dir, model.Base(base))
	if err != nil {
		t.Fatal(err)
	}
	sum := float32(0)
	for _, w := range m.Weights {
		for _, v := range w.Data {
			sum += v
		}
	}
	if sum == 0 {
		t.Error("the norms, which are 1, sum up to 0")
	}
	held{Planned: m.Bytes(), Peak: peakBytes(t) - before}.report(t, filepath.Join(dir, "held"))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// While weights are loaded, and norms read, no more is resident than what they take
// afterwards and a few MiB for pieces: no copy in float32, in memory or mapped.
func TestLoadingHoldsNoCopy(t *testing.T) {
	if testing.Short() {
		return // short tests run under the race detector, which holds memory of its own
	}
	for _, d := range []hf.DType{hf.F32, hf.BF16} {
		dir := midModel(t, d)
		for _, base := range model.Bases() {
			h := inItsOwnProcess(t, "TestLoadInItsOwnProcess", "GOTUNE_TEST_LOAD", dir+"|"+base, filepath.Join(dir, "held"))
			if h.Peak > h.Planned+8<<20 {
				t.Errorf("%s of %s: %d MiB of weights, the peak rose by %d MiB", base, d, h.Planned>>20, h.Peak>>20)
			}
		}
	}
}

// Planned and resident memory agree within a tenth, with evaluations and answers,
// and the plan made without a run is that of the run. What is resident is looked at after
// collections of garbage; what garbage adds at any moment, which on a busy machine waits
// longer for the collector, is within a tenth too, were nothing collected in between.
func TestPlannedIsResident(t *testing.T) {
	if testing.Short() {
		return // short tests run under the race detector, which holds memory of its own
	}
	base := DefaultRecipe()
	base.Model, base.Data = midModel(t, hf.F32), Paths(tinyRows(t, 200))
	base.EvalData = Paths(tinyRows(t, 24))
	base.MaxSteps, base.BatchSize, base.MaxLength, base.Packing, base.SaveSteps = 2, 4, 256, true, 0
	halves := midModel(t, hf.BF16)
	stored := func(model, storage, precision string) func(*Recipe) {
		return func(r *Recipe) {
			r.Model, r.BasePrecision, r.Precision, r.Eval, r.MaxSteps = model, storage, precision, false, 1
		}
	}
	for name, change := range map[string]func(*Recipe){
		"adapter, evaluated": func(*Recipe) {},
		"blocks":             func(r *Recipe) { r.GradientCheckpointing, r.Eval = "blocks", false },
		"virtual tokens": func(r *Recipe) {
			r.PEFTType, r.NumVirtualTokens, r.PrefixProjection, r.EncoderHiddenSize = "PREFIX_TUNING", 32, true, 2048
		},
		"all weights":         func(r *Recipe) { r.Full, r.Eval, r.BatchSize = true, false, 2 },
		"bf16 as in the file": stored(halves, "auto", "bf16"),
		"bf16 of float32":     stored(base.Model, "bf16", "fp32"),
		"fp32 of bf16":        stored(halves, "fp32", "fp32"),
		"int8":                stored(base.Model, "int8", "fp32"),
		"nf4 of bf16":         stored(halves, "nf4", "bf16"),
	} {
		r := base
		change(&r)
		if !r.Eval {
			r.EvalData = nil
		}
		r.Output = filepath.Join(t.TempDir(), "run")
		raw, err := r.YAML()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "recipe.yaml")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		h := inItsOwnProcess(t, "TestRunInItsOwnProcess", "GOTUNE_TEST_RECIPE", path, path+".held")
		t.Logf("%s: %d MiB planned, %d MiB resident without garbage, %d MiB with it", name, h.Planned>>20, h.Live>>20, h.Peak>>20)
		if h.Planned*10 < h.Live*9 || h.Planned*10 > h.Live*11 {
			t.Errorf("%s: %d MiB planned, %d MiB resident without garbage", name, h.Planned>>20, h.Live>>20)
		}
		if h.Peak*10 > h.Planned*11 {
			t.Errorf("%s: %d MiB planned, %d MiB resident at most", name, h.Planned>>20, h.Peak>>20)
		}
		p, err := MakePlan(t.Context(), PlanConfig{Recipe: r})
		if err != nil {
			t.Fatal(err)
		}
		// Here the process holds what tests before have left.
		want, got := h.Planned, p.Total-p.Memory.Inputs
		if got > want || got < want/2 {
			t.Errorf("%s: a plan of %d MiB without inputs, and the run's is %d", name, got>>20, want>>20)
		}
	}
}
