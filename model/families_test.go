package model_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/modeltest"
	"gotune/model"
)

func id(i int) *int { return &i }

// published are config.json files as models are published with them, with the numbers of
// small ones, and what they say.
var published = map[string]struct {
	raw  string
	want model.Config
}{
	"Llama 3.2": {`{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
		"eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02,
		"intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
		"num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0,
		"high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
		"rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers_version": "4.45.0.dev0",
		"use_cache": true, "vocab_size": 128256}`, model.Config{
		ModelType: "llama", Architectures: []string{"LlamaForCausalLM"}, VocabSize: 128256, HiddenSize: 2048, IntermediateSize: 8192,
		Layers: 16, Heads: 32, KVHeads: 8, HeadDim: 64, HiddenAct: "silu", MaxPositions: 131072, InitializerRange: 0.02, RMSNormEps: 1e-5,
		Rope:              model.Rope{Theta: 500000, Kind: "llama3", Factor: 32, LowFrequency: 1, HighFrequency: 4, OriginalPositions: 8192},
		TieWordEmbeddings: true, BOS: id(128000), EOS: []int{128001, 128008, 128009}, TorchDType: "bfloat16",
	}},
	"TinyLlama": {`{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
		"hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5632, "max_position_embeddings": 2048, "model_type": "llama",
		"num_attention_heads": 32, "num_hidden_layers": 22, "num_key_value_heads": 4, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
		"rope_scaling": null, "rope_theta": 10000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
		"transformers_version": "4.35.0", "use_cache": true, "vocab_size": 32000}`, model.Config{
		ModelType: "llama", Architectures: []string{"LlamaForCausalLM"}, VocabSize: 32000, HiddenSize: 2048, IntermediateSize: 5632,
		Layers: 22, Heads: 32, KVHeads: 4, HeadDim: 64, HiddenAct: "silu", MaxPositions: 2048, InitializerRange: 0.02, RMSNormEps: 1e-5,
		Rope: model.Rope{Theta: 10000}, BOS: id(1), EOS: []int{2}, TorchDType: "bfloat16",
	}},
	"Mistral 7B": {`{"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096,
		"initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
		"num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
		"sliding_window": 4096, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.34.0.dev0",
		"use_cache": true, "vocab_size": 32000}`, model.Config{
		ModelType: "mistral", Architectures: []string{"MistralForCausalLM"}, VocabSize: 32000, HiddenSize: 4096, IntermediateSize: 14336,
		Layers: 32, Heads: 32, KVHeads: 8, HeadDim: 128, HiddenAct: "silu", MaxPositions: 32768, InitializerRange: 0.02, RMSNormEps: 1e-5,
		Rope: model.Rope{Theta: 10000}, SlidingWindow: 4096, BOS: id(1), EOS: []int{2}, TorchDType: "bfloat16",
	}},
	"Qwen2.5": {`{"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
		"hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864, "max_position_embeddings": 32768,
		"max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
		"rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
		"transformers_version": "4.43.1", "use_cache": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936}`, model.Config{
		ModelType: "qwen2", Architectures: []string{"Qwen2ForCausalLM"}, VocabSize: 151936, HiddenSize: 896, IntermediateSize: 4864,
		Layers: 24, Heads: 14, KVHeads: 2, HeadDim: 64, HiddenAct: "silu", MaxPositions: 32768, InitializerRange: 0.02, RMSNormEps: 1e-6,
		Rope: model.Rope{Theta: 1e6}, TieWordEmbeddings: true, BOS: id(151643), EOS: []int{151645}, TorchDType: "bfloat16",
	}},
	"Qwen3 by transformers 5": {`{"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643,
		"dtype": "bfloat16", "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
		"intermediate_size": 3072, "layer_types": ["full_attention", "full_attention"], "max_position_embeddings": 40960,
		"max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 2, "num_key_value_heads": 8,
		"pad_token_id": null, "rms_norm_eps": 1e-06, "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"},
		"sliding_window": null, "tie_word_embeddings": true, "transformers_version": "5.0.0", "use_cache": true,
		"use_sliding_window": false, "vocab_size": 151936}`, model.Config{
		ModelType: "qwen3", Architectures: []string{"Qwen3ForCausalLM"}, VocabSize: 151936, HiddenSize: 1024, IntermediateSize: 3072,
		Layers: 2, Heads: 16, KVHeads: 8, HeadDim: 128, HiddenAct: "silu", MaxPositions: 40960, InitializerRange: 0.02, RMSNormEps: 1e-6,
		Rope: model.Rope{Theta: 1e6}, TieWordEmbeddings: true, BOS: id(151643), EOS: []int{151645}, TorchDType: "bfloat16",
	}},
	"Phi-3 mini": {`{"architectures": ["Phi3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "auto_map": {"AutoConfig":
		"configuration_phi3.Phi3Config"}, "bos_token_id": 1, "embd_pdrop": 0.0, "eos_token_id": 32000, "hidden_act": "silu",
		"hidden_size": 3072, "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 4096, "model_type": "phi3",
		"num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "original_max_position_embeddings": 4096,
		"pad_token_id": 32000, "resid_pdrop": 0.1, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0,
		"sliding_window": 2047, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.40.2",
		"use_cache": true, "vocab_size": 32064}`, model.Config{
		ModelType: "phi3", Architectures: []string{"Phi3ForCausalLM"}, VocabSize: 32064, HiddenSize: 3072, IntermediateSize: 8192,
		Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 96, HiddenAct: "silu", MaxPositions: 4096, InitializerRange: 0.02, RMSNormEps: 1e-5,
		Rope: model.Rope{Theta: 10000}, SlidingWindow: 2047, BOS: id(1), EOS: []int{32000}, Pad: id(32000), TorchDType: "bfloat16",
		Dropouts: model.Dropouts{Residual: 0.1},
	}},
	"Phi-3 of 128k, in small": {`{"architectures": ["Phi3ForCausalLM"], "bos_token_id": 1, "eos_token_id": 32000, "hidden_act": "silu",
		"hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64, "max_position_embeddings": 131072, "model_type": "phi3",
		"num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 1, "original_max_position_embeddings": 4096,
		"partial_rotary_factor": 0.5, "rms_norm_eps": 1e-05, "rope_scaling": {"long_factor": [1.5, 2, 30, 64], "short_factor": [1, 1, 2, 3],
		"type": "su"}, "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": false, "vocab_size": 300}`, model.Config{
		ModelType: "phi3", Architectures: []string{"Phi3ForCausalLM"}, VocabSize: 300, HiddenSize: 32, IntermediateSize: 64,
		Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 16, HiddenAct: "silu", MaxPositions: 131072, InitializerRange: 0.02, RMSNormEps: 1e-5,
		Rope: model.Rope{Theta: 10000, Kind: "longrope", OriginalPositions: 4096, Partial: 0.5,
			ShortFactors: []float64{1, 1, 2, 3}, LongFactors: []float64{1.5, 2, 30, 64}},
		SlidingWindow: 262144, BOS: id(1), EOS: []int{32000},
	}},
	"OLMo 2": {`{"architectures": ["Olmo2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "eos_token_id": 100257,
		"hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 4096,
		"model_type": "olmo2", "num_attention_heads": 16, "num_hidden_layers": 16, "num_key_value_heads": 16, "pad_token_id": 100277,
		"rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 500000, "tie_word_embeddings": false, "torch_dtype": "float32",
		"transformers_version": "4.48.0", "use_cache": false, "vocab_size": 100352}`, model.Config{
		ModelType: "olmo2", Architectures: []string{"Olmo2ForCausalLM"}, VocabSize: 100352, HiddenSize: 2048, IntermediateSize: 8192,
		Layers: 16, Heads: 16, KVHeads: 16, HeadDim: 128, HiddenAct: "silu", MaxPositions: 4096, InitializerRange: 0.02, RMSNormEps: 1e-6,
		Rope: model.Rope{Theta: 500000}, EOS: []int{100257}, Pad: id(100277), TorchDType: "float32",
	}},
	"Granite": {`{"architectures": ["GraniteForCausalLM"], "attention_bias": false, "attention_dropout": 0.1, "attention_multiplier": 0.015625,
		"bos_token_id": 0, "embedding_multiplier": 12.0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 2048,
		"initializer_range": 0.02, "intermediate_size": 8192, "logits_scaling": 8.0, "max_position_embeddings": 4096, "mlp_bias": false,
		"model_type": "granite", "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8, "pad_token_id": 0,
		"residual_multiplier": 0.22, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0, "tie_word_embeddings": true,
		"torch_dtype": "bfloat16", "transformers_version": "4.46.0.dev0", "use_cache": true, "vocab_size": 49155}`, model.Config{
		ModelType: "granite", Architectures: []string{"GraniteForCausalLM"}, VocabSize: 49155, HiddenSize: 2048, IntermediateSize: 8192,
		Layers: 40, Heads: 32, KVHeads: 8, HeadDim: 64, HiddenAct: "silu", MaxPositions: 4096, InitializerRange: 0.02, RMSNormEps: 1e-5,
		Rope: model.Rope{Theta: 10000}, TieWordEmbeddings: true, BOS: id(0), EOS: []int{0}, Pad: id(0), TorchDType: "bfloat16",
		Dropouts: model.Dropouts{Attention: 0.1}, AttentionScale: 0.015625, EmbeddingMultiplier: 12, ResidualMultiplier: 0.22, LogitsDivisor: 8,
	}},
}

