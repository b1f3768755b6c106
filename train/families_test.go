package train

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/model"
	"gotune/tokenizer"
)

// tinyOf writes a model of the family and the settings of a golden one, with the tiny
// model's tokenizer.
func tinyOf(t *testing.T, name string, tok *tokenizer.Tokenizer) string {
	t.Helper()
	c, err := model.LoadConfig(os.DirFS(filepath.Join("..", "model", "testdata", name)), name)
	if err != nil {
		t.Fatal(err)
	}
	c.VocabSize = 300
	m, err := model.New(WithTokenizer(c, tok), 3)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), name)
	if err := m.Save(dir, hf.BF16); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Every family learns by LoRA on each kind of base and in full, to the same bytes with
// other threads, with blocks computed again, and when it is stopped and goes on.
func TestFamiliesSameBytes(t *testing.T) {
	tok, err := tokenizer.LoadFile(tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	tiny := tinyRecipe(t)
	tiny.MaxSteps, tiny.BatchSize, tiny.SaveSteps, tiny.LearningRate = 4, 4, 0, 0.02
	for _, name := range modeltest.Folders[4:] { // Llama and GPT-2 have tests of their own
		for kind, change := range map[string]func(*Recipe){
			"int8":         func(r *Recipe) { r.BasePrecision, r.LoRADropout = "int8", 0.1 },
			"nf4 and bf16": func(r *Recipe) { r.BasePrecision, r.Precision = "nf4", "bf16" },
			"full":         func(r *Recipe) { r.Full, r.Packing, r.SaveSteps = true, true, 2 },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				r := tiny
				r.Model = tinyOf(t, name, tok)
				change(&r)
				want, s := runRecipe(t, r)
				if first, last := s.steps[0].Loss, s.steps[len(s.steps)-1].Loss; !(last < first) {
					t.Errorf("the loss went from %g to %g", first, last)
				}
				other := r
				other.GradientCheckpointing, other.Threads = "blocks", 3
				again, _ := runRecipe(t, other)
				sameTensors(t, "other threads and gradient checkpointing", want, again)
				if r.SaveSteps == 0 {
					return
				}
				path := stopAt(t, r, 3)
				if _, err := Resume(context.Background(), path, 2, &silent{}); err != nil {
					t.Fatal(err)
				}
				sameTensors(t, "stopped and not", filepath.Join(want, "model"), filepath.Join(path, "model"))
			})
		}
	}
}
