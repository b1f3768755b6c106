package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotune/internal/gguf"
	"gotune/model"
	"gotune/tokenizer"
)

// A converted model is what testdata/golden.py writes of one: what llama.cpp's converter
// makes of its weights.
type converted struct {
	Tokenizer string
	Config    json.RawMessage
	// TokenizerConfig is its tokenizer_config.json.
	TokenizerConfig json.RawMessage   `json:"tokenizer_config"`
	Weights         []json.RawMessage // name, shape
	F32, Q8         file              `json:"-"`
	RawF32          json.RawMessage   `json:"f32"`
	RawQ8           json.RawMessage   `json:"q8_0"`
}

type file struct {
	Meta    map[string]json.RawMessage
	Tensors [][4]json.RawMessage // name, shape, type, SHA-256
}

func models(t *testing.T) map[string]converted {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "families.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]converted
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for name, m := range all {
		if err := json.Unmarshal(m.RawF32, &m.F32); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(m.RawQ8, &m.Q8); err != nil {
			t.Fatal(err)
		}
		all[name] = m
	}
	return all
}

// values is the formula of testdata/golden.py.
func values(name string, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		x := uint32(i)*0x9e3779b1 + crc32.ChecksumIEEE([]byte(name))
		x ^= x >> 15
		x *= 0x2c1b3c6d
		x ^= x >> 12
		out[i] = (float32(x>>16) - 32768) / (1 << 19)
	}
	return out
}

func (m converted) weights(t *testing.T) []weight {
	t.Helper()
	var all []weight
	for _, raw := range m.Weights {
		var w weight
		if err := json.Unmarshal(raw, &[]any{&w.name, &w.shape}); err != nil {
			t.Fatal(err)
		}
		n := 1
		for _, d := range w.shape {
			n *= d
		}
		w.values = func() []float32 { return values(w.name, n) }
		all = append(all, w)
	}
	return all
}

