package model

import (
	"encoding/json"
	"fmt"

	"gorgonia.org/gorgonia"
)

// The Phi-3 family, to which Phi-3 mini and Phi-4 mini belong: a Llama with one product
// for queries, keys and values and one for gate and up, whose heads may be turned in part
// (Abdin et al. 2024, arXiv:2404.14219; names as in transformers' Phi3ForCausalLM).

var phi3Family = architecture{
	parse: parsePhi3, file: phi3File, validate: validatePhi3,
	weights: phi3Weights, hidden: phi3Hidden, head: decoderHead, embedding: decoderEmbedding,
}

// phi3Config is a config.json of the family.
type phi3Config struct {
	decoderConfig
	SlidingWindow    *int    `json:"sliding_window"` // null is none
	ResidualDropout  float64 `json:"resid_pdrop"`
	EmbeddingDropout float64 `json:"embd_pdrop"`
}

func parsePhi3(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f, original := phi3Config{decoderConfig: decoderDefaults()}, 4096
	f.MaxPositions, f.RMSNormEps, f.Original = 4096, 1e-5, &original
	err := decode(raw, keys, &f, nil, map[string]string{
		"attention_bias": "false", "mlp_bias": "false", "lm_head_bias": "false", "full_attn_mod": "1", "interpolate_factor": "1",
	})
	if err != nil {
		return Config{}, err
	}
	c, err := f.config()
	c.Dropouts.Residual, c.Dropouts.Embedding = f.ResidualDropout, f.EmbeddingDropout
	return c, firstError(err, c.windows(f.SlidingWindow, nil))
}

func phi3File(c Config) (any, error) {
	f, err := decoderFile(c)
	if c.Rope.OriginalPositions != 0 {
		f.Original = &c.Rope.OriginalPositions
	}
	return phi3Config{f, c.window(), c.Dropouts.Residual, c.Dropouts.Embedding}, err
}

func validatePhi3(c Config) error {
	if c.Rope.Kind != "" && c.Rope.Kind != "longrope" {
		return fmt.Errorf("key \"rope_scaling.rope_type\" is %q, which the family %s does not support (supported: default, longrope)", c.Rope.Kind, c.ModelType)
	}
	return firstError(validateDecoder(c), c.activation("silu"))
}

func phi3Weights(c Config) []weight {
	return decoderWeights(c, func(l *weightList, block string) {
		l.norm(block+"input_layernorm", c.HiddenSize)
		l.linear(block+"self_attn.qkv_proj", (c.Heads+2*c.KVHeads)*c.HeadDim, c.HiddenSize, false)
		l.linear(block+"self_attn.o_proj", c.HiddenSize, c.Heads*c.HeadDim, false)
		l.norm(block+"post_attention_layernorm", c.HiddenSize)
		l.linear(block+"mlp.gate_up_proj", 2*c.IntermediateSize, c.HiddenSize, false)
		l.linear(block+"mlp.down_proj", c.HiddenSize, c.IntermediateSize, false)
	})
}

func phi3Hidden(b *Builder, c Config) *gorgonia.Node {
	table := b.RoPETable(c.Rope, c)
	toKeys := c.Heads * c.HeadDim
	toValues, inner := toKeys+c.KVHeads*c.HeadDim, c.IntermediateSize
	h := b.Embedding(decoderEmbedding)
	for i := range c.Layers {
		block := block(i)
		b.Block(func() {
			qkv := b.Projection(block+"self_attn.qkv_proj", b.RMSNorm(block+"input_layernorm", h, c.RMSNormEps))
			q, k := b.RoPE(b.Columns(qkv, 0, toKeys), table), b.RoPE(b.Columns(qkv, toKeys, toValues), table)
			a := b.Attention(i, q, k, b.Columns(qkv, toValues, 2*toValues-toKeys), c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, b.Projection(block+"self_attn.o_proj", a))

			x := b.Projection(block+"mlp.gate_up_proj", b.RMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps))
			h = b.Add(h, b.Projection(block+"mlp.down_proj", b.SwiGLU(b.Columns(x, 0, inner), b.Columns(x, inner, 2*inner))))
		})
	}
	return b.RMSNorm(decoderNorm, h, c.RMSNormEps)
}
