package lora_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/kernel"
	"gotune/internal/modeltest"
	"gotune/lora"
	"gotune/model"
)

// optionRun is a case of testdata/options, which golden_options.py made by PEFT.
type optionRun struct {
	Model string
	modeltest.Run
	After float64 // loss after the steps, of the case pissa
}

func options(t testing.TB) map[string]optionRun {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "options", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var runs map[string]optionRun
	if err := json.Unmarshal(raw, &runs); err != nil {
		t.Fatal(err)
	}
	return runs
}

func optionFolder(name string) string { return filepath.Join("testdata", "options", name) }

// loadOption loads the adapter of a case for its model, whose matrices are frozen where
// asked.
func loadOption(t testing.TB, run optionRun, name string, frozen bool) (*model.Model, *lora.Adapter) {
	t.Helper()
	src := os.DirFS(folder(run.Model))
	m, err := model.Load(t.Context(), src, run.Model)
	if frozen {
		m, err = model.LoadFrozen(t.Context(), src, run.Model, model.BaseAuto)
	}
	if err != nil {
		t.Fatal(err)
	}
	ad, err := lora.Load(os.DirFS(optionFolder(name)), name, m)
	if err != nil {
		t.Fatal(err)
	}
	return m, ad
}

// under returns tensors of a file of PEFT's keys by the names of parameters.
func under(t *testing.T, ad *lora.Adapter, folder, file string) map[string]model.Tensor {
	t.Helper()
	all := modeltest.Tensors(t, folder, file)
	named := make(map[string]model.Tensor)
	for _, p := range ad.Parameters() {
		key := lora.Key(ad, p.Name)
		named[p.Name] = all[key]
		delete(all, key)
	}
	for key := range all {
		t.Errorf("%s has %s, which is no parameter", file, key)
	}
	return named
}

// Every option of PEFT's, on a Llama and on a GPT-2: loss, nll, the gradient of all that
// is trained, and ten steps of AdamW, key by key; what is saved again is what PEFT saved.
func TestOptions(t *testing.T) {
	for name, run := range options(t) {
		golden := modeltest.Read(t, folder(run.Model))
		rows, length := golden.Batches[0].Shape()
		t.Run(name, func(t *testing.T) {
			m, ad := loadOption(t, run, name, true)
			again := t.TempDir()
			if err := ad.Save(again, run.Model); err != nil {
				t.Fatal(err)
			}
			peft, ours := modeltest.Tensors(t, optionFolder(name), "adapter_model.safetensors"), modeltest.Tensors(t, again, "adapter_model.safetensors")
			for key, w := range peft {
				if g := ours[key]; !slices.Equal(g.Shape, w.Shape) || !slices.Equal(g.Data, w.Data) {
					t.Errorf("%s is not saved as PEFT saved it", key)
				}
			}
			if len(ours) != len(peft) {
				t.Errorf("%d tensors are saved, PEFT has %d", len(ours), len(peft))
			}
			config, err := lora.ReadConfig(os.DirFS(again), name)
			want, err2 := lora.ReadConfig(os.DirFS(optionFolder(name)), name)
			if err != nil || err2 != nil || fmt.Sprint(config) != fmt.Sprint(want) {
				t.Errorf("the config is saved as %+v, PEFT's is %+v (%v, %v)", config, want, err, err2)
			}

			p, params := compile(t, m, ad, rows, length, true, false)
			if ad.Config.ChangesBase() {
				golden.Loose = 10 // PEFT's singular values are of float32
			}
			modeltest.FirstBatch(t, golden, run.Run, p, params, under(t, ad, optionFolder(name), "grads.safetensors"))
			modeltest.TenSteps(t, golden, run.Run, p, params, under(t, ad, optionFolder(name), "final.safetensors"))
			if run.After != 0 {
				golden.Batches[0].Write(p.Inputs)
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
				modeltest.NearOne(t, "loss after the steps", float64(p.Loss()), run.After, 1e-5)
			}
		})
	}
}

