package prompt_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/modeltest"
	"gotune/lora/prompt"
)

// A family is what PEFT computes with virtual tokens in a model of it; see families.py.
type family struct {
	Batch          modeltest.Batch
	Prompt, Prefix computed
	Embedded       []float32 // what the ids 1 and 2 are embedded as
}

type computed struct {
	NLL  [][]float64
	Norm float64 // of the table's gradient
}

// In every family, whatever it does to embeddings, keys and windows, virtual tokens make
// of each token what they make of it in PEFT, have its gradient, and begin where it begins.
func TestFamilies(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "families.json"))
	var all map[string]family
	if err != nil || json.Unmarshal(raw, &all) != nil {
		t.Fatalf("families.json: %v", err)
	}
	for _, name := range modeltest.Folders {
		f, ok := all[name]
		if !ok {
			t.Errorf("families.json has no %s", name)
			continue
		}
		m := base(t, name)
		for kind, want := range map[string]computed{"prompt": f.Prompt, "prefix": f.Prefix} {
			t.Run(name+" "+kind, func(t *testing.T) {
				ad, err := prompt.New(kinds[kind], m, 1)
				if err != nil {
					t.Fatal(err)
				}
				table := ad.Parameters()[0]
				for i := range table.Value {
					table.Value[i] = float32(math.Sin(float64(i)) / 2)
				}
				var flat []float32
				for _, v := range slices.Concat(want.NLL...) {
					flat = append(flat, float32(v))
				}
				modeltest.Near(t, "nll", nll(t, m, ad, f.Batch), flat, 2e-6)
				p := compile(t, m, ad, f.Batch, true, true)
				f.Batch.Write(p.Inputs)
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
				squares := 0.0
				for _, g := range table.Grad {
					squares += float64(g) * float64(g)
				}
				modeltest.NearOne(t, "norm of the gradient", math.Sqrt(squares), want.Norm, 1e-5)
			})
		}
		text, err := prompt.New(prompt.Config{Type: prompt.PromptTuning, VirtualTokens: 2, Init: prompt.Text, InitText: "x", InitIDs: []int32{1, 2}}, m, 1)
		if err != nil {
			t.Fatal(err)
		}
		modeltest.Near(t, name+" begins", text.Parameters()[0].Value, f.Embedded, 1e-7)
	}
}
