package export_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotune/export"
)

// A file whose model is another than the trained one is refused, and nothing is left of it.
func TestSaveRefusesAnotherModel(t *testing.T) {
	m, tok := export.Embedded(t)
	view, err := export.NewView(t.Context(), m, nil, nil, tok.Encode)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	save := func(ctx context.Context, name, dtype string) (export.Proof, error) {
		f, err := export.NewGGUF(m, tok, "base", "", dtype)
		if err != nil {
			t.Fatal(err)
		}
		return f.Save(ctx, filepath.Join(dir, name), view, m.Config)
	}
	for _, dtype := range []string{"float32", "float16", "bfloat16", "q8_0"} {
		proof, err := save(t.Context(), dtype, dtype)
		if err != nil || proof.Relative > proof.Tolerance {
			t.Errorf("%s: %v, %v", dtype, proof, err)
		}
		t.Logf("%s: %v", dtype, proof)
	}
	key := m.Weights["model.layers.1.self_attn.k_proj.weight"].Data
	for i := range key {
		key[i] = -key[i]
	}
	if _, err := save(t.Context(), "bad", "q8_0"); !errors.Is(err, export.ErrDiffers) || !strings.Contains(err.Error(), "bad") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := save(ctx, "stopped", "float32"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v is left, %v", entries, err)
	}
}

func TestRefusedExports(t *testing.T) {
	m, tok := export.Embedded(t)
	for dtype, want := range map[string]string{"q4_0": "a GGUF file takes float32, float16, bfloat16 or q8_0"} {
		if _, err := export.NewGGUF(m, tok, "base", "", dtype); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v", err)
		}
	}
	m.Config.VocabSize = 1000
	if _, err := export.NewGGUF(m, tok, "base", "", "float32"); err == nil || !strings.Contains(err.Error(), "the tokenizer has 1024 tokens, the model 1000") {
		t.Errorf("got %v", err)
	}
}
