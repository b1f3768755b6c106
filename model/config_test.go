package model_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/modeltest"
	"gotune/model"
)

// wants reports an error that does not contain every part.
func wants(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
}

// A config.json as transformers 4 wrote it for a published model.
const fourth = `{
	"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 0,
	"eos_token_id": [0, 2], "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.04, "intermediate_size": 1536,
	"is_llama_config": true, "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 9,
	"num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false,
	"rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
	"transformers.js_config": {"dtype": "q4"}, "transformers_version": "4.40.1", "use_cache": true, "vocab_size": 49152}`

func TestParseConfigOfTransformers4(t *testing.T) {
	zero := 0
	want := model.Config{
		ModelType: "llama", Architectures: []string{"LlamaForCausalLM"}, VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536,
		Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, HiddenAct: "silu", MaxPositions: 8192, InitializerRange: 0.04,
		RMSNormEps: 1e-5, Rope: model.Rope{Theta: 1e5}, TieWordEmbeddings: true, BOS: &zero, EOS: []int{0, 2}, TorchDType: "bfloat16",
	}
	got, err := model.ParseConfig([]byte(fourth))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, difference (- want, + got):\n%s", err, diff)
	}
}

func TestParseConfigOfTransformers5(t *testing.T) {
	got, err := model.LoadConfig(os.DirFS(filepath.Join("testdata", "untied")), "untied")
	want := model.Config{
		ModelType: "llama", Architectures: []string{"LlamaForCausalLM"}, VocabSize: 61, HiddenSize: 32, IntermediateSize: 48,
		Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 12, HiddenAct: "silu", MaxPositions: 128, InitializerRange: 0.2,
		RMSNormEps: 1e-5, Rope: model.Rope{Theta: 500}, AttentionBias: true, TorchDType: "float32",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, difference (- want, + got):\n%s", err, diff)
	}
}

// changed is the golden config with keys set to other values; nil removes one.
func changed(t testing.TB, change map[string]any) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "tied", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	maps.Copy(keys, change)
	maps.DeleteFunc(keys, func(key string, _ any) bool { v, known := change[key]; return known && v == nil })
	if raw, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	return raw
}

// null stands for JSON's null, where nil removes a key.
var null = json.RawMessage("null")