// The adapted model and the merged one give the same losses to rounding, and where PEFT
// merged, the same weights; released, the model is what it was.
func TestMergeOptions(t *testing.T) {
	for name, run := range options(t) {
		m, ad := loadOption(t, run, name, false)
		before := loss(t, run, m, ad)
		merged, err := ad.Merge(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		modeltest.NearOne(t, name+": loss of the merged model", loss(t, run, merged, nil), before, 2e-6)
		if _, err := os.Stat(filepath.Join(optionFolder(name), "merged.safetensors")); err == nil {
			for weight, w := range modeltest.Tensors(t, optionFolder(name), "merged.safetensors") {
				modeltest.Near(t, name+": "+weight, merged.Weights[weight].Data, w.Data, 2e-6)
			}
		}
		ad.Release()
		base := modeltest.Load(t, folder(run.Model))
		if !slices.Equal(slices.Sorted(maps.Keys(m.Weights)), slices.Sorted(maps.Keys(base.Weights))) || m.Tied() != base.Tied() {
			t.Errorf("%s: released, the model has other weights", name)
		}
		for weight, w := range base.Weights {
			if !slices.Equal(m.Weights[weight].Data, w.Data) {
				t.Errorf("%s: released, %s is changed", name, weight)
			}
		}
	}
}

// loss is that of the first golden batch.
func loss(t *testing.T, run optionRun, m *model.Model, ad *lora.Adapter) float64 {
	t.Helper()
	batch := modeltest.Read(t, folder(run.Model)).Batches[0]
	rows, length := batch.Shape()
	p, _ := compile(t, m, ad, rows, length, false, false)
	batch.Write(p.Inputs)
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	return float64(p.Loss())
}

var written = flag.String("written", "", "folder that TestWriteForPEFT writes adapters into, for golden_options.py check")

// A readCase is what PEFT found of an adapter that TestWriteForPEFT wrote.
type readCase struct {
	Loss   float64   // of the model's first golden batch
	Logits []float32 // after its first golden prompt
	Config json.RawMessage
	// SHA-256 of adapter_model.safetensors: of its header, keys and shapes, and of all of it.
	Header, Weights string
}

// trainForPEFT trains an adapter for ten steps: of each case of testdata/options one that is
// made here, of each family the golden one of PEFT.
func trainForPEFT(t *testing.T, name, base string) (*model.Model, *lora.Adapter) {
	t.Helper()
	m := modeltest.Load(t, folder(base))
	var ad *lora.Adapter
	if name == base {
		_, ad = load(t, base)
	} else {
		config, err := lora.ReadConfig(os.DirFS(optionFolder(name)), name)
		if err != nil {
			t.Fatal(err)
		}
		if ad, err = lora.New(config, m, 7); err != nil {
			t.Fatal(err)
		}
	}
	golden := modeltest.Read(t, folder(base))
	rows, length := golden.Batches[0].Shape()
	p, params := compile(t, m, ad, rows, length, true, false)
	modeltest.Steps(t, golden, p, params)
	return m, ad
}

// What gotune trains and saves has in PEFT each tensor by its key, and gives there the loss
// and the logits that it gives here, with each option and in each family. What PEFT found is in
// read.json; with -written the adapters are written for it to read.
func TestWriteForPEFT(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "options", "read.json"))
	var read map[string]readCase
	if *written == "" && (err != nil || json.Unmarshal(raw, &read) != nil) {
		t.Fatalf("read.json: %v", err)
	}
	cases := make(map[string]string)
	for name, run := range options(t) {
		cases[name] = run.Model
	}
	for _, name := range modeltest.Folders {
		cases[name] = name
	}
	for name, base := range cases {
		t.Run(name, func(t *testing.T) {
			m, ad := trainForPEFT(t, name, base)
			dir := t.TempDir()
			if *written != "" {
				dir = filepath.Join(*written, name)
			}
			if err := ad.Save(dir, base); err != nil {
				t.Fatal(err)
			}
			if *written != "" {
				if err := os.WriteFile(filepath.Join(dir, "base.txt"), []byte(base), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := read[name]
			sameFiles(t, dir, want)
			batches := modeltest.Read(t, folder(base))
			// PEFT sums in another order and takes its own singular vectors.
			ours := loss(t, optionRun{Model: base}, m, ad)
			modeltest.NearOne(t, "loss in PEFT", ours, want.Loss, 1e-5)
			t.Logf("loss in PEFT differs by %.2g of itself", math.Abs(ours/want.Loss-1))
			logits, err := model.NewGenerator(m, nil, ad.Project).Logits(t.Context(), batches.Full.Greedy[0].Prompt)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("logits in PEFT differ by %.2g of the largest", modeltest.Near(t, "logits in PEFT", logits, want.Logits, 5e-6))
		})
	}
}

// sameFiles reports an adapter whose files are not those that PEFT read.
func sameFiles(t *testing.T, dir string, want readCase) {
	t.Helper()
	const again = "run TestWriteForPEFT with -written and golden_options.py check"
	weights, err := os.ReadFile(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	header := weights[:8+binary.LittleEndian.Uint64(weights)]
	if got := fmt.Sprintf("%x", sha256.Sum256(header)); got != want.Header {
		t.Errorf("adapter_model.safetensors has other keys or shapes than PEFT read: %s; its header is %s", again, header[8:])
	}
	// The levels have one arithmetic from AVX2 on.
	if level := kernel.Active(); level != kernel.Generic && level != kernel.NEON {
		if got := fmt.Sprintf("%x", sha256.Sum256(weights)); got != want.Weights {
			t.Errorf("adapter_model.safetensors has the SHA-256 %s, PEFT read %s: %s", got, want.Weights, again)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got, peft any
	if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal(want.Config, &peft)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(peft, got); diff != "" {
		t.Errorf("adapter_config.json is not what PEFT read: %s (- read, + written):\n%s", again, diff)
	}
}

// On a quantised base DoRA's lengths are those of the widened weight, so that the losses are
// those of the same numbers in float32; PiSSA, whose rest would be quantised again, is refused.
func TestQuantisedBase(t *testing.T) {
	for _, base := range []model.Base{model.BaseInt8, model.BaseNF4, model.BaseBF16} {
		for _, name := range []string{"untied", "gpt2"} {
			m, err := model.LoadFrozen(t.Context(), os.DirFS(folder(name)), name, base)
			if err != nil {
				t.Fatal(err)
			}
			c := lora.Config{Rank: 3, Alpha: 6, Targets: lora.TargetsFor(m.Config.ModelType), DoRA: true}
			wide := m.Thawed()
			var losses []float64
			for _, m := range []*model.Model{m, wide} {
				ad, err := lora.New(c, m, 5)
				if err != nil {
					t.Fatal(err)
				}
				before := loss(t, optionRun{Model: name}, m, nil)
				modeltest.NearOne(t, "loss with a new adapter", loss(t, optionRun{Model: name}, m, ad), before, 1e-6)
				for _, p := range ad.Parameters() {
					for i := range p.Value {
						p.Value[i] += float32(i%7-3) * 0.01
					}
				}
				losses = append(losses, loss(t, optionRun{Model: name}, m, ad))
			}
			if losses[0] != losses[1] {
				t.Errorf("%s in %s: loss %v, of the same numbers in float32 %v", name, base, losses[0], losses[1])
			}
			c.DoRA, c.Init = false, "pissa"
			_, err = lora.New(c, m, 5)
			if base == model.BaseBF16 {
				if err != nil {
					t.Error(err)
				}
				continue
			}
			wants(t, err, "pissa", string(base), "base_precision")
		}
	}
}

// However many rounds, subspace iteration comes near to PiSSA, and both leave the model's
// losses as they were; made again, they are the same to the bit.
func TestBeginnings(t *testing.T) {
	for _, name := range []string{"untied", "gpt2-untied"} {
		run := optionRun{Model: name}
		m := modeltest.Load(t, folder(name))
		before := loss(t, run, m, nil)
		kept := make(map[string]float64)
		for _, init := range []string{"pissa", "pissa_niter_0", "pissa_niter_8", "olora"} {
			c := lora.Config{Rank: 4, Alpha: 2, Targets: []string{lora.AllLinear}, Init: init}
			var first []model.Parameter
			for range 2 {
				ad, err := lora.New(c, m, 1)
				if err != nil {
					t.Fatal(err)
				}
				modeltest.NearOne(t, name+", "+init, loss(t, run, m, ad), before, 3e-6)
				kept[init] = 0
				for i, p := range ad.Parameters() {
					for _, v := range p.Value {
						kept[init] += float64(v) * float64(v)
					}
					if first != nil && !slices.Equal(p.Value, first[i].Value) {
						t.Errorf("%s: %s of %s is another the second time", name, init, p.Name)
					}
				}
				first = ad.Parameters()
				ad.Release()
			}
		}
		// A and B share the singular values, so that the squares sum to 2·Σσ/s: most for the true ones.
		if !(kept["pissa_niter_0"] < kept["pissa_niter_8"] && kept["pissa_niter_8"] <= kept["pissa"]*(1+1e-6) && kept["pissa_niter_8"] > 0.98*kept["pissa"]) {
			t.Errorf("%s: parts taken out of the base %v", name, kept)
		}
	}
}
