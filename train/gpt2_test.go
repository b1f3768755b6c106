package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"testing"

	"gotune/internal/hf"
	"gotune/internal/kernel"
	"gotune/model"
	"gotune/tokenizer"
)

// tinyGPT2 writes a GPT-2 of two layers with the tiny model's tokenizer.
func tinyGPT2(t testing.TB) string {
	t.Helper()
	tok, err := tokenizer.LoadFile(tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	c := model.Config{
		ModelType: "gpt2", HiddenAct: "gelu_new", VocabSize: 300, HiddenSize: 32, IntermediateSize: 128, Layers: 2, Heads: 4, KVHeads: 4,
		HeadDim: 8, MaxPositions: 64, InitializerRange: 0.2, LayerNormEps: 1e-5, TieWordEmbeddings: true,
	}
	m, err := model.New(WithTokenizer(c, tok), 3)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "gpt2")
	if err := m.Save(dir, hf.F32); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A GPT-2 trains to the same bytes with other threads, with blocks computed again,
// and when it is stopped and goes on.
func TestGPT2SameBytes(t *testing.T) {
	dir := tinyGPT2(t)
	for full, hash := range map[bool]string{
		false: "e27c8c2c18d466371121b61a12a6803f3ed5e30f25389d0fe8da3657fc1258f8",
		true:  "0a75254f3f79b022f608018c4b39b9143416c7f98dbfab93a13dcc09d955dc22",
	} {
		r := tinyRecipe(t)
		r.Model, r.Full, r.Packing, r.Dropout = dir, full, full, 0.1
		want, s := runRecipe(t, r)
		if first, last := s.steps[0].Loss, s.steps[len(s.steps)-1].Loss; !(last < first) {
			t.Errorf("full %t: the loss went from %g to %g", full, first, last)
		}
		name := "adapter/adapter_model.safetensors"
		if full {
			name = "model/model.safetensors"
		}
		// The promise holds from AVX2 on: see TestArithmetic.
		sum := sha256.Sum256([]byte(tensors(t, want)[filepath.FromSlash(name)]))
		if got := hex.EncodeToString(sum[:]); kernel.Active() != kernel.Generic && got != hash {
			t.Errorf("full %t: %s has the hash %s, want %s", full, name, got, hash)
		}
		for what, change := range map[string]func(*Recipe){
			"three threads":          func(r *Recipe) { r.Threads = 3 },
			"gradient checkpointing": func(r *Recipe) { r.GradientCheckpointing = "blocks" },
		} {
			other := r
			change(&other)
			got, _ := runRecipe(t, other)
			sameTensors(t, what, want, got)
		}
		path := stopAt(t, r, 5)
		if _, err := Resume(context.Background(), path, 2, &silent{}); err != nil {
			t.Fatal(err)
		}
		result := filepath.Dir(name)
		sameTensors(t, "stopped and not", filepath.Join(want, result), filepath.Join(path, result))
	}
}