// tokenizer loads the tokenizer, from its files beside a config.json.
func (m converted) tokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	path := filepath.Join("..", "tokenizer", "testdata", m.Tokenizer+".json")
	if m.Tokenizer == "spm" {
		path = filepath.Join("testdata", "spm", "tokenizer.json")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"tokenizer.json": {Data: raw}, "tokenizer_config.json": {Data: m.TokenizerConfig}, "config.json": {Data: m.Config}}
	tok, err := tokenizer.Load(fs.FS(files), m.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// hash is a long list as testdata/golden.py writes it.
func hash(list any) json.RawMessage {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(list)
	sum := sha256.Sum256([]byte(strings.TrimSuffix(b.String(), "\n")))
	return json.RawMessage(`"` + hex.EncodeToString(sum[:]) + `"`)
}

// sameValue compares a value with JSON.
func sameValue(v gguf.Value, want json.RawMessage) bool {
	if v.Kind == gguf.String {
		texts := v.Strings()
		switch {
		case !v.Array:
			var s string
			return json.Unmarshal(want, &s) == nil && s == texts[0]
		case len(texts) > 64:
			return string(hash(texts)) == string(want)
		}
		var list []string
		return json.Unmarshal(want, &list) == nil && slices.Equal(list, texts)
	}
	numbers := v.Float64s()
	if v.Array && len(numbers) > 64 {
		return string(hash(numbers)) == string(want)
	}
	if v.Kind == gguf.Bool && !v.Array {
		return string(want) == fmt.Sprint(numbers[0] == 1)
	}
	if !v.Array {
		var x float64
		// A reader's float32 is printed as the float64 that equals it.
		return json.Unmarshal(want, &x) == nil && float32(x) == float32(numbers[0])
	}
	var list []float64
	return json.Unmarshal(want, &list) == nil && slices.Equal(list, numbers)
}

// unwritten are keys that the converter leaves out and that say what llama.cpp takes
// without them, or what it would take from the name of the pre-tokenizer.
var unwritten = []string{
	".attention.head_count_kv", ".vocab_size", ".rope.freq_base", ".rope.freq_base_swa", ".rope.dimension_count", ".rope.scaling.original_context_length",
	".attention.key_length", ".attention.value_length",
	"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix",
}

// passed are keys of the converter that say nothing more. Its scores are those of
// tokenizer.model, where ours are made of the merges and have the same order.
var passed = []string{"tokenizer.ggml.scores", "tokenizer.ggml.add_sep_token"}

// Names, shapes, types and bytes of all tensors, and the metadata, are those of llama.cpp's
// converter, for each family.
func TestFamiliesAgainstConverter(t *testing.T) {
	covered := make(map[string]bool)
	for name, m := range models(t) {
		t.Run(name, func(t *testing.T) {
			k, err := parseKeys(m.Config)
			if err != nil {
				t.Fatal(err)
			}
			covered[k.text("model_type")] = true
			for kind, want := range map[gguf.Type]file{gguf.F32: m.F32, gguf.Q8_0: m.Q8} {
				f, err := lay(k, m.weights(t), kind, name)
				if err != nil {
					t.Fatal(err)
				}
				sameTensors(t, f, want)
				words, err := newVocabulary(m.tokenizer(t), k.whole("vocab_size"))
				if err != nil {
					t.Fatal(err)
				}
				sameMeta(t, append(f.meta, words.metadata()...), want)
			}
		})
	}
	for family := range families {
		if !covered[family] {
			t.Errorf("no model of the family %s was converted", family)
		}
	}
}

func sameMeta(t *testing.T, meta gguf.Metadata, want file) {
	t.Helper()
	for _, p := range meta {
		raw, ok := want.Meta[p.Key]
		added := slices.ContainsFunc(unwritten, func(end string) bool { return strings.HasSuffix(p.Key, end) })
		switch {
		case slices.Contains(passed, p.Key), strings.HasPrefix(p.Key, "general.") && !ok:
		case !ok && !added:
			t.Errorf("key %s is not written by the converter", p.Key)
		case ok && !sameValue(p.Value, raw):
			t.Errorf("key %s is %v %.60q, the converter writes %.80s", p.Key, p.Value.Float64s(), p.Value.Strings(), raw)
		}
	}
	for key := range want.Meta {
		if _, ok := meta.Get(key); !ok && !slices.Contains(passed, key) {
			t.Errorf("key %s of the converter is not written: %.80s", key, want.Meta[key])
		}
	}
}

func sameTensors(t *testing.T, f *File, want file) {
	t.Helper()
	if len(f.tensors) != len(want.Tensors) {
		t.Errorf("%d tensors, the converter writes %d", len(f.tensors), len(want.Tensors))
	}
	for _, w := range want.Tensors {
		var name, kind, sum string
		var shape []int
		for i, into := range []any{&name, &shape, &kind, &sum} {
			if err := json.Unmarshal(w[i], into); err != nil {
				t.Fatal(err)
			}
		}
		i := slices.IndexFunc(f.tensors, func(t gguf.Tensor) bool { return t.Name == name })
		if i < 0 {
			t.Errorf("tensor %s of the converter is not written", name)
			continue
		}
		got := f.tensors[i]
		if got.Type.String() != kind || !slices.Equal(got.Shape, shape) {
			t.Errorf("tensor %s is %v %v, the converter writes %s %v", name, got.Type, got.Shape, kind, shape)
			continue
		}
		raw, err := got.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if s := sha256.Sum256(raw); hex.EncodeToString(s[:]) != sum {
			t.Errorf("tensor %s has other bytes than the converter's", name)
		}
	}
}

// What is read back from a layout is what was laid out.
func TestLayoutsUndo(t *testing.T) {
	k := keys{"num_attention_heads": json.RawMessage("2"), "hidden_size": json.RawMessage("16")}
	for _, l := range []layout{asIs, transposed, queryPairs, headsOfQKV} {
		shape := []int{48, 3}
		x := values("x", 48*3)
		if got := l.undo(k, l.apply(k, x, shape), shape); !slices.Equal(got, x) {
			t.Errorf("%+v changed the values", l)
		}
	}
}

func TestTolerances(t *testing.T) {
	// bfloat16 at the shape of SmolLM2-135M: 2⁻⁸ · √211.
	if got, want := Tolerance(BFloat16, 30, 1536), math.Sqrt(211)/256; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %g, want %g", got, want)
	}
	if got, want := Tolerance(Exact, 1, 64), 8*math.Sqrt(8)/(1<<24); math.Abs(got-want) > 1e-18 {
		t.Errorf("got %g, want %g", got, want)
	}
}

