package model_test

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/exec"
	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/model"
)

// A config.json as an older transformers wrote it for a published model.
const small = `{
	"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256,
	"embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
	"n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1,
	"summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
	"summary_use_proj": true, "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
	"vocab_size": 50257}`

func smallGPT2() model.Config {
	end := 50256
	return model.Config{
		ModelType: "gpt2", Architectures: []string{"GPT2LMHeadModel"}, VocabSize: 50257, HiddenSize: 768, IntermediateSize: 3072,
		Layers: 12, Heads: 12, KVHeads: 12, HeadDim: 64, HiddenAct: "gelu_new", MaxPositions: 1024, InitializerRange: 0.02,
		TieWordEmbeddings: true, BOS: &end, EOS: []int{end}, LayerNormEps: 1e-5,
		Dropouts: model.Dropouts{Residual: 0.1, Embedding: 0.1, Attention: 0.1},
	}
}

func TestParseGPT2Config(t *testing.T) {
	for _, c := range []struct {
		raw    string
		change func(*model.Config)
	}{
		{small, func(*model.Config) {}},
		{strings.Replace(small, `"n_positions": 1024, `, "", 1), func(*model.Config) {}},
		{strings.Replace(small, `"n_ctx": 1024`, `"n_ctx": 512`, 1), func(*model.Config) {}}, // n_positions goes first
		{strings.NewReplacer(`"n_positions": 1024, `, "", `"n_ctx": 1024`, `"n_ctx": 512`).Replace(small), func(c *model.Config) { c.MaxPositions = 512 }},
		{strings.Replace(small, `"n_ctx": 1024`, `"n_inner": 100, "scale_attn_weights": false, "dtype": "bfloat16"`, 1), func(c *model.Config) {
			c.IntermediateSize, c.AttentionScale, c.TorchDType = 100, 1, "bfloat16"
		}},
		{strings.Replace(small, `"resid_pdrop": 0.1`, `"resid_pdrop": 0, "tie_word_embeddings": false`, 1), func(c *model.Config) {
			c.Dropouts.Residual, c.TieWordEmbeddings = 0, false
		}},
		{`{"model_type": "gpt2"}`, func(c *model.Config) { c.Architectures, c.BOS, c.EOS = nil, nil, nil }},
	} {
		want := smallGPT2()
		c.change(&want)
		got, err := model.ParseConfig([]byte(c.raw))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, difference (- want, + got):\n%s", c.raw, err, diff)
		}
		written, err := got.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := model.ParseConfig(written)
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("%v, difference (- written, + read):\n%s", err, diff)
		}
	}
}

func TestParseGPT2ConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		parts []string
	}{
		{"scale_attn_by_inverse_layer_idx", true, []string{`"scale_attn_by_inverse_layer_idx"`, "true"}},
		{"reorder_and_upcast_attn", true, []string{`"reorder_and_upcast_attn"`}},
		{"add_cross_attention", true, []string{`"add_cross_attention"`}},
		{"activation_function", "gelu", []string{`"activation_function"`, `"gelu"`, "gelu_new"}},
		{"rope_theta", 10000, []string{`"rope_theta"`}}, // a key of Llama's
		{"hidden_size", 768, []string{`"hidden_size"`}},
		{"n_head", 7, []string{"n_embd (768)", "n_head (7)"}},
		{"n_head", 0, []string{`"n_head" is 0`}},
		{"n_inner", -1, []string{`"n_inner" is -1`}},
		{"n_positions", 0, []string{`"n_positions" is 0`}},
		{"n_layer", "many", []string{"n_layer"}},
		{"layer_norm_epsilon", 0, []string{"layer_norm_epsilon 0"}},
	} {
		var keys map[string]any
		if err := json.Unmarshal([]byte(small), &keys); err != nil {
			t.Fatal(err)
		}
		keys[c.key] = c.value
		raw, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		_, err = model.ParseConfig(raw)
		wants(t, err, c.parts...)
	}
}

