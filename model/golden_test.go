package model_test

import (
	"path/filepath"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/modeltest"
	"gotune/model"
)

// compile returns a training program for all weights of a model.
func compile(t testing.TB, m *model.Model, rows, length int, recompute bool) (*model.Program, []model.Parameter) {
	t.Helper()
	params := m.Parameters()
	p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: rows, Length: length, Parameters: params, Recompute: blocks(recompute)})
	if err != nil {
		t.Fatal(err)
	}
	return p, params
}

// The logits after a prompt, of every token of the vocabulary. They are sums over 32
// values in two orders.
func TestGoldenLogits(t *testing.T) {
	for _, name := range modeltest.Folders {
		folder := filepath.Join("testdata", name)
		g := model.NewGenerator(modeltest.Load(t, folder), nil, nil)
		for _, text := range modeltest.Read(t, folder).Full.Greedy {
			got, err := g.Logits(t.Context(), text.Prompt)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: logits differ by %.2g of the largest", name, modeltest.Near(t, name+": logits", got, text.Logits, 2e-6))
		}
	}
}

// Loss, nll of each token, every gradient, and ten steps of AdamW, against
// transformers and PyTorch.
func TestGolden(t *testing.T) {
	for _, name := range modeltest.Folders {
		folder := filepath.Join("testdata", name)
		golden := modeltest.Read(t, folder)
		rows, length := golden.Batches[0].Shape()
		t.Run(name+"/gradients", func(t *testing.T) {
			p, params := compile(t, modeltest.Load(t, folder), rows, length, false)
			modeltest.FirstBatch(t, golden, golden.Full, p, params, modeltest.Tensors(t, folder, "grads.safetensors"))
		})
		t.Run(name+"/steps", func(t *testing.T) {
			p, params := compile(t, modeltest.Load(t, folder), rows, length, false)
			modeltest.TenSteps(t, golden, golden.Full, p, params, modeltest.Tensors(t, folder, "final.safetensors"))
		})
	}
}

// blocks is how many blocks are computed again.
func blocks(recompute bool) int {
	if recompute {
		return model.AllBlocks
	}
	return 0
}
