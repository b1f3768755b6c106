package model_test

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/hf"
	"gotune/internal/modeltest"
	"gotune/model"
)

// kinds are layer_types of so many layers, of which every pattern-th is global.
func kinds(layers, pattern int) (types []string) {
	for i := range layers {
		types = append(types, "sliding_attention")
		if (i+1)%pattern == 0 {
			types[i] = "full_attention"
		}
	}
	return types
}

// transformers 5 refuses a soft cap that is written as a whole number.
func TestCapsAreFractions(t *testing.T) {
	for _, name := range []string{"gemma2", "gemma3_text"} {
		logits, more := `"final_logit_softcapping": 30.0`, `"attn_logit_softcapping": null`
		if name == "gemma2" {
			more = `"attn_logit_softcapping": 12.5`
		}
		c, err := model.ParseConfig([]byte(`{"model_type": "` + name + `", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "head_dim": 4,
			"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, ` + logits + `, ` + more + `}`))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := c.JSON()
		if err != nil || !bytes.Contains(raw, []byte(logits)) || !bytes.Contains(raw, []byte(more)) {
			t.Errorf("%s (%v)", raw, err)
		}
	}
}

// Where no layer has a window, one is written all the same, as transformers wants it, and
// read again as none.
func TestGemmaWithoutWindows(t *testing.T) {
	for _, name := range []string{"gemma2", "gemma3_text"} {
		c, err := model.ParseConfig([]byte(`{"model_type": "` + name + `", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "head_dim": 4,
			"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "sliding_window": 4, "layer_types": ["full_attention"]}`))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := c.JSON()
		if err != nil || bytes.Contains(raw, []byte(`"sliding_window": null`)) {
			t.Errorf("%s (%v)", raw, err)
		}
		if again, err := model.ParseConfig(raw); err != nil || again.Window(0) != 0 {
			t.Errorf("%s: the window is %d (%v)", name, again.Window(0), err)
		}
	}
}

// A pad token that is none is written so: for the family, none said is one of its own.
func TestNoPadIsWritten(t *testing.T) {
	c, err := model.ParseConfig([]byte(`{"model_type": "glm", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "head_dim": 4,
		"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": null}`))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := c.JSON(); err != nil || !bytes.Contains(raw, []byte(`"pad_token_id": null`)) {
		t.Errorf("%s (%v)", raw, err)
	}
}

