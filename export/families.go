package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A family says how the weights of a model_type are called and lie in GGUF, as
// llama.cpp's convert_hf_to_gguf writes them, and which keys describe it.
type family struct {
	arch string // general.architecture
	// blocks begins the names of modules in a block, before its number.
	blocks string
	outer  map[string]string // modules outside of the blocks
	block  map[string]module // modules of a block
	// shift is added to the weights of norms.
	shift float32
	// describe adds keys to those of all families, and refuses what llama.cpp would
	// compute otherwise.
	describe func(d *description) error
}

// A module is a module's name in GGUF, and how its rows lie there.
type module struct {
	name string
	layout
}

// The names that most families share.
var (
	llamaOuter = map[string]string{"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
	llamaBlock = map[string]module{
		"input_layernorm":          {"attn_norm", asIs},
		"self_attn.q_proj":         {"attn_q", asIs},
		"self_attn.k_proj":         {"attn_k", asIs},
		"self_attn.v_proj":         {"attn_v", asIs},
		"self_attn.o_proj":         {"attn_output", asIs},
		"post_attention_layernorm": {"ffn_norm", asIs},
		"mlp.gate_proj":            {"ffn_gate", asIs},
		"mlp.up_proj":              {"ffn_up", asIs},
		"mlp.down_proj":            {"ffn_down", asIs},
	}
	paired    = map[string]module{"self_attn.q_proj": {"attn_q", queryPairs}, "self_attn.k_proj": {"attn_k", keyPairs}}
	headNorms = map[string]module{"self_attn.q_norm": {"attn_q_norm", asIs}, "self_attn.k_norm": {"attn_k_norm", asIs}}
	// sandwich are the norms of families with one before and one behind each part.
	sandwich = map[string]module{
		"post_attention_layernorm": {"post_attention_norm", asIs}, "pre_feedforward_layernorm": {"ffn_norm", asIs}, "post_feedforward_layernorm": {"post_ffw_norm", asIs},
	}
	fused = map[string]module{"mlp.gate_up_proj": {"ffn_up", asIs}}
)

// families are those that can be exported, by model_type.
var families = map[string]family{
	"llama":   {arch: "llama", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, paired), describe: describeLlama},
	"mistral": {arch: "llama", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, paired), describe: describeLlama},
	"granite": {arch: "granite", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, paired), describe: describeGranite},
	"qwen2":   {arch: "qwen2", blocks: "model.layers.", outer: llamaOuter, block: llamaBlock, describe: describeQwen},
	"qwen3":   {arch: "qwen3", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, headNorms), describe: describeQwen},
	"gemma":   {arch: "gemma", blocks: "model.layers.", outer: llamaOuter, block: llamaBlock, shift: 1, describe: describeGemma},
	"gemma2":  {arch: "gemma2", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, sandwich), shift: 1, describe: describeGemma2},
	"gemma3_text": {
		arch: "gemma3", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, sandwich, headNorms), shift: 1, describe: describeGemma3,
	},
	"phi3": {
		arch: "phi3", blocks: "model.layers.", outer: llamaOuter,
		block: with(llamaBlock, fused, map[string]module{"self_attn.qkv_proj": {"attn_qkv", asIs}}), describe: describePhi3,
	},
	"olmo2": {
		arch: "olmo2", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, headNorms, map[string]module{
			"post_attention_layernorm": {"post_attention_norm", asIs}, "post_feedforward_layernorm": {"post_ffw_norm", asIs},
		}), describe: describeOLMo2,
	},
	"glm": {
		arch: "chatglm", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, fused), describe: describeGLM,
	},
	"glm4": {
		arch: "glm4", blocks: "model.layers.", outer: llamaOuter, block: with(llamaBlock, fused, map[string]module{
			"post_self_attn_layernorm": {"post_attention_norm", asIs}, "post_mlp_layernorm": {"post_ffw_norm", asIs},
		}), describe: describeGLM4,
	},
	"gpt2": {
		arch: "gpt2", blocks: "transformer.h.",
		outer: map[string]string{"transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm", "lm_head": "output"},
		block: map[string]module{
			"ln_1": {"attn_norm", asIs}, "attn.c_attn": {"attn_qkv", transposed}, "attn.c_proj": {"attn_output", transposed},
			"ln_2": {"ffn_norm", asIs}, "mlp.c_fc": {"ffn_up", transposed}, "mlp.c_proj": {"ffn_down", transposed},
		}, describe: describeGPT2,
	},
	"gpt_neox": {
		arch: "gptneox", blocks: "gpt_neox.layers.",
		outer: map[string]string{"gpt_neox.embed_in": "token_embd", "gpt_neox.final_layer_norm": "output_norm", "embed_out": "output", "lm_head": "output"},
		block: map[string]module{
			"input_layernorm": {"attn_norm", asIs}, "attention.query_key_value": {"attn_qkv", headsOfQKV}, "attention.dense": {"attn_output", asIs},
			"post_attention_layernorm": {"ffn_norm", asIs}, "mlp.dense_h_to_4h": {"ffn_up", asIs}, "mlp.dense_4h_to_h": {"ffn_down", asIs},
		}, describe: describeNeoX,
	},
}

// with returns names with those of later maps in place of, or beside, earlier ones.
func with(first map[string]module, more ...map[string]module) map[string]module {
	all := maps.Clone(first)
	for _, m := range more {
		maps.Copy(all, m)
	}
	return all
}

func findFamily(modelType string) (family, error) {
	f, ok := families[modelType]
	if !ok {
		return f, fmt.Errorf("model_type %q cannot be exported as GGUF (supported: %s)", modelType, strings.Join(slices.Sorted(maps.Keys(families)), ", "))
	}
	return f, nil
}

// place returns a weight's name in GGUF and its layout.
func (f family) place(weight string) (name string, l layout, err error) {
	dot := strings.LastIndexByte(weight, '.')
	if dot < 0 {
		return "", l, fmt.Errorf("weight %s has no name in GGUF's %s", weight, f.arch)
	}
	path, kind := weight[:dot], weight[dot:]
	if name, ok := f.outer[path]; ok {
		return name + kind, asIs, nil
	}
	if rest, ok := strings.CutPrefix(path, f.blocks); ok {
		number, inner, _ := strings.Cut(rest, ".")
		if m, ok := f.block[inner]; ok {
			return "blk." + number + "." + m.name + kind, m.layout, nil
		}
	}
	return "", l, fmt.Errorf("weight %s has no name in GGUF's %s", weight, f.arch)
}
