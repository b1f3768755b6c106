package model

import (
	"encoding/json"

	"gorgonia.org/gorgonia"
)

// The OLMo 2 family: a decoder like Llama that normalises what attention and
// feed-forward return and not what they are given, and queries and keys over all their
// heads (OLMo et al. 2024, arXiv:2501.00656; names as in transformers'
// Olmo2ForCausalLM).

var olmo2Family = architecture{
	parse: parseOlmo2, file: olmo2File, validate: validateLlama,
	weights: olmo2Weights, hidden: olmo2Hidden, head: decoderHead, embedding: decoderEmbedding,
}

// olmo2Config is a config.json of the family.
type olmo2Config struct {
	decoderConfig
	AttentionBias bool `json:"attention_bias"`
}

func parseOlmo2(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f := olmo2Config{decoderConfig: decoderDefaults()}
	f.RMSNormEps = 1e-5
	if err := decode(raw, keys, &f, nil, nil); err != nil {
		return Config{}, err
	}
	c, err := f.config()
	c.AttentionBias = f.AttentionBias
	return c, err
}

func olmo2File(c Config) (any, error) {
	f, err := decoderFile(c)
	return olmo2Config{f, c.AttentionBias}, err
}

func olmo2Weights(c Config) []weight {
	return decoderWeights(c, func(l *weightList, block string) {
		l.qkv(block+"self_attn.", c, c.AttentionBias)
		l.norm(block+"self_attn.q_norm", c.Heads*c.HeadDim)
		l.norm(block+"self_attn.k_norm", c.KVHeads*c.HeadDim)
		l.linear(block+"self_attn.o_proj", c.HiddenSize, c.Heads*c.HeadDim, c.AttentionBias)
		l.norm(block+"post_attention_layernorm", c.HiddenSize)
		l.feedForward(block+"mlp.", c)
		l.norm(block+"post_feedforward_layernorm", c.HiddenSize)
	})
}

func olmo2Hidden(b *Builder, c Config) *gorgonia.Node {
	table := b.RoPETable(c.Rope, c)
	h := b.Embedding(decoderEmbedding)
	for i := range c.Layers {
		block := block(i)
		b.Block(func() {
			q := b.RMSNorm(block+"self_attn.q_norm", b.Projection(block+"self_attn.q_proj", h), c.RMSNormEps)
			k := b.RMSNorm(block+"self_attn.k_norm", b.Projection(block+"self_attn.k_proj", h), c.RMSNormEps)
			v := b.Projection(block+"self_attn.v_proj", h)
			a := b.Attention(i, b.RoPE(q, table), b.RoPE(k, table), v, c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			a = b.Projection(block+"self_attn.o_proj", a)
			h = b.Add(h, b.RMSNorm(block+"post_attention_layernorm", a, c.RMSNormEps))
			h = b.Add(h, b.RMSNorm(block+"post_feedforward_layernorm", b.feedForward(block+"mlp.", h), c.RMSNormEps))
		})
	}
	return b.RMSNorm(decoderNorm, h, c.RMSNormEps)
}
