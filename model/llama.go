package model

import (
	"encoding/json"

	"gorgonia.org/gorgonia"
)

// The Llama family: a decoder with RMSNorm before attention and feed-forward,
// rotary positions, grouped key and value heads, and a SwiGLU feed-forward
// (Touvron et al. 2023, arXiv:2302.13971; names as in transformers'
// LlamaForCausalLM). TinyLlama and SmolLM2 are Llamas.

var llamaFamily = architecture{
	parse: parseLlama, file: llamaFile, validate: validateLlama,
	weights: llamaWeights, hidden: llamaHidden, head: decoderHead, embedding: decoderEmbedding,
}

// llamaConfig is a config.json of the family.
type llamaConfig struct {
	decoderConfig
	biasKeys
}

func parseLlama(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f := llamaConfig{decoderConfig: decoderDefaults()}
	err := decode(raw, keys, &f, map[string]bool{"is_llama_config": true}, map[string]string{"rope_interleaved": "false"})
	if err != nil {
		return Config{}, err
	}
	c, err := f.config()
	c.AttentionBias, c.MLPBias = f.Attention, f.MLP
	return c, err
}

func llamaFile(c Config) (any, error) {
	f, err := decoderFile(c)
	return llamaConfig{f, biasKeys{c.AttentionBias, c.MLPBias}}, err
}

func validateLlama(c Config) error {
	return firstError(validateDecoder(c), c.activation("silu"), c.wholeHeads())
}

func llamaWeights(c Config) []weight {
	return decoderWeights(c, func(l *weightList, block string) {
		l.norm(block+"input_layernorm", c.HiddenSize)
		l.qkv(block+"self_attn.", c, c.AttentionBias)
		l.linear(block+"self_attn.o_proj", c.HiddenSize, c.Heads*c.HeadDim, c.AttentionBias)
		l.norm(block+"post_attention_layernorm", c.HiddenSize)
		l.feedForward(block+"mlp.", c)
	})
}

func llamaHidden(b *Builder, c Config) *gorgonia.Node {
	table := b.RoPETable(c.Rope, c)
	h := b.Embedding(decoderEmbedding)
	for i := range c.Layers {
		block := block(i)
		b.Block(func() {
			x := b.RMSNorm(block+"input_layernorm", h, c.RMSNormEps)
			q := b.RoPE(b.Projection(block+"self_attn.q_proj", x), table)
			k := b.RoPE(b.Projection(block+"self_attn.k_proj", x), table)
			v := b.Projection(block+"self_attn.v_proj", x)
			a := b.Attention(i, q, k, v, c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, b.Projection(block+"self_attn.o_proj", a))
			h = b.Add(h, b.feedForward(block+"mlp.", b.RMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps)))
		})
	}
	return b.RMSNorm(decoderNorm, h, c.RMSNormEps)
}
