package model

import (
	"encoding/json"

	"gorgonia.org/gorgonia"
)

// The Qwen3 family: a Llama that normalises each head of queries and keys before it is
// turned (Yang et al. 2025, arXiv:2505.09388; names as in transformers'
// Qwen3ForCausalLM).

var qwen3Family = architecture{
	parse: parseQwen3, file: qwen3File, validate: validateLlama,
	weights: qwen3Weights, hidden: qwen3Hidden, head: decoderHead, embedding: decoderEmbedding,
}

// qwen3Config is a config.json of the family.
type qwen3Config struct {
	decoderConfig
	windowKeys
	AttentionBias bool `json:"attention_bias"`
}

func parseQwen3(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f, headDim := qwen3Config{decoderConfig: decoderDefaults(), windowKeys: qwenWindows()}, 128
	f.MaxPositions, f.HeadDim = 32768, &headDim
	if err := decode(raw, keys, &f, nil, nil); err != nil {
		return Config{}, err
	}
	c, err := f.config()
	c.AttentionBias = f.AttentionBias
	return c, firstError(err, f.set(&c))
}

func qwen3File(c Config) (any, error) {
	f, err := decoderFile(c)
	return qwen3Config{f, c.windowKeys(), c.AttentionBias}, err
}

func qwen3Weights(c Config) []weight {
	return decoderWeights(c, func(l *weightList, block string) {
		l.norm(block+"input_layernorm", c.HiddenSize)
		l.qkv(block+"self_attn.", c, c.AttentionBias)
		l.norm(block+"self_attn.q_norm", c.HeadDim)
		l.norm(block+"self_attn.k_norm", c.HeadDim)
		l.linear(block+"self_attn.o_proj", c.HiddenSize, c.Heads*c.HeadDim, c.AttentionBias)
		l.norm(block+"post_attention_layernorm", c.HiddenSize)
		l.feedForward(block+"mlp.", c)
	})
}

func qwen3Hidden(b *Builder, c Config) *gorgonia.Node {
	table := b.RoPETable(c.Rope, c)
	h := b.Embedding(decoderEmbedding)
	for i := range c.Layers {
		block := block(i)
		b.Block(func() {
			x := b.RMSNorm(block+"input_layernorm", h, c.RMSNormEps)
			q := b.RMSNorm(block+"self_attn.q_norm", b.Projection(block+"self_attn.q_proj", x), c.RMSNormEps)
			k := b.RMSNorm(block+"self_attn.k_norm", b.Projection(block+"self_attn.k_proj", x), c.RMSNormEps)
			v := b.Projection(block+"self_attn.v_proj", x)
			a := b.Attention(i, b.RoPE(q, table), b.RoPE(k, table), v, c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, b.Projection(block+"self_attn.o_proj", a))
			h = b.Add(h, b.feedForward(block+"mlp.", b.RMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps)))
		})
	}
	return b.RMSNorm(decoderNorm, h, c.RMSNormEps)
}
