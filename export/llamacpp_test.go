package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/model"
	"gotune/model/base"
	"gotune/tokenizer"
)

var written = flag.String("written", "", "folder that TestLlamaCppAgrees writes GGUF files into, for run_llama_cpp.py")

// A run is what llama.cpp made of a prompt: its ids, every 16th logit after it, and the
// greedy tokens that follow.
type run struct {
	Prompt      string
	IDs, Greedy []int32
	Logits      []float32
}

// Embedded is the embedded base.
func Embedded(t *testing.T) (*model.Model, *tokenizer.Tokenizer) {
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

// trained is a model with weights of the formula of `values`, four times as large, so that
// attention and feed-forward matter beside the embedding, and norms around 1.
func (m converted) trained(t *testing.T) *model.Model {
	t.Helper()
	c, err := model.ParseConfig(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.New(c, 7)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range out.Weights {
		for i, v := range values(name, len(w.Data)) {
			if w.Data[i] += 4 * v; len(w.Shape) > 1 {
				w.Data[i] = 4 * v
			}
		}
	}
	return out
}

// comparable reports prompts of so many tokens that llama.cpp, with a context of 256, computes
// as they are here: those that stay within the model's positions, and in longrope, which it
// takes by its context and not by the text, those beyond the original positions.
func comparable(c model.Config, tokens, more int) bool {
	return tokens+more <= c.MaxPositions && (c.Rope.Kind != "longrope" || tokens > c.Rope.OriginalPositions)
}

// The embedded base and a model of each family as GGUF, run by llama.cpp, encode texts to the
// ids that they have here, have the logits, and continue by the same tokens. llama.cpp takes
// GELU from a table in float16, and no other function.
func TestLlamaCppAgrees(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "llama_cpp.json"))
	var found map[string]struct {
		SHA256 string
		Runs   []run
	}
	if *written == "" && (err != nil || json.Unmarshal(raw, &found) != nil) {
		t.Fatalf("llama_cpp.json: %v", err)
	}
	check := func(name string, m *model.Model, tok *tokenizer.Tokenizer) {
		t.Run(name, func(t *testing.T) {
			f, err := NewGGUF(m, tok, "model of the test", "", "float32")
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := f.Write(&b); err != nil {
				t.Fatal(err)
			}
			if *written != "" {
				if err := os.WriteFile(filepath.Join(*written, name+".gguf"), b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if sum := fmt.Sprintf("%x", sha256.Sum256(b.Bytes())); sum != found[name].SHA256 {
				t.Errorf("the file has the SHA-256 %s, llama.cpp ran %s: run the test with -written and testdata/run_llama_cpp.py again", sum, found[name].SHA256)
			}
			agree(t, m, tok, found[name].Runs)
		})
	}
	m, tok := Embedded(t)
	check("base", m, tok)
	all := models(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		check(name, all[name].trained(t), all[name].tokenizer(t))
	}
}

// agree compares a model with what llama.cpp made of prompts.
func agree(t *testing.T, m *model.Model, tok *tokenizer.Tokenizer, runs []run) {
	t.Helper()
	if len(runs) < 4 {
		t.Fatalf("llama.cpp ran %d prompts", len(runs))
	}
	bound := 1e-5
	if m.Config.HiddenAct != "silu" {
		bound = 2e-3
	}
	tokens, worst := 0, 0.0
	for _, r := range runs {
		ids := tok.EncodeSpecial(r.Prompt)
		if !slices.Equal(ids, r.IDs) {
			t.Errorf("%q is %v, of llama.cpp %v", r.Prompt, ids, r.IDs)
		}
		if !comparable(m.Config, len(ids), len(r.Greedy)) {
			continue
		}
		g := model.NewGenerator(m, nil, nil)
		logits, err := g.Logits(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		var largest, far float64
		for i, want := range r.Logits {
			largest, far = max(largest, math.Abs(float64(want))), max(far, math.Abs(float64(want-logits[16*i])))
		}
		if worst = max(worst, far/largest); far > bound*largest {
			t.Errorf("after %q logits differ by %.2g of the largest, want %g", r.Prompt, far/largest, bound)
		}
		got, err := g.Generate(t.Context(), ids, model.Sampling{Greedy: true, Temperature: 1, TopP: 1, RepetitionPenalty: 1, IgnoreEOS: true, MaxNewTokens: len(r.Greedy)}, nil)
		if err != nil || !slices.Equal(got, r.Greedy) {
			t.Errorf("%q goes on %v, by llama.cpp %v (%v)", r.Prompt, got, r.Greedy, err)
		}
		tokens += len(got)
	}
	if tokens == 0 {
		t.Error("no prompt can be compared")
	}
	t.Logf("logits differ by %.2g of the largest; %d tokens are the same", worst, tokens)
}