func TestParsePublishedConfigs(t *testing.T) {
	for name, c := range published {
		got, err := model.ParseConfig([]byte(c.raw))
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, difference (- want, + got):\n%s", name, err, diff)
			continue
		}
		raw, err := got.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := model.ParseConfig(raw)
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("%s: %v, difference (- written, + read):\n%s", name, err, diff)
		}
	}
}

// Which layers attend to how many tokens.
func TestWindows(t *testing.T) {
	for _, c := range []struct {
		family string
		change map[string]any
		want   [4]int
	}{
		{"Mistral 7B", nil, [4]int{4096, 4096, 4096, 4096}},
		{"Mistral 7B", map[string]any{"sliding_window": null}, [4]int{}},
		{"Mistral 7B", map[string]any{"sliding_window": nil}, [4]int{4096, 4096, 4096, 4096}}, // the default
		{"Qwen2.5", map[string]any{"max_window_layers": 2}, [4]int{}},
		{"Qwen2.5", map[string]any{"use_sliding_window": true}, [4]int{}},
		{"Qwen2.5", map[string]any{"use_sliding_window": true, "max_window_layers": 2}, [4]int{0, 0, 32768, 32768}},
		{"Qwen2.5", map[string]any{"use_sliding_window": true, "max_window_layers": 0}, [4]int{32768, 32768, 32768, 32768}},
		{"Qwen2.5", map[string]any{"use_sliding_window": true, "sliding_window": 7, "layer_types": []string{
			"sliding_attention", "full_attention", "full_attention", "sliding_attention"}}, [4]int{7, 0, 0, 7}},
		{"Phi-3 mini", nil, [4]int{2047, 2047, 2047, 2047}},
		{"Phi-3 mini", map[string]any{"sliding_window": nil}, [4]int{}},
	} {
		got, err := model.ParseConfig(other(t, c.family, map[string]any{"num_hidden_layers": 4}, c.change))
		if err != nil {
			t.Errorf("%s %v: %v", c.family, c.change, err)
			continue
		}
		raw, err := got.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := model.ParseConfig(raw)
		if err != nil {
			t.Fatal(err)
		}
		for layer, want := range c.want {
			if got.Window(layer) != want || again.Window(layer) != want {
				t.Errorf("%s %v: layer %d attends to %d tokens, written and read again %d, want %d", c.family, c.change, layer, got.Window(layer), again.Window(layer), want)
			}
		}
	}
}