// Files from before the prefix, with the masks and the copy of the head that they
// hold, are read; a name under both spellings is not.
func TestLoadOldGPT2(t *testing.T) {
	m := golden(t, "gpt2")
	raw, err := m.Config.JSON()
	if err != nil {
		t.Fatal(err)
	}
	tensors := map[string]hf.Tensor{"lm_head.weight": m.Weights["transformer.wte.weight"]}
	for name, w := range m.Weights {
		tensors[strings.TrimPrefix(name, "transformer.")] = w
	}
	for _, mask := range []string{"h.0.attn.bias", "h.1.attn.masked_bias", "transformer.h.1.attn.bias"} {
		tensors[mask] = hf.Tensor{Shape: []int{1}, Data: []float32{1}}
	}
	load := func() (*model.Model, error) {
		var buf bytes.Buffer
		if err := hf.Write(&buf, tensors, hf.F32); err != nil {
			t.Fatal(err)
		}
		return model.Load(t.Context(), fstest.MapFS{"config.json": {Data: raw}, "model.safetensors": {Data: buf.Bytes()}}, "old")
	}
	old, err := load()
	if err != nil || old.Count() != m.Count() {
		t.Fatalf("%v", err)
	}
	for name, w := range m.Weights {
		if !slices.Equal(old.Weights[name].Data, w.Data) {
			t.Errorf("%s differs", name)
		}
	}
	tensors["transformer.wpe.weight"] = tensors["wpe.weight"]
	_, err = load()
	wants(t, err, "unexpected tensors", "wpe.weight")
}

func TestGPT2Layers(t *testing.T) {
	m := golden(t, "gpt2-untied")
	var want []string
	for _, block := range []string{"transformer.h.0.", "transformer.h.1."} {
		for _, layer := range []string{"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"} {
			want = append(want, block+layer)
		}
	}
	if got := m.Projections(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := m.Projection(want[2]); got != (model.Projection{In: 32, Out: 48, Conv1D: true}) {
		t.Errorf("%+v", got)
	}
	if tables := m.TokenRows(); len(tables) != 2 || tables[1].Shape[0] != 61 {
		t.Errorf("%d tables with a row for each token", len(tables))
	}
	// Twelve values a width of 768: the published model's count.
	c := smallGPT2()
	c.Layers = 1
	one, err := model.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := one.Count() + 11*(12*768*768+13*768); got != 124_439_808 {
		t.Errorf("%d parameters in twelve layers, want 124,439,808", got)
	}
	for name, deviation := range map[string]float64{
		"transformer.wpe.weight": 0.02, "transformer.h.0.mlp.c_fc.weight": 0.02, "transformer.h.0.mlp.c_proj.weight": 0.02 / math.Sqrt2,
	} {
		squares := 0.0
		for _, v := range one.Weights[name].Data {
			squares += float64(v) * float64(v)
		}
		modeltest.NearOne(t, "deviation of "+name, math.Sqrt(squares/float64(len(one.Weights[name].Data))), deviation, 0.01)
	}
}

// A row is no longer than the table of positions, and in it segments begin at 0.
func TestGPT2Positions(t *testing.T) {
	m := golden(t, "gpt2")
	_, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: 129})
	wants(t, err, "128 tokens", "n_positions")
	p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: 4})
	if err != nil {
		t.Fatal(err)
	}
	p.Positions[1] = 128
	wants(t, p.Run(), "position 128", "0…127")
	// A text reads the same beside another one as alone: see also
	// TestPackedEqualsPaddedEqualsAccumulated.
	p, err = m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: 20})
	if err != nil {
		t.Fatal(err)
	}
	beside := train(t, p, nil, segments(20, [][]int32{texts[0], texts[1]})).nll
	alone := train(t, p, nil, segments(20, [][]int32{texts[1]})).nll
	if at, n := len(texts[0]), len(texts[1]); !slices.Equal(beside[at:at+n], alone[:n]) {
		t.Error("nll of a text changes with its place")
	}
}

// The golden folders save as they were, Conv1D's weights as [in, out].
func TestSaveGPT2(t *testing.T) {
	for _, name := range []string{"gpt2", "gpt2-untied"} {
		dir := t.TempDir()
		if err := golden(t, name).Save(dir, hf.F32); err != nil {
			t.Fatal(err)
		}
		want := modeltest.Tensors(t, filepath.Join("testdata", name), "model.safetensors")
		got := modeltest.Tensors(t, dir, "model.safetensors")
		if len(got) != len(want) {
			t.Errorf("%s: %d tensors, transformers has %d", name, len(got), len(want))
		}
		for weight, w := range want {
			if g := got[weight]; !slices.Equal(g.Shape, w.Shape) || !slices.Equal(g.Data, w.Data) {
				t.Errorf("%s: %s differs", name, weight)
			}
		}
	}
}
