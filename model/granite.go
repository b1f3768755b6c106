package model

import (
	"encoding/json"
	"fmt"

	"gorgonia.org/gorgonia"
)

// The Granite family: a Llama with constants of its own for embeddings, scores, what a
// layer adds, and logits (Granite Team, IBM 2024, Granite 3.0 Language Models; names as
// in transformers' GraniteForCausalLM).

var graniteFamily = architecture{
	parse: parseGranite, file: graniteFile, validate: validateGranite,
	weights: llamaWeights, hidden: graniteHidden, head: decoderHead, embedding: decoderEmbedding,
}

// graniteConfig is a config.json of the family.
type graniteConfig struct {
	decoderConfig
	biasKeys
	EmbeddingMultiplier float64 `json:"embedding_multiplier"`
	LogitsScaling       float64 `json:"logits_scaling"`
	ResidualMultiplier  float64 `json:"residual_multiplier"`
	AttentionMultiplier float64 `json:"attention_multiplier"`
}

func parseGranite(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f := graniteConfig{decoderDefaults(), biasKeys{}, 1, 1, 1, 1}
	if err := decode(raw, keys, &f, nil, nil); err != nil {
		return Config{}, err
	}
	c, err := f.config()
	c.AttentionBias, c.MLPBias = f.Attention, f.MLP
	c.EmbeddingMultiplier, c.LogitsDivisor = f.EmbeddingMultiplier, f.LogitsScaling
	c.ResidualMultiplier, c.AttentionScale = f.ResidualMultiplier, f.AttentionMultiplier
	return c, err
}

func graniteFile(c Config) (any, error) {
	f, err := decoderFile(c)
	return graniteConfig{f, biasKeys{c.AttentionBias, c.MLPBias}, c.EmbeddingMultiplier, c.LogitsDivisor, c.ResidualMultiplier, c.AttentionScale}, err
}

func validateGranite(c Config) error {
	for key, v := range map[string]float64{
		"embedding_multiplier": c.EmbeddingMultiplier, "logits_scaling": c.LogitsDivisor,
		"residual_multiplier": c.ResidualMultiplier, "attention_multiplier": c.AttentionScale,
	} {
		if !(v > 0) {
			return fmt.Errorf("key %q is %g; it must be more than 0", key, v)
		}
	}
	return validateLlama(c)
}

func graniteHidden(b *Builder, c Config) *gorgonia.Node {
	table := b.RoPETable(c.Rope, c)
	h := b.Scale(b.Embedding(decoderEmbedding), c.EmbeddingMultiplier)
	for i := range c.Layers {
		block := block(i)
		b.Block(func() {
			x := b.RMSNorm(block+"input_layernorm", h, c.RMSNormEps)
			q := b.RoPE(b.Projection(block+"self_attn.q_proj", x), table)
			k := b.RoPE(b.Projection(block+"self_attn.k_proj", x), table)
			v := b.Projection(block+"self_attn.v_proj", x)
			a := b.Attention(i, q, k, v, c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, b.Scale(b.Projection(block+"self_attn.o_proj", a), c.ResidualMultiplier))
			x = b.feedForward(block+"mlp.", b.RMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps))
			h = b.Add(h, b.Scale(x, c.ResidualMultiplier))
		})
	}
	return b.RMSNorm(decoderNorm, h, c.RMSNormEps)
}
