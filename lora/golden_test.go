package lora_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/modeltest"
	"gotune/lora"
	"gotune/model"
)

// folder is where a golden model lies; its adapter is in the folder adapter.
func folder(name string) string { return filepath.Join("..", "model", "testdata", name) }

func load(t testing.TB, name string) (*model.Model, *lora.Adapter) {
	t.Helper()
	m := modeltest.Load(t, folder(name))
	ad, err := lora.Load(os.DirFS(filepath.Join(folder(name), "adapter")), name+"/adapter", m)
	if err != nil {
		t.Fatal(err)
	}
	return m, ad
}

// compile returns a program of an adapted model; it trains the adapter if asked.
func compile(t testing.TB, m *model.Model, ad *lora.Adapter, rows, length int, train, recompute bool) (*model.Program, []model.Parameter) {
	t.Helper()
	o := model.ProgramOptions{Rows: rows, Length: length}
	if recompute {
		o.Recompute = model.AllBlocks
	}
	if ad != nil {
		o.Project = ad.Project
	}
	if train {
		o.Parameters = ad.Parameters()
	}
	p, err := m.Program(exec.NewArena(nil), o)
	if err != nil {
		t.Fatal(err)
	}
	return p, o.Parameters
}

// Loss, nll of each token, the gradient of every A and B, and ten steps of
// AdamW, against PEFT.
func TestGolden(t *testing.T) {
	for _, name := range modeltest.Folders {
		golden := modeltest.Read(t, folder(name))
		rows, length := golden.Batches[0].Shape()
		t.Run(name+"/gradients", func(t *testing.T) {
			m, ad := load(t, name)
			p, params := compile(t, m, ad, rows, length, true, false)
			modeltest.FirstBatch(t, golden, golden.LoRA, p, params, modeltest.Tensors(t, folder(name), "adapter_grads.safetensors"))
		})
		t.Run(name+"/steps", func(t *testing.T) {
			m, ad := load(t, name)
			p, params := compile(t, m, ad, rows, length, true, false)
			modeltest.TenSteps(t, golden, golden.LoRA, p, params, modeltest.Tensors(t, folder(name), "adapter_final.safetensors"))
		})
		t.Run(name+"/merged", func(t *testing.T) {
			m, ad := load(t, name)
			merged, err := ad.Merge(m)
			if err != nil {
				t.Fatal(err)
			}
			want := modeltest.Tensors(t, folder(name), "merged.safetensors")
			for module, w := range want {
				// PEFT rounds the product and then the sum to float32.
				modeltest.Near(t, module, merged.Weights[module].Data, w.Data, 2e-7)
			}
			for weight, w := range m.Weights {
				if _, adapted := want[weight]; !adapted && !slices.Equal(merged.Weights[weight].Data, w.Data) {
					t.Errorf("merging changed %s", weight)
				}
			}
		})
		t.Run(name+"/generation", func(t *testing.T) {
			m, ad := load(t, name)
			g := model.NewGenerator(m, nil, ad.Project)
			for _, text := range golden.LoRA.Greedy {
				got, err := g.Generate(t.Context(), text.Prompt, model.Sampling{
					Greedy: true, RepetitionPenalty: text.Penalty, MaxNewTokens: len(text.IDs)}, nil)
				if err != nil || !slices.Equal(got, text.IDs) {
					t.Errorf("after %d tokens: %v (%v), want %v", len(text.Prompt), got, err, text.IDs)
				}
			}
		})
	}
}

// The layers that are adapted unless told otherwise are there in each family, and are
// those of the golden adapter.
func TestTargetsFor(t *testing.T) {
	for _, name := range modeltest.Folders {
		m, golden := load(t, name)
		ad, err := lora.New(lora.Config{Rank: 4, Alpha: 8, Targets: lora.TargetsFor(m.Config.ModelType)}, m, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := len(ad.Parameters()), len(golden.Parameters()); got != want {
			t.Errorf("%s: %d matrices, PEFT's adapter has %d", name, got, want)
		}
	}
}

// The adapted model and the merged one give the same losses to rounding.
func TestAdapterEqualsMerged(t *testing.T) {
	for _, name := range modeltest.Folders {
		m, ad := load(t, name)
		merged, err := ad.Merge(m)
		if err != nil {
			t.Fatal(err)
		}
		batch := modeltest.Read(t, folder(name)).Batches[0]
		rows, length := batch.Shape()
		adapted, _ := compile(t, m, ad, rows, length, false, false)
		plain, _ := compile(t, merged, nil, rows, length, false, false)
		for _, p := range []*model.Program{adapted, plain} {
			batch.Write(p.Inputs)
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
		}
		modeltest.Near(t, name+": nll", adapted.NLL(), plain.NLL(), 1e-6)
	}
}
