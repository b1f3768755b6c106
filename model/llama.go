package model

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"gotune/internal/op"
)

// The Llama family: a decoder with RMSNorm before attention and feed-forward,
// rotary positions, grouped key and value heads, and a SwiGLU feed-forward
// (Touvron et al. 2023, arXiv:2302.13971; names as in transformers'
// LlamaForCausalLM).

const llamaEmbedding = "model.embed_tokens.weight"

func llamaWeights(c Config) []weight {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	ws := []weight{{llamaEmbedding, []int{c.VocabSize, c.HiddenSize}, initNormal}}
	linear := func(module string, out, in int, bias bool) {
		ws = append(ws, weight{module + ".weight", []int{out, in}, initNormal})
		if bias {
			ws = append(ws, weight{module + ".bias", []int{out}, initZero})
		}
	}
	for i := range c.Layers {
		block := fmt.Sprintf("model.layers.%d.", i)
		ws = append(ws, weight{block + "input_layernorm.weight", []int{c.HiddenSize}, initOne})
		linear(block+"self_attn.q_proj", q, c.HiddenSize, c.AttentionBias)
		linear(block+"self_attn.k_proj", kv, c.HiddenSize, c.AttentionBias)
		linear(block+"self_attn.v_proj", kv, c.HiddenSize, c.AttentionBias)
		linear(block+"self_attn.o_proj", c.HiddenSize, q, c.AttentionBias)
		ws = append(ws, weight{block + "post_attention_layernorm.weight", []int{c.HiddenSize}, initOne})
		linear(block+"mlp.gate_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
		linear(block+"mlp.up_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
		linear(block+"mlp.down_proj", c.HiddenSize, c.IntermediateSize, c.MLPBias)
	}
	ws = append(ws, weight{"model.norm.weight", []int{c.HiddenSize}, initOne})
	if !c.TieWordEmbeddings {
		ws = append(ws, weight{llamaHead(c), []int{c.VocabSize, c.HiddenSize}, initNormal})
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
	table, err := op.NewRoPETable(c.MaxPositions, c.HeadDim, c.RopeTheta)
	b.check(nil, err)
	h := b.Embedding(llamaEmbedding)
	for i := range c.Layers {
		block := fmt.Sprintf("model.layers.%d.", i)
		b.Block(func() {
			x := b.RMSNorm(block+"input_layernorm", h, c.RMSNormEps)
			q := b.RoPE(b.Projection(block+"self_attn.q_proj", x), table)
			k := b.RoPE(b.Projection(block+"self_attn.k_proj", x), table)
			v := b.Projection(block+"self_attn.v_proj", x)
			a := b.Attention(i, q, k, v, c.Heads, c.KVHeads, c.HeadDim)
			h = b.Add(h, b.Projection(block+"self_attn.o_proj", a))

			x = b.RMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps)
			gate := b.Projection(block+"mlp.gate_proj", x)
			up := b.Projection(block+"mlp.up_proj", x)
			h = b.Add(h, b.Projection(block+"mlp.down_proj", b.SwiGLU(gate, up)))
		})
	}
	return b.RMSNorm("model.norm", h, c.RMSNormEps)
}