// More config.json files as models are published with them.
var publishedGemma = map[string]publishedConfig{
	"Pythia": {`{"architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 768,
		"initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
		"model_type": "gpt_neox", "num_attention_heads": 12, "num_hidden_layers": 12, "rotary_emb_base": 10000, "rotary_pct": 0.25,
		"tie_word_embeddings": false, "torch_dtype": "float16", "transformers_version": "4.24.0", "use_cache": true,
		"use_parallel_residual": true, "vocab_size": 50304}`, model.Config{
		ModelType: "gpt_neox", Architectures: []string{"GPTNeoXForCausalLM"}, VocabSize: 50304, HiddenSize: 768, IntermediateSize: 3072,
		Layers: 12, Heads: 12, KVHeads: 12, HeadDim: 64, HiddenAct: "gelu", MaxPositions: 2048, InitializerRange: 0.02, LayerNormEps: 1e-5,
		AttentionBias: true, Rope: model.Rope{Theta: 10000, Partial: 0.25}, BOS: id(0), EOS: []int{0}, TorchDType: "float16",
	}},
	"Gemma": {`{"architectures": ["GemmaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 2, "eos_token_id": 1,
		"head_dim": 256, "hidden_act": "gelu", "hidden_activation": null, "hidden_size": 2048, "initializer_range": 0.02,
		"intermediate_size": 16384, "max_position_embeddings": 8192, "model_type": "gemma", "num_attention_heads": 8,
		"num_hidden_layers": 18, "num_key_value_heads": 1, "pad_token_id": 0, "rms_norm_eps": 1e-06, "rope_scaling": null,
		"rope_theta": 10000.0, "torch_dtype": "bfloat16", "transformers_version": "4.38.0.dev0", "use_cache": true, "vocab_size": 256000}`, model.Config{
		ModelType: "gemma", Architectures: []string{"GemmaForCausalLM"}, VocabSize: 256000, HiddenSize: 2048, IntermediateSize: 16384,
		Layers: 18, Heads: 8, KVHeads: 1, HeadDim: 256, HiddenAct: "gelu_pytorch_tanh", MaxPositions: 8192, InitializerRange: 0.02, RMSNormEps: 1e-6,
		Rope: model.Rope{Theta: 10000}, TieWordEmbeddings: true, BOS: id(2), EOS: []int{1}, Pad: id(0), TorchDType: "bfloat16",
	}},
	"Gemma 2": {`{"architectures": ["Gemma2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "attn_logit_softcapping": 50.0,
		"bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1, "final_logit_softcapping": 30.0, "head_dim": 256,
		"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304, "initializer_range": 0.02,
		"intermediate_size": 9216, "max_position_embeddings": 8192, "model_type": "gemma2", "num_attention_heads": 8,
		"num_hidden_layers": 26, "num_key_value_heads": 4, "pad_token_id": 0, "query_pre_attn_scalar": 224, "rms_norm_eps": 1e-06,
		"rope_theta": 10000.0, "sliding_window": 4096, "torch_dtype": "float32", "transformers_version": "4.42.4", "use_cache": true,
		"vocab_size": 256000}`, model.Config{
		ModelType: "gemma2", Architectures: []string{"Gemma2ForCausalLM"}, VocabSize: 256000, HiddenSize: 2304, IntermediateSize: 9216,
		Layers: 26, Heads: 8, KVHeads: 4, HeadDim: 256, HiddenAct: "gelu_pytorch_tanh", MaxPositions: 8192, InitializerRange: 0.02, RMSNormEps: 1e-6,
		Rope: model.Rope{Theta: 10000}, SlidingWindow: 4096, LayerTypes: kinds(26, 2), AttentionScale: 1 / math.Sqrt(224),
		AttentionCap: 50, LogitsCap: 30, TieWordEmbeddings: true, BOS: id(2), EOS: []int{1}, Pad: id(0), TorchDType: "float32",
	}},
	"Gemma 3": {`{"architectures": ["Gemma3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "attn_logit_softcapping": null,
		"bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1, "final_logit_softcapping": null, "head_dim": 256,
		"hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "initializer_range": 0.02, "intermediate_size": 6912,
		"max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4, "num_hidden_layers": 26,
		"num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000,
		"rope_scaling": null, "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6, "torch_dtype": "bfloat16",
		"transformers_version": "4.50.0.dev0", "use_cache": true, "vocab_size": 262144}`, model.Config{
		ModelType: "gemma3_text", Architectures: []string{"Gemma3ForCausalLM"}, VocabSize: 262144, HiddenSize: 1152, IntermediateSize: 6912,
		Layers: 26, Heads: 4, KVHeads: 1, HeadDim: 256, HiddenAct: "gelu_pytorch_tanh", MaxPositions: 32768, InitializerRange: 0.02, RMSNormEps: 1e-6,
		Rope: model.Rope{Theta: 1e6}, LocalRope: model.Rope{Theta: 1e4}, SlidingWindow: 512, LayerTypes: kinds(26, 6),
		AttentionScale: 1 / 16., TieWordEmbeddings: true, BOS: id(2), EOS: []int{1}, Pad: id(0), TorchDType: "bfloat16",
	}},
	"GLM-4": {`{"architectures": ["GlmForCausalLM"], "attention_bias": true, "attention_dropout": 0.0, "eos_token_id": [151329, 151336, 151338],
		"head_dim": 128, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 13696,
		"max_position_embeddings": 131072, "model_type": "glm", "num_attention_heads": 32, "num_hidden_layers": 40,
		"num_key_value_heads": 2, "pad_token_id": 151329, "rms_norm_eps": 1.5625e-07, "rope_theta": 10000.0,
		"tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.47.0", "use_cache": true, "vocab_size": 151552}`, model.Config{
		ModelType: "glm", Architectures: []string{"GlmForCausalLM"}, VocabSize: 151552, HiddenSize: 4096, IntermediateSize: 13696,
		Layers: 40, Heads: 32, KVHeads: 2, HeadDim: 128, HiddenAct: "silu", MaxPositions: 131072, InitializerRange: 0.02, RMSNormEps: 1.5625e-7,
		AttentionBias: true, Rope: model.Rope{Theta: 10000, Partial: 0.5, Interleaved: true},
		EOS: []int{151329, 151336, 151338}, Pad: id(151329), TorchDType: "bfloat16",
	}},
	"GLM-4-0414, all turned": {`{"architectures": ["Glm4ForCausalLM"], "attention_bias": false, "eos_token_id": [1], "head_dim": 16, "hidden_act": "silu",
		"hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64, "max_position_embeddings": 512, "model_type": "glm4",
		"num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 1, "partial_rotary_factor": 1.0, "rms_norm_eps": 1e-05,
		"rope_theta": 100.0, "tie_word_embeddings": true, "vocab_size": 300}`, model.Config{
		ModelType: "glm4", Architectures: []string{"Glm4ForCausalLM"}, VocabSize: 300, HiddenSize: 32, IntermediateSize: 64,
		Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 16, HiddenAct: "silu", MaxPositions: 512, InitializerRange: 0.02, RMSNormEps: 1e-5,
		Rope: model.Rope{Theta: 100, Interleaved: true}, EOS: []int{1}, TieWordEmbeddings: true,
	}},
}

