package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/internal/hf"
	"gotune/model"
	"gotune/tokenizer"
)

// tinyModel writes a Llama of two layers with its tokenizer to a new folder.
func tinyModel(t testing.TB) string {
	t.Helper()
	text := strings.Repeat("one two three four five six seven eight nine ten. What is it? It is so.\n", 4)
	tok, err := tokenizer.Train(context.Background(), slices.Values([]string{text}), tokenizer.TrainConfig{
		VocabSize: 300, SpecialTokens: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"}, EOS: "<|endoftext|>", Pad: "<|pad|>",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := model.Config{
		ModelType: "llama", HiddenAct: "silu", VocabSize: 300, HiddenSize: 32, IntermediateSize: 48, Layers: 2, Heads: 4, KVHeads: 2,
		HeadDim: 8, MaxPositions: 64, InitializerRange: 0.2, RMSNormEps: 1e-5, Rope: model.Rope{Theta: 10000}, TieWordEmbeddings: true,
	}
	m, err := model.New(WithTokenizer(c, tok), 3)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "base")
	if err := m.Save(dir, hf.F32); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tinyRows writes rows of prompt and completion of varied lengths.
func tinyRows(t testing.TB, n int) string {
	t.Helper()
	words := strings.Fields("one two three four five six seven eight nine ten")
	var b strings.Builder
	for i := range n {
		prompt := strings.Join(words[:1+i%5], " ")
		completion := strings.Join(words[i%4:i%4+2+i%3], " ")
		fmt.Fprintf(&b, `{"prompt":"What is %d %s?","completion":" It is %s."}`+"\n", i, prompt, completion)
	}
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tinyRecipe tunes the tiny model for ten steps of eight rows.
func tinyRecipe(t testing.TB) Recipe {
	t.Helper()
	r := DefaultRecipe()
	r.Model, r.Data = tinyModel(t), Paths(tinyRows(t, 30))
	r.Output = filepath.Join(t.TempDir(), "run")
	r.MaxSteps, r.BatchSize, r.LearningRate, r.SaveSteps, r.Threads = 10, 8, 0.01, 4, 1
	r.LoRARank, r.LoRAAlpha = 4, 8
	return r
}

// silent is an observer that keeps the steps.
type silent struct {
	steps []StepEvent
	evals []EvalEvent
	after func(StepEvent)
}

func (s *silent) Start(Header) {}
func (s *silent) Step(e StepEvent) {
	s.steps = append(s.steps, e)
	if s.after != nil {
		s.after(e)
	}
}
func (s *silent) Evaluated(e EvalEvent) { s.evals = append(s.evals, e) }
func (s *silent) Done(DoneEvent)        {}

// runRecipe runs a recipe in a new folder and returns it.
func runRecipe(t testing.TB, r Recipe) (string, *silent) {
	t.Helper()
	var s silent
	r.Output = filepath.Join(t.TempDir(), "run")
	done, err := Run(context.Background(), r, &s)
	if err != nil {
		t.Fatal(err)
	}
	return done.Run, &s
}

// tensors returns the bytes of every .safetensors file below a folder.
func tensors(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".safetensors" {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no .safetensors", dir)
	}
	return all
}

// sameTensors compares every .safetensors of two runs.
func sameTensors(t testing.TB, what, a, b string) {
	t.Helper()
	x, y := tensors(t, a), tensors(t, b)
	if len(x) != len(y) {
		t.Errorf("%s: %d files and %d", what, len(x), len(y))
	}
	for name := range x {
		if x[name] != y[name] {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

// losses reads the steps of metrics.jsonl.
func losses(t *testing.T, run string) []StepEvent {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(run, metricsName))
	if err != nil {
		t.Fatal(err)
	}
	var steps []StepEvent
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		var e StepEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == "step" {
			steps = append(steps, e)
		}
	}
	return steps
}

// stopAt runs a recipe and cancels it after some steps.
func stopAt(t *testing.T, r Recipe, step int) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.Output = filepath.Join(t.TempDir(), "run")
	_, err := Run(ctx, r, &silent{after: func(e StepEvent) {
		if e.Step == step {
			cancel()
		}
	}})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatalf("a cancelled run returned %v", err)
	}
	return r.Output
}
