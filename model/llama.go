package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"gorgonia.org/gorgonia"
)

// The Llama family: a decoder with RMSNorm before attention and feed-forward,
// rotary positions, grouped key and value heads, and a SwiGLU feed-forward
// (Touvron et al. 2023, arXiv:2302.13971; names as in transformers'
// LlamaForCausalLM).

var llamaFamily = architecture{
	parse: parseLlama, file: func(c Config) any { return c }, validate: validateLlama,
	weights: llamaWeights, hidden: llamaHidden, head: llamaHead, embedding: llamaEmbedding,
}

const llamaEmbedding = "model.embed_tokens.weight"

func parseLlama(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	c := Config{HiddenAct: "silu", InitializerRange: 0.02, RMSNormEps: 1e-6, RopeTheta: 10000, MaxPositions: 2048}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, err
	}
	err := checkKeys(keys, c, map[string]bool{"is_llama_config": true, "rope_parameters": true}, map[string]string{
		"rope_scaling": "null", "rope_interleaved": "false", "attention_dropout": "0.0", "partial_rotary_factor": "1.0",
	})
	if err != nil {
		return c, err
	}
	if rope := keys["rope_parameters"]; rope != nil && string(rope) != "null" {
		if err := c.ropeParameters(rope); err != nil {
			return c, err
		}
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		if c.HiddenSize%c.Heads != 0 {
			return c, fmt.Errorf("hidden_size (%d) is no multiple of num_attention_heads (%d), and there is no head_dim", c.HiddenSize, c.Heads)
		}
		c.HeadDim = c.HiddenSize / c.Heads
	}
	return c, nil
}

// ropeParameters reads transformers 5's spelling of the rotary embedding.
func (c *Config) ropeParameters(raw json.RawMessage) error {
	var p map[string]json.RawMessage
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("key \"rope_parameters\": %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		value := string(p[key])
		switch {
		case key == "rope_theta":
			if err := json.Unmarshal(p[key], &c.RopeTheta); err != nil {
				return fmt.Errorf("key \"rope_parameters.rope_theta\": %w", err)
			}
		case key == "rope_type" && value == `"default"`, value == "null":
		case key == "partial_rotary_factor" && sameJSON(value, "1.0"):
		default:
			return fmt.Errorf("key \"rope_parameters.%s\" is %s, which would change the model and is not supported (supported: rope_type \"default\")", key, value)
		}
	}
	return nil
}

func validateLlama(c Config) error {
	err := checkSizes(size{"vocab_size", c.VocabSize, mostTokens}, size{"hidden_size", c.HiddenSize, mostWidth},
		size{"intermediate_size", c.IntermediateSize, mostWidth}, size{"num_hidden_layers", c.Layers, mostLayers},
		size{"num_attention_heads", c.Heads, mostHeads}, size{"num_key_value_heads", c.KVHeads, mostHeads},
		size{"head_dim", c.HeadDim, mostHeads}, size{"max_position_embeddings", c.MaxPositions, mostPositions})
	switch {
	case err != nil:
		return err
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("num_attention_heads (%d) is no multiple of num_key_value_heads (%d)", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("head_dim is %d; rotary embeddings need an even width", c.HeadDim)
	case c.HiddenAct != "silu":
		return fmt.Errorf("key \"hidden_act\" is %q, which is not supported (supported: silu)", c.HiddenAct)
	case !(c.RMSNormEps > 0) || !(c.RopeTheta > 0) || !(c.InitializerRange >= 0):
		return fmt.Errorf("rms_norm_eps %g, rope_theta %g and initializer_range %g must be positive", c.RMSNormEps, c.RopeTheta, c.InitializerRange)
	}
	return nil
}

func llamaWeights(c Config) []weight {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	ws := []weight{{name: llamaEmbedding, shape: []int{c.VocabSize, c.HiddenSize}}}
	linear := func(module string, out, in int, bias bool) {
		ws = append(ws, weight{name: module + ".weight", shape: []int{out, in}, layout: outIn})
		if bias {
			ws = append(ws, weight{name: module + ".bias", shape: []int{out}, init: initZero})
		}
	}
	norm := func(module string) {
		ws = append(ws, weight{name: module + ".weight", shape: []int{c.HiddenSize}, init: initOne})
	}
	for i := range c.Layers {
		block := fmt.Sprintf("model.layers.%d.", i)
		norm(block + "input_layernorm")
		linear(block+"self_attn.q_proj", q, c.HiddenSize, c.AttentionBias)
		linear(block+"self_attn.k_proj", kv, c.HiddenSize, c.AttentionBias)
		linear(block+"self_attn.v_proj", kv, c.HiddenSize, c.AttentionBias)
		linear(block+"self_attn.o_proj", c.HiddenSize, q, c.AttentionBias)
		norm(block + "post_attention_layernorm")
		linear(block+"mlp.gate_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
		linear(block+"mlp.up_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
		linear(block+"mlp.down_proj", c.HiddenSize, c.IntermediateSize, c.MLPBias)
	}
	norm("model.norm")
	if !c.TieWordEmbeddings {
		ws = append(ws, weight{name: llamaHead(c), shape: []int{c.VocabSize, c.HiddenSize}})
	}
	return ws
}

func llamaHead(c Config) string {
	if c.TieWordEmbeddings {
		return llamaEmbedding
	}
	return "lm_head.weight"
}

func llamaHidden(b *Builder, c Config) *gorgonia.Node {
	table := b.RoPETable()
	h := b.Embedding(llamaEmbedding)
	for i := range c.Layers {
		block := fmt.Sprintf("model.layers.%d.", i)
		b.Block(func() {
			x := b.RMSNorm(block+"input_layernorm", h, c.RMSNormEps)
			q := b.RoPE(b.Projection(block+"self_attn.q_proj", x), table)
			k := b.RoPE(b.Projection(block+"self_attn.k_proj", x), table)
			v := b.Projection(block+"self_attn.v_proj", x)
			a := b.Attention(i, q, k, v, c, 1/math.Sqrt(float64(c.HeadDim)))
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, b.Projection(block+"self_attn.o_proj", a))

			x = b.RMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps)
			gate := b.Projection(block+"mlp.gate_proj", x)
			up := b.Projection(block+"mlp.up_proj", x)
			h = b.Add(h, b.Projection(block+"mlp.down_proj", b.SwiGLU(gate, up)))
		})
	}
	return b.RMSNorm("model.norm", h, c.RMSNormEps)
}
