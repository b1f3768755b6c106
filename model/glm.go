package model

import (
	"encoding/json"

	"gorgonia.org/gorgonia"
)

// The GLM-4 family of text: decoders like Llama with biases of queries, keys and values,
// one product for gate and up, and rotary embeddings that turn neighbouring elements of
// the first half of a head (GLM Team 2024, arXiv:2406.12793). model_type glm is GLM-4 of
// 2024; glm4, GLM-4-0414, has a norm behind attention and feed-forward too. Names as
// in transformers' GlmForCausalLM and Glm4ForCausalLM.

var (
	glmFamily = architecture{
		parse: parseGLM, file: glmFile, validate: validateGLM,
		weights: glmWeights, hidden: glmHidden, head: decoderHead, embedding: decoderEmbedding,
	}
	glm4Family = architecture{
		parse: parseGLM, file: glmFile, validate: validateGLM,
		weights: glm4Weights, hidden: glm4Hidden, head: decoderHead, embedding: decoderEmbedding,
	}
)

// glmConfig is a config.json of the family.
type glmConfig struct {
	decoderConfig
	Attention bool `json:"attention_bias"`
}

func parseGLM(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f, head, kv, share := glmConfig{decoderConfig: decoderDefaults(), Attention: true}, 128, 2, 0.5
	f.HeadDim, f.KVHeads, f.Partial, f.RMSNormEps, f.MaxPositions = &head, &kv, &share, 1.5625e-7, 131072
	if err := decode(raw, keys, &f, nil, nil); err != nil {
		return Config{}, err
	}
	c, err := f.config()
	c.AttentionBias, c.Rope.Interleaved = f.Attention, true
	return c, err
}

func glmFile(c Config) (any, error) {
	f, err := decoderFile(c)
	if share := orElse(c.Rope.Partial, 1); f.Partial == nil {
		f.Partial = &share // without the key it would be a half
	}
	return glmConfig{f, c.AttentionBias}, err
}

func validateGLM(c Config) error { return firstError(validateDecoder(c), c.activation("silu")) }

func glmWeights(c Config) []weight {
	return decoderWeights(c, func(l *weightList, block string) { l.glmLayer(block, c) })
}

func glm4Weights(c Config) []weight {
	return decoderWeights(c, func(l *weightList, block string) {
		l.glmLayer(block, c)
		l.norm(block+"post_self_attn_layernorm", c.HiddenSize)
		l.norm(block+"post_mlp_layernorm", c.HiddenSize)
	})
}

func (l *weightList) glmLayer(block string, c Config) {
	l.norm(block+"input_layernorm", c.HiddenSize)
	l.qkv(block+"self_attn.", c, c.AttentionBias)
	l.linear(block+"self_attn.o_proj", c.HiddenSize, c.Heads*c.HeadDim, false)
	l.norm(block+"post_attention_layernorm", c.HiddenSize)
	l.linear(block+"mlp.gate_up_proj", 2*c.IntermediateSize, c.HiddenSize, false)
	l.linear(block+"mlp.down_proj", c.HiddenSize, c.IntermediateSize, false)
}

func glmHidden(b *Builder, c Config) *gorgonia.Node {
	return b.glm(c, func(_ string, x *gorgonia.Node) *gorgonia.Node { return x })
}

func glm4Hidden(b *Builder, c Config) *gorgonia.Node {
	return b.glm(c, func(module string, x *gorgonia.Node) *gorgonia.Node { return b.RMSNorm(module, x, c.RMSNormEps) })
}

// glm is the graph of the family; after is the norm of what a layer adds to the residual
// stream.
func (b *Builder) glm(c Config, after func(module string, x *gorgonia.Node) *gorgonia.Node) *gorgonia.Node {
	table, inner := b.RoPETable(c.Rope, c), c.IntermediateSize
	h := b.Embedding(decoderEmbedding)
	for i := range c.Layers {
		block := block(i)
		b.Block(func() {
			x := b.RMSNorm(block+"input_layernorm", h, c.RMSNormEps)
			q := b.RoPE(b.Projection(block+"self_attn.q_proj", x), table)
			k := b.RoPE(b.Projection(block+"self_attn.k_proj", x), table)
			a := b.Attention(i, q, k, b.Projection(block+"self_attn.v_proj", x), c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, after(block+"post_self_attn_layernorm", b.Projection(block+"self_attn.o_proj", a)))

			x = b.Projection(block+"mlp.gate_up_proj", b.RMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps))
			x = b.Projection(block+"mlp.down_proj", b.SwiGLU(b.Columns(x, 0, inner), b.Columns(x, inner, 2*inner)))
			h = b.Add(h, after(block+"post_mlp_layernorm", x))
		})
	}
	return b.RMSNorm(decoderNorm, h, c.RMSNormEps)
}