func TestParsePublishedGemmaConfigs(t *testing.T) {
	for name, c := range publishedGemma {
		c.parses(t, name)
	}
}

// What config.json says of layers and activations in other ways than the published ones.
func TestGemmaConfigs(t *testing.T) {
	for name, c := range map[string]struct {
		family  string
		changes map[string]any
		same    map[string]any
	}{
		"Gemma's activation under its newer key": {"Gemma", map[string]any{"hidden_activation": "gelu_pytorch_tanh"}, nil},
		"Gemma 2's layers by name":               {"Gemma 2", map[string]any{"layer_types": kinds(26, 2)}, nil},
		"Gemma 2 without hidden_act":             {"Gemma 2", map[string]any{"hidden_act": nil}, nil},
		"Gemma 3 of transformers 5": {"Gemma 3", map[string]any{
			"rope_theta": nil, "rope_local_base_freq": nil, "sliding_window_pattern": nil, "layer_types": kinds(26, 6), "_sliding_window_pattern": 6,
			"rope_parameters": map[string]any{
				"full_attention": map[string]any{"rope_type": "default", "rope_theta": 1e6}, "sliding_attention": map[string]any{"rope_type": "default", "rope_theta": 1e4},
			}}, nil},
		"Gemma 3's scaling, old and new": {"Gemma 3", map[string]any{"rope_scaling": map[string]any{"factor": 8.0, "rope_type": "linear"}}, map[string]any{
			"rope_parameters": map[string]any{"full_attention": map[string]any{"rope_type": "linear", "factor": 8, "rope_theta": 1e6}}}},
		"GPT-NeoX of transformers 5": {"Pythia", map[string]any{"rotary_pct": nil, "rotary_emb_base": nil, "rope_parameters": map[string]any{
			"rope_type": "default", "rope_theta": 10000, "partial_rotary_factor": 0.25}, "attention_bias": true, "is_decoder": false}, nil},
	} {
		got, err := model.ParseConfig(withKeys(t, publishedGemma[c.family].raw, c.changes))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := model.ParseConfig(withKeys(t, publishedGemma[c.family].raw, c.same))
		if err != nil {
			t.Fatal(err)
		}
		same(t, name, want, got)
	}
}

// Keys that a family does not have, or values that its graph is not built for.
func TestGemmaRefuses(t *testing.T) {
	for _, c := range []struct {
		family, key string
		value       any
		parts       []string
	}{
		{"Pythia", "hidden_act", "relu", []string{`"hidden_act"`, `"relu"`, "gelu, gelu_fast, gelu_new, gelu_pytorch_tanh"}},
		{"Pythia", "num_attention_heads", 7, []string{"hidden_size (768)", "num_attention_heads (7)"}},
		{"Pythia", "rotary_pct", 0.02, []string{"1 elements", "even"}},
		{"Pythia", "rope_theta", 10000, []string{`"rope_theta"`}},
		{"Pythia", "is_decoder", true, []string{`"is_decoder"`}},
		{"Pythia", "layer_norm_eps", 0, []string{"layer_norm_eps 0"}},
		{"Gemma", "hidden_activation", "silu", []string{`"hidden_act"`, `"silu"`, "gelu_pytorch_tanh"}},
		{"Gemma", "final_logit_softcapping", 30, []string{`"final_logit_softcapping"`, "not known"}},
		{"Gemma", "use_bidirectional_attention", true, []string{`"use_bidirectional_attention"`, "true"}},
		{"Gemma 2", "hidden_activation", "silu", []string{`"silu"`, "gelu_pytorch_tanh, gelu, gelu_new"}},
		{"Gemma 2", "query_pre_attn_scalar", 0, []string{`"query_pre_attn_scalar" is 0`}},
		{"Gemma 2", "attn_logit_softcapping", -1, []string{"attn_logit_softcapping -1", "null"}},
		{"Gemma 2", "sliding_window", null, []string{`"layer_types"`, "no sliding_window"}},
		{"Gemma 3", "attn_logit_softcapping", 50, []string{`"attn_logit_softcapping" is 50`, "null"}},
		{"Gemma 3", "sliding_window_pattern", 0, []string{`"sliding_window_pattern" is 0`}},
		{"Gemma 3", "rope_local_base_freq", -1, []string{"rope_theta -1"}},
		{"Gemma 3", "rope_parameters", map[string]any{"rope_type": "default"}, []string{`"rope_parameters.rope_type"`, "full_attention"}},
		{"Gemma 3", "rope_parameters", map[string]any{"sliding_attention": map[string]any{"rope_type": "linear", "factor": 2}}, []string{`"rope_parameters.sliding_attention.rope_type"`, "linear"}},
		{"Gemma 3", "model_type", "gemma3", []string{`"gemma3"`, "gemma, gemma2, gemma3_text, glm, glm4, gpt2, gpt_neox"}},
		{"GLM-4", "hidden_act", "gelu", []string{`"hidden_act"`, `"gelu"`, "silu"}},
		{"GLM-4", "partial_rotary_factor", 0.01, []string{"1 elements", "even"}},
		{"GLM-4", "mlp_bias", true, []string{`"mlp_bias"`}},
	} {
		_, err := model.ParseConfig(withKeys(t, publishedGemma[c.family].raw, map[string]any{c.key: c.value}))
		wants(t, err, c.parts...)
	}
}