// Missing keys have the values that transformers gives them.
func TestParseConfigDefaults(t *testing.T) {
	for _, c := range []struct {
		change map[string]any
		check  func(model.Config) bool
	}{
		{map[string]any{"num_key_value_heads": nil}, func(c model.Config) bool { return c.KVHeads == 4 }},
		{map[string]any{"num_key_value_heads": null}, func(c model.Config) bool { return c.KVHeads == 4 }},
		{map[string]any{"head_dim": null}, func(c model.Config) bool { return c.HeadDim == 8 }},
		{map[string]any{"rms_norm_eps": nil}, func(c model.Config) bool { return c.RMSNormEps == 1e-6 }},
		{map[string]any{"rope_parameters": nil}, func(c model.Config) bool { return c.Rope.Theta == 10000 }},
		{map[string]any{"rope_parameters": null, "rope_theta": 7.5}, func(c model.Config) bool { return c.Rope.Theta == 7.5 }},
		{map[string]any{"rope_theta": 7.5}, func(c model.Config) bool { return c.Rope.Theta == 10000 }}, // rope_parameters goes first
		{map[string]any{"max_position_embeddings": nil}, func(c model.Config) bool { return c.MaxPositions == 2048 }},
		{map[string]any{"tie_word_embeddings": nil}, func(c model.Config) bool { return !c.TieWordEmbeddings }},
		{map[string]any{"dtype": nil}, func(c model.Config) bool { return c.TorchDType == "" }},
		{map[string]any{"eos_token_id": 3}, func(c model.Config) bool { return len(c.EOS) == 1 && c.EOS[0] == 3 }},
		{map[string]any{"something_new": null, "attention_dropout": null}, func(model.Config) bool { return true }},
	} {
		got, err := model.ParseConfig(changed(t, c.change))
		if err != nil || !c.check(got) {
			t.Errorf("%v: %+v (%v)", c.change, got, err)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		parts []string
	}{
		{"rope_scaling", map[string]any{"rope_type": "llama3", "factor": 32.0}, []string{`"rope_scaling.low_freq_factor"`, "missing", `"llama3"`}},
		{"rope_scaling", map[string]any{"rope_type": "spiral"}, []string{`"rope_scaling.rope_type"`, `"spiral"`, "default, dynamic, linear, llama3, longrope, yarn"}},
		{"rope_scaling", map[string]any{"type": "linear", "factor": "two"}, []string{`"rope_scaling.factor"`, "string"}},
		{"rope_scaling", map[string]any{"type": "linear", "factor": -2}, []string{`"linear"`, "factor is -2"}},
		{"rope_scaling", map[string]any{"type": 3}, []string{`"rope_scaling.type"`}},
		{"rope_scaling", map[string]any{"type": "longrope", "short_factor": []int{1, 1}, "long_factor": []int{2, 2, 2, 0}}, []string{`"longrope"`, "must have 4 numbers"}},
		{"rope_scaling", map[string]any{"type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 1}, []string{`"llama3"`, "low_freq_factor 4"}},
		{"rope_scaling", map[string]any{"type": "yarn", "factor": 2, "beta_fast": -1}, []string{`"yarn"`, "beta_fast"}},
		{"rope_scaling", map[string]any{"type": "yarn", "factor": 2, "original_max_position_embeddings": 1}, []string{`"yarn"`, "original_max_position_embeddings is 1"}},
		{"partial_rotary_factor", 0.5, []string{`"partial_rotary_factor" is 0.5`, "llama"}},
		{"partial_rotary_factor", 1.5, []string{"partial_rotary_factor is 1.5"}},
		{"rope_parameters", map[string]any{"rope_type": "yarn"}, []string{`"rope_parameters.factor"`, "yarn"}},
		{"rope_parameters", map[string]any{"rope_type": "default", "factor": 2}, []string{`"rope_parameters.factor"`}},
		{"rope_parameters", map[string]any{"rope_theta": "x"}, []string{`"rope_parameters.rope_theta"`}},
		{"rope_parameters", 3, []string{`"rope_parameters"`}},
		{"rope_parameters", map[string]any{"rope_theta": -1}, []string{"rope_theta -1"}},
		{"rope_parameters", map[string]any{"rope_theta": 0}, []string{"rope_theta 0"}},
		{"rope_interleaved", true, []string{`"rope_interleaved"`}},
		{"attention_dropout", 1.0, []string{`"attention_dropout" is 1`}},
		{"pretraining_tp", 2, []string{`"pretraining_tp"`}},
		{"quantization_config", map[string]any{"bits": 4}, []string{`"quantization_config"`}},
		{"hidden_act", "gelu", []string{`"hidden_act"`, `"gelu"`, "silu"}},
		{"sliding_window", 4096, []string{`"sliding_window"`, "4096"}},
		{"Hidden_Size", 64, []string{`"Hidden_Size"`}},
		{"model_type", "mamba", []string{`"model_type"`, `"mamba"`, "llama"}},
		{"model_type", nil, []string{`"model_type"`}},
		{"head_dim", 7, []string{"head_dim is 7", "even"}},
		{"head_dim", -8, []string{`"head_dim" is -8`}},
		{"num_key_value_heads", 3, []string{"num_attention_heads (4)", "num_key_value_heads (3)"}},
		{"hidden_size", nil, []string{`"hidden_size" is 0`}},
		{"hidden_size", "wide", []string{"hidden_size"}},
		{"vocab_size", 1 << 30, []string{`"vocab_size"`}},
		{"num_hidden_layers", 1 << 20, []string{`"num_hidden_layers"`}},
		{"rms_norm_eps", 0, []string{"rms_norm_eps 0"}},
		{"eos_token_id", "end", []string{"eos_token_id"}},
	} {
		_, err := model.ParseConfig(changed(t, map[string]any{c.key: c.value}))
		wants(t, err, c.parts...)
	}
	_, err := model.ParseConfig(changed(t, map[string]any{"head_dim": nil, "num_attention_heads": 6}))
	wants(t, err, "hidden_size (32)", "num_attention_heads (6)")
	for _, raw := range []string{"", "[]", "{", `"llama"`} {
		_, err := model.ParseConfig([]byte(raw))
		wants(t, err, "not a JSON object")
	}
	_, err = model.LoadConfig(fstest.MapFS{}, "my-model")
	wants(t, err, "my-model", "config.json", "not exist")
	_, err = model.LoadConfig(fstest.MapFS{"config.json": {Data: []byte("{}")}}, "my-model")
	wants(t, err, "my-model", "config.json", "model_type")
}

// What JSON writes, ParseConfig reads.
func TestConfigJSON(t *testing.T) {
	configs := []model.Config{}
	for _, name := range model.ShapeNames() {
		c, err := model.Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, c)
	}
	for _, name := range modeltest.Folders {
		configs = append(configs, modeltest.Load(t, filepath.Join("testdata", name)).Config)
	}
	for _, c := range configs {
		raw, err := c.JSON()
		if err != nil {
			t.Fatal(err)
		}
		got, err := model.ParseConfig(raw)
		if diff := cmp.Diff(c, got); err != nil || diff != "" {
			t.Errorf("%v, difference (- written, + read):\n%s", err, diff)
		}
	}
	_, err := model.Shape("huge")
	wants(t, err, `"huge"`, "smollm2-135m")
}

// The shapes of published models have as many parameters as these.
func TestShapesArePublished(t *testing.T) {
	for name, want := range map[string]int{
		"gpt2-124m": 124_439_808, "gpt2-355m": 354_823_168,
		"smollm2-135m": 134_515_008, "smollm2-360m": 361_821_120, "smollm2-1.7b": 1_711_376_384,
		"tinyllama-1.1b": 1_100_048_384, "llama-3.2-1b": 1_235_814_400,
		"qwen2.5-0.5b": 494_032_768, "qwen2.5-1.5b": 1_543_714_304, "qwen3-0.6b": 596_049_920, "qwen3-1.7b": 1_720_574_976,
		"gemma-2-2b": 2_614_341_888, "gemma-3-270m": 268_098_176, "gemma-3-1b": 999_885_952,
		"olmo-2-1b": 1_484_916_736, "pythia-70m": 70_426_624, "pythia-160m": 162_322_944, "pythia-410m": 405_334_016,
	} {
		c, err := model.Shape(name)
		if err != nil {
			t.Error(err)
			continue
		}
		m, err := model.Outline(c)
		if err != nil || m.Count() != want {
			t.Errorf("%s has %d parameters, want %d (%v)", name, m.Count(), want, err)
		}
	}
}

// No input makes ParseConfig panic, and what it takes can be written and read
// again unchanged.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(fourth))
	f.Add([]byte(small))
	f.Add(changed(f, nil))
	f.Add([]byte(`{"model_type":"llama","eos_token_id":[]}`))
	f.Add([]byte(`{"rope_parameters":{"rope_theta":null}}`))
	for _, c := range published {
		f.Add([]byte(c.raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := model.ParseConfig(raw)
		if err != nil {
			return
		}
		again, err := c.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.ParseConfig(again); err != nil {
			t.Errorf("%s became %s, which is refused: %v", raw, again, err)
		}
	})
}
