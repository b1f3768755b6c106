package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
)

// What the families that took their keys and modules over from Llama share.

// decoderConfig are the keys of config.json that all of them have.
type decoderConfig struct {
	ModelType         string   `json:"model_type"`
	Architectures     []string `json:"architectures,omitempty"`
	VocabSize         int      `json:"vocab_size"`
	HiddenSize        int      `json:"hidden_size"`
	IntermediateSize  int      `json:"intermediate_size"`
	Layers            int      `json:"num_hidden_layers"`
	Heads             int      `json:"num_attention_heads"`
	KVHeads           *int     `json:"num_key_value_heads"` // null is num_attention_heads
	HeadDim           *int     `json:"head_dim,omitempty"`  // null is hidden_size over num_attention_heads
	HiddenAct         string   `json:"hidden_act"`
	MaxPositions      int      `json:"max_position_embeddings"`
	InitializerRange  float64  `json:"initializer_range"`
	RMSNormEps        float64  `json:"rms_norm_eps"`
	AttentionDropout  float64  `json:"attention_dropout,omitempty"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	BOS               *int     `json:"bos_token_id"`
	EOS               tokenIDs `json:"eos_token_id"`
	Pad               *int     `json:"pad_token_id"`
	TorchDType        string   `json:"torch_dtype,omitempty"`
	ropeKeys
}

// biasKeys are keys of the families that may have biases.
type biasKeys struct {
	Attention bool `json:"attention_bias"`
	MLP       bool `json:"mlp_bias"`
}

// decoderDefaults are the values of missing keys in most families, as transformers has
// them.
func decoderDefaults() decoderConfig {
	return decoderConfig{HiddenAct: "silu", InitializerRange: 0.02, RMSNormEps: 1e-6, MaxPositions: 2048}
}

// config puts the keys together.
func (f decoderConfig) config() (Config, error) {
	c := Config{
		ModelType: f.ModelType, Architectures: f.Architectures, VocabSize: f.VocabSize, HiddenSize: f.HiddenSize,
		IntermediateSize: f.IntermediateSize, Layers: f.Layers, Heads: f.Heads, KVHeads: f.Heads, HiddenAct: f.HiddenAct,
		MaxPositions: f.MaxPositions, InitializerRange: f.InitializerRange, RMSNormEps: f.RMSNormEps,
		Dropouts: Dropouts{Attention: f.AttentionDropout}, TieWordEmbeddings: f.TieWordEmbeddings,
		BOS: f.BOS, EOS: f.EOS, Pad: f.Pad, TorchDType: f.TorchDType,
	}
	if f.KVHeads != nil && *f.KVHeads != 0 {
		c.KVHeads = *f.KVHeads
	}
	switch {
	case f.HeadDim != nil && *f.HeadDim != 0:
		c.HeadDim = *f.HeadDim
	case f.Heads > 0 && f.HiddenSize%f.Heads != 0:
		return c, fmt.Errorf("hidden_size (%d) is no multiple of num_attention_heads (%d), and there is no head_dim", f.HiddenSize, f.Heads)
	case f.Heads > 0:
		c.HeadDim = f.HiddenSize / f.Heads
	}
	var err error
	c.Rope, err = f.read(f.MaxPositions)
	return c, err
}

// decoderFile is what config undoes.
func decoderFile(c Config) (decoderConfig, error) {
	keys, err := c.Rope.keys()
	return decoderConfig{
		ModelType: c.ModelType, Architectures: c.Architectures, VocabSize: c.VocabSize, HiddenSize: c.HiddenSize,
		IntermediateSize: c.IntermediateSize, Layers: c.Layers, Heads: c.Heads, KVHeads: &c.KVHeads, HeadDim: &c.HeadDim,
		HiddenAct: c.HiddenAct, MaxPositions: c.MaxPositions, InitializerRange: c.InitializerRange, RMSNormEps: c.RMSNormEps,
		AttentionDropout: c.Dropouts.Attention, TieWordEmbeddings: c.TieWordEmbeddings,
		BOS: c.BOS, EOS: c.EOS, Pad: c.Pad, TorchDType: c.TorchDType, ropeKeys: keys,
	}, err
}

// decode reads a config.json into a family's keys, which hold their defaults, and
// refuses others.
func decode[T any](raw []byte, keys map[string]json.RawMessage, file *T, harmless map[string]bool, neutral map[string]string) error {
	if err := json.Unmarshal(raw, file); err != nil {
		return err
	}
	return checkKeys(keys, *file, harmless, neutral)
}

// The values of layer_types.
const (
	fullAttention    = "full_attention"
	slidingAttention = "sliding_attention"
)

// windows sets what the layers attend to: all tokens before, or in those layers that
// types says the last few. Without types all layers slide.
func (c *Config) windows(window *int, types []string) error {
	c.SlidingWindow, c.LayerTypes = 0, nil
	if types != nil && len(types) != c.Layers {
		return fmt.Errorf("key \"layer_types\" has %d entries for %d layers", len(types), c.Layers)
	}
	for i, kind := range types {
		if kind != fullAttention && kind != slidingAttention {
			return fmt.Errorf("key \"layer_types\" has %q for layer %d, which is not supported (supported: %s, %s)", kind, i, fullAttention, slidingAttention)
		}
	}
	if types != nil && !slices.Contains(types, slidingAttention) || window == nil {
		if slices.Contains(types, slidingAttention) {
			return fmt.Errorf("key \"layer_types\" has %s and there is no sliding_window", slidingAttention)
		}
		return nil
	}
	if *window < 1 || *window > mostPositions {
		return fmt.Errorf("key \"sliding_window\" is %d; it must be between 1 and %d, or null", *window, mostPositions)
	}
	if c.SlidingWindow = *window; slices.Contains(types, fullAttention) {
		c.LayerTypes = types
	}
	return nil
}

// window is what windows was given.
func (c Config) window() *int {
	if c.SlidingWindow == 0 {
		return nil
	}
	return &c.SlidingWindow
}

// Window returns how many tokens a token of a layer attends to, itself and those right
// before it; 0 is all.
func (c Config) Window(layer int) int {
	if c.LayerTypes != nil && c.LayerTypes[layer] != slidingAttention {
		return 0
	}
	return c.SlidingWindow
}

// validateDecoder checks a config of one of these families.
func validateDecoder(c Config) error {
	err := checkSizes(size{"vocab_size", c.VocabSize, mostTokens}, size{"hidden_size", c.HiddenSize, mostWidth},
		size{"intermediate_size", c.IntermediateSize, mostWidth}, size{"num_hidden_layers", c.Layers, mostLayers},
		size{"num_attention_heads", c.Heads, mostHeads}, size{"num_key_value_heads", c.KVHeads, mostHeads},
		size{"head_dim", c.HeadDim, mostHeads}, size{"max_position_embeddings", c.MaxPositions, mostPositions})
	switch {
	case err != nil:
		return err
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("num_attention_heads (%d) is no multiple of num_key_value_heads (%d)", c.Heads, c.KVHeads)
	case !(c.RMSNormEps > 0) || !(c.InitializerRange >= 0):
		return fmt.Errorf("rms_norm_eps %g and initializer_range %g must be positive", c.RMSNormEps, c.InitializerRange)
	case !(c.Dropouts.Attention >= 0 && c.Dropouts.Attention < 1):
		return fmt.Errorf("key \"attention_dropout\" is %g; it must be at least 0 and less than 1", c.Dropouts.Attention)
	case c.SlidingWindow < 0 || c.LayerTypes != nil && len(c.LayerTypes) != c.Layers:
		return fmt.Errorf("a sliding_window of %d tokens with layer_types for %d of %d layers", c.SlidingWindow, len(c.LayerTypes), c.Layers)
	}
	return c.Rope.validate(c.HeadDim)
}

// activation checks that the activation is one of those that a family's graph has.
func (c Config) activation(supported ...string) error {
	if !slices.Contains(supported, c.HiddenAct) {
		return fmt.Errorf("key \"hidden_act\" is %q, which is not supported (supported: %s)", c.HiddenAct, strings.Join(supported, ", "))
	}
	return nil
}

// wholeHeads refuses heads that are turned in part, which transformers does not do in
// most families, whatever config.json says.
func (c Config) wholeHeads() error {
	if c.Rope.Partial != 0 {
		return fmt.Errorf("key \"partial_rotary_factor\" is %g, which is not supported in the family %s (supported: 1)", c.Rope.Partial, c.ModelType)
	}
	return nil
}

// firstError returns the first error of several checks.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	decoderEmbedding = "model.embed_tokens.weight"
	decoderNorm      = "model.norm"
)

func decoderHead(c Config) string {
	if c.TieWordEmbeddings {
		return decoderEmbedding
	}
	return "lm_head.weight"
}

// decoderName brings the names of files of the bare model, which have no prefix, to
// those of the model with its head.
func decoderName(name string) string {
	for _, first := range []string{"embed_tokens.", "layers.", "norm."} {
		if strings.HasPrefix(name, first) {
			return "model." + name
		}
	}
	return name
}

// block is the prefix of the modules of a layer.
func block(layer int) string { return fmt.Sprintf("model.layers.%d.", layer) }

// A weightList collects a family's weights in order.
type weightList struct{ all []weight }

// linear adds a linear layer.
func (l *weightList) linear(module string, out, in int, bias bool) {
	l.all = append(l.all, weight{name: module + ".weight", shape: []int{out, in}, layout: outIn})
	if bias {
		l.all = append(l.all, weight{name: module + ".bias", shape: []int{out}, init: initZero})
	}
}

// norm adds the weight of an RMSNorm.
func (l *weightList) norm(module string, width int) {
	l.all = append(l.all, weight{name: module + ".weight", shape: []int{width}, init: initOne})
}

// decoderWeights lists the weights of a family, whose blocks layer adds.
func decoderWeights(c Config, layer func(l *weightList, block string)) []weight {
	l := &weightList{all: []weight{{name: decoderEmbedding, shape: []int{c.VocabSize, c.HiddenSize}}}}
	for i := range c.Layers {
		layer(l, block(i))
	}
	l.norm(decoderNorm, c.HiddenSize)
	if !c.TieWordEmbeddings {
		l.all = append(l.all, weight{name: decoderHead(c), shape: []int{c.VocabSize, c.HiddenSize}})
	}
	return l.all
}

// qkv adds the projections of queries, keys and values of a layer.
func (l *weightList) qkv(attention string, c Config, bias bool) {
	l.linear(attention+"q_proj", c.Heads*c.HeadDim, c.HiddenSize, bias)
	l.linear(attention+"k_proj", c.KVHeads*c.HeadDim, c.HiddenSize, bias)
	l.linear(attention+"v_proj", c.KVHeads*c.HeadDim, c.HiddenSize, bias)
}

// feedForward adds the layers of a SwiGLU.
func (l *weightList) feedForward(mlp string, c Config) {
	l.linear(mlp+"gate_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
	l.linear(mlp+"up_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
	l.linear(mlp+"down_proj", c.HiddenSize, c.IntermediateSize, c.MLPBias)
}

// feedForward is down(silu(gate(x))·up(x)).
func (b *Builder) feedForward(mlp string, x *gorgonia.Node) *gorgonia.Node {
	gate, up := b.Projection(mlp+"gate_proj", x), b.Projection(mlp+"up_proj", x)
	return b.Projection(mlp+"down_proj", b.SwiGLU(gate, up))
}