// Pythia's published files hold masks, and older tools leave the prefix out; transformers
// 5 calls the head lm_head.
func TestLoadOldGPTNeoX(t *testing.T) {
	m := golden(t, "pythia")
	tensors := maps.Clone(m.Weights)
	tensors["lm_head.weight"] = tensors["embed_out.weight"]
	delete(tensors, "embed_out.weight")
	tensors["layers.0.mlp.dense_h_to_4h.bias"] = tensors["gpt_neox.layers.0.mlp.dense_h_to_4h.bias"]
	delete(tensors, "gpt_neox.layers.0.mlp.dense_h_to_4h.bias")
	for _, mask := range []string{"attention.bias", "attention.masked_bias", "attention.rotary_emb.inv_freq"} {
		tensors["gpt_neox.layers.1."+mask] = hf.Tensor{Shape: []int{1}, Data: []float32{1}}
	}
	dir := t.TempDir()
	if err := m.Save(dir, hf.F32); err != nil {
		t.Fatal(err)
	}
	if err := hf.WriteFile(dir+"/model.safetensors", tensors, hf.F32); err != nil {
		t.Fatal(err)
	}
	old := modeltest.Load(t, dir)
	for name, w := range m.Weights {
		if !slices.Equal(old.Weights[name].Data, w.Data) {
			t.Errorf("%s differs", name)
		}
	}
}

// New Gemmas begin with norms that multiply by 1, whose weights are 0.
func TestNewGemma(t *testing.T) {
	m, err := model.New(golden(t, "gemma3").Config, 1)
	if err != nil {
		t.Fatal(err)
	}
	norms := 0
	for name, w := range m.Weights {
		if len(w.Shape) > 1 {
			continue
		}
		if norms++; slices.ContainsFunc(w.Data, func(v float32) bool { return v != 0 }) {
			t.Errorf("%s does not begin at 0", name)
		}
	}
	if norms != 2*6+1 {
		t.Errorf("%d norms, want 13", norms)
	}
}

// Caps and windows matter in the golden models: without them the losses are others.
func TestGemmaSettingsMatter(t *testing.T) {
	for what, change := range map[string]func(*model.Config){
		"the cap of scores": func(c *model.Config) { c.AttentionCap = 0 },
		"the cap of logits": func(c *model.Config) { c.LogitsCap = 0 },
		"the window":        func(c *model.Config) { c.SlidingWindow, c.LayerTypes = 0, nil },
	} {
		m := golden(t, "gemma2")
		loss := func() float32 {
			p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 2, Length: 12})
			if err != nil {
				t.Fatal(err)
			}
			modeltest.Read(t, "testdata/gemma2").Batches[0].Write(p.Inputs)
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			return p.Loss()
		}
		with := loss()
		change(&m.Config)
		if without := loss(); math.Abs(float64(with/without-1)) < 1e-3 {
			t.Errorf("without %s the loss is %g, with it %g", what, without, with)
		}
	}
}
