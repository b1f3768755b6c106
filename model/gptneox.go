package model

import (
	"encoding/json"
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"
)

// The GPT-NeoX family, to which Pythia belongs: a decoder with LayerNorm, one product for
// queries, keys and values whose parts lie beside each other in each head, heads that are
// turned in part, and, unless told otherwise, attention and feed-forward that read the
// same input and are added together (Black et al. 2022, arXiv:2204.06745; names as in
// the published files, whose head is embed_out, which transformers 5 calls lm_head).

var gptNeoXFamily = architecture{
	parse: parseGPTNeoX, file: gptNeoXFile, validate: validateGPTNeoX,
	weights: gptNeoXWeights, rename: gptNeoXName, hidden: gptNeoXHidden, head: gptNeoXHead, embedding: gptNeoXEmbedding,
}

const (
	gptNeoXEmbedding = "gpt_neox.embed_in.weight"
	gptNeoXNorm      = "gpt_neox.final_layer_norm"
)

// gptNeoXConfig is a config.json of the family.
type gptNeoXConfig struct {
	ModelType         string          `json:"model_type"`
	Architectures     []string        `json:"architectures,omitempty"`
	VocabSize         int             `json:"vocab_size"`
	HiddenSize        int             `json:"hidden_size"`
	IntermediateSize  int             `json:"intermediate_size"`
	Layers            int             `json:"num_hidden_layers"`
	Heads             int             `json:"num_attention_heads"`
	HiddenAct         string          `json:"hidden_act"`
	MaxPositions      int             `json:"max_position_embeddings"`
	InitializerRange  float64         `json:"initializer_range"`
	Epsilon           float64         `json:"layer_norm_eps"`
	ParallelResidual  bool            `json:"use_parallel_residual"`
	AttentionBias     bool            `json:"attention_bias"`
	HiddenDropout     float64         `json:"hidden_dropout,omitempty"`
	AttentionDropout  float64         `json:"attention_dropout,omitempty"`
	RotaryShare       *float64        `json:"rotary_pct,omitempty"`
	RotaryBase        *float64        `json:"rotary_emb_base,omitempty"`
	Scaling           json.RawMessage `json:"rope_scaling,omitempty"`
	Parameters        json.RawMessage `json:"rope_parameters,omitempty"`
	TieWordEmbeddings bool            `json:"tie_word_embeddings"`
	BOS               *int            `json:"bos_token_id"`
	EOS               tokenIDs        `json:"eos_token_id"`
	Pad               *int            `json:"pad_token_id,omitempty"`
	TorchDType        string          `json:"torch_dtype,omitempty"`
}

func parseGPTNeoX(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f := gptNeoXConfig{
		VocabSize: 50432, HiddenSize: 6144, IntermediateSize: 24576, Layers: 44, Heads: 64, HiddenAct: "gelu", MaxPositions: 2048,
		InitializerRange: 0.02, Epsilon: 1e-5, ParallelResidual: true, AttentionBias: true,
	}
	err := decode(raw, keys, &f, map[string]bool{"classifier_dropout": true, "gradient_checkpointing": true}, map[string]string{"is_decoder": "false"})
	if err != nil {
		return Config{}, err
	}
	c := Config{
		ModelType: f.ModelType, Architectures: f.Architectures, VocabSize: f.VocabSize, HiddenSize: f.HiddenSize,
		IntermediateSize: f.IntermediateSize, Layers: f.Layers, Heads: f.Heads, KVHeads: f.Heads, HiddenAct: f.HiddenAct,
		MaxPositions: f.MaxPositions, InitializerRange: f.InitializerRange, LayerNormEps: f.Epsilon,
		SerialResidual: !f.ParallelResidual, AttentionBias: f.AttentionBias, TieWordEmbeddings: f.TieWordEmbeddings,
		Dropouts: Dropouts{Residual: f.HiddenDropout, Attention: f.AttentionDropout},
		BOS:      f.BOS, EOS: f.EOS, Pad: f.Pad, TorchDType: f.TorchDType,
	}
	if f.Heads > 0 {
		c.HeadDim = f.HiddenSize / f.Heads
	}
	share := 0.25
	if f.RotaryShare == nil {
		f.RotaryShare = &share
	}
	c.Rope, err = ropeKeys{Theta: f.RotaryBase, Partial: f.RotaryShare, Scaling: f.Scaling, Parameters: f.Parameters}.read(f.MaxPositions)
	return c, err
}

