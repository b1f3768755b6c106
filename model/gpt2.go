package model

import (
	"encoding/json"
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"
)

// The GPT-2 family: a decoder with LayerNorm before attention and feed-forward,
// learned positions, one product for queries, keys and values, biases everywhere
// and weights stored as [in, out] (Radford et al. 2019, Language Models are
// Unsupervised Multitask Learners; names as in transformers' GPT2LMHeadModel).
//
// Its config.json asks for dropout of 0.1 by default. gotune trains without.

var gpt2Family = architecture{
	parse: parseGPT2, file: gpt2File, validate: validateGPT2,
	weights: gpt2Weights, rename: gpt2Name, hidden: gpt2Hidden, head: gpt2Head, embedding: gpt2Embedding,
}

const (
	gpt2Embedding = "transformer.wte.weight"
	gpt2Positions = "transformer.wpe.weight"
)

// gpt2Config is a config.json of the family.
type gpt2Config struct {
	ModelType         string   `json:"model_type"`
	Architectures     []string `json:"architectures,omitempty"`
	VocabSize         int      `json:"vocab_size"`
	Positions         int      `json:"n_positions"`
	Context           int      `json:"n_ctx,omitempty"` // older files repeat n_positions here
	Width             int      `json:"n_embd"`
	Layers            int      `json:"n_layer"`
	Heads             int      `json:"n_head"`
	Inner             *int     `json:"n_inner"` // null is 4·n_embd
	Activation        string   `json:"activation_function"`
	ResidualDropout   float64  `json:"resid_pdrop"`
	EmbeddingDropout  float64  `json:"embd_pdrop"`
	AttentionDropout  float64  `json:"attn_pdrop"`
	Epsilon           float64  `json:"layer_norm_epsilon"`
	InitializerRange  float64  `json:"initializer_range"`
	ScaleAttention    bool     `json:"scale_attn_weights"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	BOS               *int     `json:"bos_token_id"`
	EOS               tokenIDs `json:"eos_token_id"`
	Pad               *int     `json:"pad_token_id,omitempty"`
	TorchDType        string   `json:"torch_dtype,omitempty"`
}

func parseGPT2(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f := gpt2Config{
		VocabSize: 50257, Width: 768, Layers: 12, Heads: 12, Activation: "gelu_new",
		ResidualDropout: 0.1, EmbeddingDropout: 0.1, AttentionDropout: 0.1,
		Epsilon: 1e-5, InitializerRange: 0.02, ScaleAttention: true, TieWordEmbeddings: true,
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return Config{}, err
	}
	err := checkKeys(keys, f, map[string]bool{
		"summary_type": true, "summary_use_proj": true, "summary_activation": true, "summary_proj_to_labels": true,
		"summary_first_dropout": true, "task_specific_params": true, "output_past": true, "gradient_checkpointing": true,
	}, map[string]string{
		"scale_attn_by_inverse_layer_idx": "false", "reorder_and_upcast_attn": "false", "add_cross_attention": "false",
	})
	if err != nil {
		return Config{}, err
	}
	if keys["n_positions"] == nil {
		f.Positions = 1024
		if f.Context != 0 {
			f.Positions = f.Context
		}
	}
	c := Config{
		ModelType: f.ModelType, Architectures: f.Architectures, VocabSize: f.VocabSize, HiddenSize: f.Width, IntermediateSize: 4 * f.Width,
		Layers: f.Layers, Heads: f.Heads, KVHeads: f.Heads, HiddenAct: f.Activation, MaxPositions: f.Positions,
		InitializerRange: f.InitializerRange, LayerNormEps: f.Epsilon,
		TieWordEmbeddings: f.TieWordEmbeddings, BOS: f.BOS, EOS: f.EOS, Pad: f.Pad, TorchDType: f.TorchDType,
		Dropouts: Dropouts{Residual: f.ResidualDropout, Embedding: f.EmbeddingDropout, Attention: f.AttentionDropout},
	}
	if !f.ScaleAttention {
		c.AttentionScale = 1
	}
	if f.Inner != nil {
		c.IntermediateSize = *f.Inner
	}
	if f.Heads > 0 {
		c.HeadDim = f.Width / f.Heads
	}
	return c, nil
}

func gpt2File(c Config) (any, error) {
	f := gpt2Config{
		ModelType: c.ModelType, Architectures: c.Architectures, VocabSize: c.VocabSize, Positions: c.MaxPositions,
		Width: c.HiddenSize, Layers: c.Layers, Heads: c.Heads, Activation: c.HiddenAct,
		ResidualDropout: c.Dropouts.Residual, EmbeddingDropout: c.Dropouts.Embedding, AttentionDropout: c.Dropouts.Attention,
		Epsilon: c.LayerNormEps, InitializerRange: c.InitializerRange, ScaleAttention: c.AttentionScale == 0,
		TieWordEmbeddings: c.TieWordEmbeddings, BOS: c.BOS, EOS: c.EOS, Pad: c.Pad, TorchDType: c.TorchDType,
	}
	if c.IntermediateSize != 4*c.HiddenSize {
		f.Inner = &c.IntermediateSize
	}
	return f, nil
}

func validateGPT2(c Config) error {
	err := checkSizes(size{"vocab_size", c.VocabSize, mostTokens}, size{"n_embd", c.HiddenSize, mostWidth},
		size{"n_inner", c.IntermediateSize, mostWidth}, size{"n_layer", c.Layers, mostLayers},
		size{"n_head", c.Heads, mostHeads}, size{"n_positions", c.MaxPositions, mostPositions})
	switch {
	case err != nil:
		return err
	case c.HiddenSize%c.Heads != 0 || c.HeadDim != c.HiddenSize/c.Heads || c.KVHeads != c.Heads:
		return fmt.Errorf("n_embd (%d) is no multiple of n_head (%d)", c.HiddenSize, c.Heads)
	case c.HiddenAct != "gelu_new" && c.HiddenAct != "gelu_pytorch_tanh":
		return fmt.Errorf("key \"activation_function\" is %q, which is not supported (supported: gelu_new, gelu_pytorch_tanh)", c.HiddenAct)
	case !(c.LayerNormEps > 0) || !(c.InitializerRange >= 0):
		return fmt.Errorf("layer_norm_epsilon %g and initializer_range %g must be positive", c.LayerNormEps, c.InitializerRange)
	}
	return nil
}

func gpt2Weights(c Config) []weight {
	ws := []weight{
		{name: gpt2Embedding, shape: []int{c.VocabSize, c.HiddenSize}},
		{name: gpt2Positions, shape: []int{c.MaxPositions, c.HiddenSize}},
	}
	norm := func(module string) {
		ws = append(ws, weight{name: module + ".weight", shape: []int{c.HiddenSize}, init: initOne},
			weight{name: module + ".bias", shape: []int{c.HiddenSize}, init: initZero})
	}
	linear := func(module string, in, out int, init initKind) {
		ws = append(ws, weight{name: module + ".weight", shape: []int{in, out}, init: init, layout: inOut},
			weight{name: module + ".bias", shape: []int{out}, init: initZero})
	}
	for i := range c.Layers {
		block := fmt.Sprintf("transformer.h.%d.", i)
		norm(block + "ln_1")
		linear(block+"attn.c_attn", c.HiddenSize, 3*c.HiddenSize, initNormal)
		linear(block+"attn.c_proj", c.HiddenSize, c.HiddenSize, initResidual)
		norm(block + "ln_2")
		linear(block+"mlp.c_fc", c.HiddenSize, c.IntermediateSize, initNormal)
		linear(block+"mlp.c_proj", c.IntermediateSize, c.HiddenSize, initResidual)
	}
	norm("transformer.ln_f")
	if !c.TieWordEmbeddings {
		ws = append(ws, weight{name: gpt2Head(c), shape: []int{c.VocabSize, c.HiddenSize}})
	}
	return ws
}

// gpt2Name brings the names of older files, which have no prefix, to today's, and
// passes over the masks that they hold.
func gpt2Name(name string) string {
	if strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias") {
		return ""
	}
	for _, first := range []string{"wte.", "wpe.", "h.", "ln_f."} {
		if strings.HasPrefix(name, first) {
			return "transformer." + name
		}
	}
	return name
}

func gpt2Head(c Config) string {
	if c.TieWordEmbeddings {
		return gpt2Embedding
	}
	return "lm_head.weight"
}

func gpt2Hidden(b *Builder, c Config) *gorgonia.Node {
	width := c.HiddenSize
	h := b.Add(b.Embedding(gpt2Embedding), b.PositionEmbedding(gpt2Positions))
	for i := range c.Layers {
		block := fmt.Sprintf("transformer.h.%d.", i)
		b.Block(func() {
			qkv := b.Projection(block+"attn.c_attn", b.LayerNorm(block+"ln_1", h, c.LayerNormEps))
			q, k, v := b.Columns(qkv, 0, width), b.Columns(qkv, width, 2*width), b.Columns(qkv, 2*width, 3*width)
			a := b.Attention(i, q, k, v, c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, b.Projection(block+"attn.c_proj", a))

			x := b.Projection(block+"mlp.c_fc", b.LayerNorm(block+"ln_2", h, c.LayerNormEps))
			h = b.Add(h, b.Projection(block+"mlp.c_proj", b.GELU(x, c)))
		})
	}
	return b.LayerNorm("transformer.ln_f", h, c.LayerNormEps)
}