// Every family, as it is trained here, comes back from GGUF with its logits.
func TestFamiliesReadBack(t *testing.T) {
	for name, m := range models(t) {
		t.Run(name, func(t *testing.T) {
			c, err := model.ParseConfig(m.Config)
			if err != nil {
				t.Fatal(err)
			}
			random, err := model.New(c, 7)
			if err != nil {
				t.Fatal(err)
			}
			view, err := NewView(t.Context(), random, nil, nil, func(text string) []int32 { return []int32{int32(len(text)), 5, 9, 70, 71} })
			if err != nil {
				t.Fatal(err)
			}
			raw, err := c.JSON()
			if err != nil {
				t.Fatal(err)
			}
			k, err := parseKeys(raw)
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range gguf.Types() {
				f, err := lay(k, weightsOf(random), kind, name)
				if err != nil {
					t.Fatal(err)
				}
				proof, err := f.Save(t.Context(), filepath.Join(t.TempDir(), "x.gguf"), view, c)
				if err != nil {
					t.Error(err)
				}
				t.Logf("%v: %v", kind, proof)
			}
		})
	}
}

// The head of a model has a tensor of its own exactly where it is not the embedding, in
// families whose llama.cpp takes the embedding for it; in the others a tied one is refused, and in Gemma 1 and 2 one
// that is not.
func TestTiedStaysTied(t *testing.T) {
	for name, m := range models(t) {
		for _, tied := range []bool{true, false} {
			c, err := model.ParseConfig(m.Config)
			if err != nil {
				t.Fatal(err)
			}
			c.TieWordEmbeddings = tied
			random, err := model.New(c, 7)
			if err != nil {
				if !tied && strings.HasPrefix(name, "gemma") {
					continue // its head is always tied
				}
				t.Fatal(err)
			}
			f, err := NewGGUF(random, m.tokenizer(t), "model", "", "float32")
			if kind := c.ModelType; tied && (kind == "olmo2" || kind == "gpt_neox") {
				if err == nil || !strings.Contains(err.Error(), "the head is tied") {
					t.Errorf("%s: got %v", name, err)
				}
				continue
			} else if !tied && (kind == "gemma" || kind == "gemma2") {
				if err == nil || !strings.Contains(err.Error(), "the head is not tied") {
					t.Errorf("%s: got %v", name, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(f.Tensors(), "output.weight") == tied {
				t.Errorf("%s, tied %v: the tensors are %v", name, tied, f.Tensors())
			}
		}
	}
}

// What llama.cpp would compute otherwise than the model.
func TestRefusedDescriptions(t *testing.T) {
	all := models(t)
	for name, c := range map[string]struct {
		key, value, want string
	}{
		"glm":    {"head_dim", "32", "4 heads of 32 numbers are not hidden_size, 64"},
		"gemma2": {"attn_logit_softcapping", "null", "llama.cpp's gemma2 always caps"},
		"gpt2":   {"scale_attn_weights", "false", "llama.cpp's gpt2 does not know"},
		"qwen3":  {"use_sliding_window", "true", "llama.cpp's qwen3 does not know"},
	} {
		k, err := parseKeys(all[name].Config)
		if err != nil {
			t.Fatal(err)
		}
		k[c.key] = json.RawMessage(c.value)
		if _, err := lay(k, all[name].weights(t), gguf.F32, name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
