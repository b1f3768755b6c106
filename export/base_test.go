package export_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/export"
	"gotune/model"
	"gotune/model/base"
	"gotune/tokenizer"
)

// baseFile is the SHA-256 of the embedded base as a GGUF file in float32, which llama.cpp
// ran for testdata/llama_cpp.json.
const baseFile = "9e08c788eff1fdf867d365905e69422e52e703eca48dcfaa24b7d031354e7936"

func open(t *testing.T) (*model.Model, *tokenizer.Tokenizer) {
	t.Helper()
	src, err := base.FS()
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(t.Context(), src, "base")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(src, "base")
	if err != nil {
		t.Fatal(err)
	}
	return m, tok
}

// The embedded base as GGUF, run by llama.cpp, encodes texts to the ids that they have here
// and continues them by the same tokens.
func TestLlamaCppAgrees(t *testing.T) {
	m, tok := open(t)
	f, err := export.NewGGUF(m, tok, "base", "", "float32")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b.Bytes()); hex.EncodeToString(sum[:]) != baseFile {
		t.Errorf("the file has the SHA-256 %x, not that of the file that llama.cpp ran: run testdata/run_llama_cpp.py again", sum)
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "llama_cpp.json"))
	if err != nil {
		t.Fatal(err)
	}
	var runs []struct {
		Prompt      string
		IDs, Greedy []int32
	}
	if err := json.Unmarshal(raw, &runs); err != nil || len(runs) < 3 {
		t.Fatal(len(runs), err)
	}
	for _, r := range runs {
		ids := tok.Encode(r.Prompt)
		if !slices.Equal(ids, r.IDs) {
			t.Errorf("%q is %v, of llama.cpp %v", r.Prompt, ids, r.IDs)
		}
		got, err := model.NewGenerator(m, nil, nil).Generate(t.Context(), ids, model.Sampling{Greedy: true, Temperature: 1, TopP: 1, RepetitionPenalty: 1, IgnoreEOS: true, MaxNewTokens: len(r.Greedy)}, nil)
		if err != nil || !slices.Equal(got, r.Greedy) {
			t.Errorf("%q goes on %v, by llama.cpp %v (%v)", r.Prompt, got, r.Greedy, err)
		}
	}
}

// A file whose model is another than the trained one is refused, and nothing is left of it.
func TestSaveRefusesAnotherModel(t *testing.T) {
	m, tok := open(t)
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
	m, tok := open(t)
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
