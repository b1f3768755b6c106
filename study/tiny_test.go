package study

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/internal/hf"
	"gotune/model"
	"gotune/tokenizer"
	"gotune/train"
)

// A desk is a folder with a tiny model and rows to tune it with.
type desk struct {
	dir, model, rows, held string
}

// newDesk writes a Llama of two layers of 32, and 30 rows of which 6 are held out.
func newDesk(t testing.TB) desk {
	t.Helper()
	d := desk{dir: t.TempDir()}
	text := strings.Repeat("one two three four five six seven eight nine ten. What is it? It is so.\n", 4)
	tok, err := tokenizer.Train(context.Background(), slices.Values([]string{text}), tokenizer.TrainConfig{
		VocabSize: 300, SpecialTokens: []string{"<|endoftext|>", "<|pad|>"}, EOS: "<|endoftext|>", Pad: "<|pad|>",
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(train.WithTokenizer(model.Config{
		ModelType: "llama", HiddenAct: "silu", VocabSize: 300, HiddenSize: 32, IntermediateSize: 48, Layers: 2, Heads: 4, KVHeads: 2,
		HeadDim: 8, MaxPositions: 64, InitializerRange: 0.2, RMSNormEps: 1e-5, Rope: model.Rope{Theta: 10000}, TieWordEmbeddings: true,
	}, tok), 3)
	if err != nil {
		t.Fatal(err)
	}
	d.model = filepath.Join(d.dir, "base")
	if err := m.Save(d.model, hf.F32); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(d.model); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields("one two three four five six seven eight nine ten")
	row := func(i int) string {
		return fmt.Sprintf(`{"prompt":"What is %d %s?","completion":" It is %s."}`+"\n", i, strings.Join(words[:1+i%5], " "), strings.Join(words[i%4:i%4+2+i%3], " "))
	}
	var rows, held strings.Builder
	for i := range 24 {
		rows.WriteString(row(i))
	}
	for i := range 6 {
		held.WriteString(row(24 + i))
	}
	d.rows, d.held = d.write(t, "rows.jsonl", rows.String()), d.write(t, "held.jsonl", held.String())
	return d
}

// write writes a file on the desk.
func (d desk) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// study parses a study in whose text MODEL, ROWS and HELD stand for what is on the
// desk.
func (d desk) study(t testing.TB, text string) *Study {
	t.Helper()
	s, err := Parse("study.yaml", []byte(d.fill(text)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d desk) fill(text string) string {
	return strings.NewReplacer("MODEL", d.model, "ROWS", d.rows, "HELD", d.held).Replace(text)
}

// run runs a study in a laboratory on the desk.
func (d desk) run(t testing.TB, s *Study, o Options) Result {
	t.Helper()
	if o.Output == "" {
		o.Output = filepath.Join(d.dir, "lab")
	}
	r, err := Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tinyStudy compares two ranks on three seeds.
const tinyStudy = `
id: ranks
seeds: {quick: 2, full: 3, tuning: 2}
shared: {model: MODEL, data: [ROWS], max_steps: 6, batch_size: 4, learning_rate: 0.01, lora_targets: [q_proj, v_proj]}
arms:
  low: {lora_rank: 1}
  high: {lora_rank: 4}
metrics:
  loss: {score: loss, data: HELD}
  fall: {curve: collapse, of: train_loss}
  trained: {run: trainable}
tests:
  - {name: better, metric: loss, difference: [high, low], expect: below, margin: 0.01}
`