func gptNeoXFile(c Config) (any, error) {
	rope, err := c.Rope.keys()
	share := orElse(c.Rope.Partial, 1)
	return gptNeoXConfig{
		ModelType: c.ModelType, Architectures: c.Architectures, VocabSize: c.VocabSize, HiddenSize: c.HiddenSize,
		IntermediateSize: c.IntermediateSize, Layers: c.Layers, Heads: c.Heads, HiddenAct: c.HiddenAct,
		MaxPositions: c.MaxPositions, InitializerRange: c.InitializerRange, Epsilon: c.LayerNormEps,
		ParallelResidual: !c.SerialResidual, AttentionBias: c.AttentionBias, HiddenDropout: c.Dropouts.Residual,
		AttentionDropout: c.Dropouts.Attention, RotaryShare: &share, RotaryBase: rope.Theta, Scaling: rope.Scaling,
		TieWordEmbeddings: c.TieWordEmbeddings, BOS: c.BOS, EOS: c.EOS, Pad: c.Pad, TorchDType: c.TorchDType,
	}, err
}

func validateGPTNeoX(c Config) error {
	err := checkSizes(size{"vocab_size", c.VocabSize, mostTokens}, size{"hidden_size", c.HiddenSize, mostWidth},
		size{"intermediate_size", c.IntermediateSize, mostWidth}, size{"num_hidden_layers", c.Layers, mostLayers},
		size{"num_attention_heads", c.Heads, mostHeads}, size{"max_position_embeddings", c.MaxPositions, mostPositions})
	switch {
	case err != nil:
		return err
	case c.HiddenSize%c.Heads != 0 || c.HeadDim != c.HiddenSize/c.Heads || c.KVHeads != c.Heads:
		return fmt.Errorf("hidden_size (%d) is no multiple of num_attention_heads (%d)", c.HiddenSize, c.Heads)
	case !(c.LayerNormEps > 0) || !(c.InitializerRange >= 0):
		return fmt.Errorf("layer_norm_eps %g and initializer_range %g must be positive", c.LayerNormEps, c.InitializerRange)
	}
	return firstError(c.activation("gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh"), c.Rope.validate(c.HeadDim))
}

func gptNeoXWeights(c Config) []weight {
	l := &weightList{all: []weight{{name: gptNeoXEmbedding, shape: []int{c.VocabSize, c.HiddenSize}}}}
	norm := func(module string) {
		l.norm(module, c.HiddenSize)
		l.all = append(l.all, weight{name: module + ".bias", shape: []int{c.HiddenSize}, init: initZero})
	}
	for i := range c.Layers {
		block := fmt.Sprintf("gpt_neox.layers.%d.", i)
		norm(block + "input_layernorm")
		norm(block + "post_attention_layernorm")
		l.linear(block+"attention.query_key_value", 3*c.HiddenSize, c.HiddenSize, c.AttentionBias)
		l.linear(block+"attention.dense", c.HiddenSize, c.HiddenSize, c.AttentionBias)
		l.linear(block+"mlp.dense_h_to_4h", c.IntermediateSize, c.HiddenSize, true)
		l.linear(block+"mlp.dense_4h_to_h", c.HiddenSize, c.IntermediateSize, true)
	}
	norm(gptNeoXNorm)
	if !c.TieWordEmbeddings {
		l.all = append(l.all, weight{name: gptNeoXHead(c), shape: []int{c.VocabSize, c.HiddenSize}})
	}
	return l.all
}

// gptNeoXName brings the name of transformers 5 for the head, and names without a prefix,
// to those of the published files, and passes over the masks that these hold.
func gptNeoXName(name string) string {
	switch {
	case strings.HasSuffix(name, ".attention.bias") || strings.HasSuffix(name, ".attention.masked_bias"):
		return ""
	case name == "lm_head.weight":
		return "embed_out.weight"
	}
	for _, first := range []string{"embed_in.", "layers.", "final_layer_norm."} {
		if strings.HasPrefix(name, first) {
			return "gpt_neox." + name
		}
	}
	return name
}

func gptNeoXHead(c Config) string {
	if c.TieWordEmbeddings {
		return gptNeoXEmbedding
	}
	return "embed_out.weight"
}

func gptNeoXHidden(b *Builder, c Config) *gorgonia.Node {
	table, d := b.RoPETable(c.Rope, c), c.HeadDim
	h := b.Embedding(gptNeoXEmbedding)
	for i := range c.Layers {
		block := fmt.Sprintf("gpt_neox.layers.%d.", i)
		b.Block(func() {
			qkv := b.Projection(block+"attention.query_key_value", b.LayerNorm(block+"input_layernorm", h, c.LayerNormEps))
			part := func(n int) *gorgonia.Node { return b.ColumnsOfHeads(qkv, c.Heads, n*d, (n+1)*d) }
			a := b.Attention(i, b.RoPE(part(0), table), b.RoPE(part(1), table), part(2), c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			input := h
			h = b.Add(h, b.Projection(block+"attention.dense", a))
			if c.SerialResidual {
				input = h
			}
			x := b.Projection(block+"mlp.dense_h_to_4h", b.LayerNorm(block+"post_attention_layernorm", input, c.LayerNormEps))
			h = b.Add(h, b.Projection(block+"mlp.dense_4h_to_h", b.GELU(x, c)))
		})
	}
	return b.LayerNorm(gptNeoXNorm, h, c.LayerNormEps)
}