// other is a published config with keys set to other values; nil removes one.
func other(t *testing.T, name string, changes ...map[string]any) []byte {
	t.Helper()
	var keys map[string]any
	if err := json.Unmarshal([]byte(published[name].raw), &keys); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		for key, value := range change {
			if keys[key] = value; value == nil {
				delete(keys, key)
			}
		}
	}
	raw, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Keys that a family does not have, or values that its graph is not built for.
func TestFamiliesRefuse(t *testing.T) {
	for _, c := range []struct {
		family, key string
		value       any
		parts       []string
	}{
		{"Mistral 7B", "hidden_act", "gelu", []string{`"hidden_act"`, `"gelu"`, "silu"}},
		{"Mistral 7B", "sliding_window", 0, []string{`"sliding_window" is 0`, "null"}},
		{"Mistral 7B", "attention_bias", true, []string{`"attention_bias"`, "not known"}},
		{"Qwen2.5", "use_mrope", true, []string{`"use_mrope"`, "true", "false"}},
		{"Qwen2.5", "layer_types", []string{"full_attention"}, []string{`"layer_types"`, "1 entries for 24 layers"}},
		{"Qwen2.5", "rope_scaling", map[string]any{"type": "mrope", "mrope_section": []int{1}}, []string{`"rope_scaling.rope_type"`, `"mrope"`, "yarn"}},
		{"Qwen3 by transformers 5", "layer_types", []string{"full_attention", "linear_attention"}, []string{`"layer_types"`, `"linear_attention"`, "layer 1", "sliding_attention"}},
		{"Qwen3 by transformers 5", "layer_types", []string{"full_attention", "sliding_attention"}, []string{"no sliding_window"}},
		{"Qwen3 by transformers 5", "num_experts", 8, []string{`"num_experts"`}},
		{"Phi-3 mini", "rope_scaling", map[string]any{"type": "linear", "factor": 2}, []string{`"linear"`, "phi3", "longrope"}},
		{"Phi-3 mini", "partial_rotary_factor", 0.1, []string{"9 elements", "even"}},
		{"Phi-3 mini", "mlp_bias", true, []string{`"mlp_bias"`}},
		{"Phi-3 of 128k, in small", "partial_rotary_factor", 0.75, []string{`"longrope"`, "must have 6 numbers"}},
		{"OLMo 2", "mlp_bias", true, []string{`"mlp_bias"`}},
		{"OLMo 2", "clip_qkv", 8, []string{`"clip_qkv"`}},
		{"Granite", "logits_scaling", 0, []string{`"logits_scaling" is 0`}},
		{"Granite", "residual_multiplier", -1, []string{`"residual_multiplier" is -1`}},
		{"Granite", "attention_dropout", 2, []string{`"attention_dropout" is 2`}},
		{"Granite", "model_type", "granitemoe", []string{`"granitemoe"`, "granite, ", "llama, mistral, olmo2, phi3, qwen2, qwen3"}},
	} {
		_, err := model.ParseConfig(other(t, c.family, map[string]any{c.key: c.value}))
		wants(t, err, c.parts...)
	}
}

// A new model of each family has the weights that its graph asks for, can be saved and
// loaded, and its config.json holds no key of another family.
func TestFamiliesSaveAndLoad(t *testing.T) {
	foreign := map[string]string{
		"llama": "sliding_window", "mistral": "attention_bias", "qwen2": "attention_bias", "qwen3": "mlp_bias",
		"phi3": "attention_bias", "olmo2": "mlp_bias", "granite": "sliding_window",
	}
	for _, name := range modeltest.Folders {
		c := golden(t, name).Config
		m, err := model.New(c, 3)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), name)
		if err := m.Save(dir, model.F32); err != nil {
			t.Fatal(err)
		}
		again := modeltest.Load(t, dir)
		if again.Count() != m.Count() || m.Count() != golden(t, name).Count() {
			t.Errorf("%s: %d values, loaded again %d", name, m.Count(), again.Count())
		}
		raw, err := again.Config.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if key := foreign[c.ModelType]; key != "" && strings.Contains(string(raw), `"`+key+`"`) {
			t.Errorf("%s: config.json has the key %s", name, key)
		}
	}
}
