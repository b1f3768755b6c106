package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
)

// The Gemma family, of text: decoders like Llama whose embeddings are multiplied by √C,
// whose norms multiply by 1 + weight, and whose feed-forward is a GeGLU (Gemma Team 2024,
// arXiv:2403.08295). Gemma 2 adds a norm behind attention and feed-forward, soft caps
// of the scores and the logits, and layers that attend to a window (arXiv:2408.00118);
// Gemma 3 has norms of queries and keys in place of the cap of scores, and rotary
// embeddings of another base in the layers of the window (arXiv:2503.19786). Names as in
// transformers' GemmaForCausalLM, Gemma2ForCausalLM and Gemma3ForCausalLM.
//
// √C is rounded to float32. Differs from transformers on a model in bf16, which rounds it
// to bf16; in float32 it is the same.

var (
	gemmaFamily = architecture{
		parse: parseGemma, file: gemmaFile, validate: validateGemma,
		weights: gemmaWeights, rename: decoderName, hidden: gemmaHidden, head: decoderHead, embedding: decoderEmbedding, embeddingScale: gemmaScale,
	}
	gemma2Family = architecture{
		parse: parseGemma2, file: gemma2File, validate: validateGemma2,
		weights: gemma2Weights, rename: decoderName, hidden: gemma2Hidden, head: decoderHead, embedding: decoderEmbedding, embeddingScale: gemmaScale,
	}
	gemma3Family = architecture{
		parse: parseGemma3, file: gemma3File, validate: validateGemma2,
		weights: gemma3Weights, rename: decoderName, hidden: gemma2Hidden, head: decoderHead, embedding: decoderEmbedding, embeddingScale: gemmaScale,
	}
)

// gemmaConfig is a config.json of Gemma 1.
type gemmaConfig struct {
	decoderConfig
	Attention  bool    `json:"attention_bias"`
	Activation *string `json:"hidden_activation,omitempty"` // goes before hidden_act
}

// gemmaDefaults are the values of missing keys.
func gemmaDefaults(positions int) decoderConfig {
	f, width := decoderDefaults(), 256
	f.HiddenAct, f.HeadDim, f.MaxPositions, f.TieWordEmbeddings = "gelu_pytorch_tanh", &width, positions, true
	return f
}

// gemmaNeutral are keys of the family with the value that is understood.
var gemmaNeutral = map[string]string{"use_bidirectional_attention": "false"}

func parseGemma(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f := gemmaConfig{decoderConfig: gemmaDefaults(8192)}
	if err := decode(raw, keys, &f, nil, gemmaNeutral); err != nil {
		return Config{}, err
	}
	if f.Activation != nil {
		f.HiddenAct = *f.Activation
	}
	if f.HiddenAct == "gelu" {
		f.HiddenAct = "gelu_pytorch_tanh" // what the published files mean by it
	}
	c, err := f.config()
	c.AttentionBias = f.Attention
	return c, err
}

func gemmaFile(c Config) (any, error) {
	f, err := decoderFile(c)
	return gemmaConfig{decoderConfig: f, Attention: c.AttentionBias}, err
}

func validateGemma(c Config) error {
	return firstError(validateDecoder(c), c.activation("gelu_pytorch_tanh"), c.wholeHeads())
}

// gemma2Config is a config.json of Gemma 2, with the keys that Gemma 3 has beside.
type gemma2Config struct {
	decoderConfig
	Attention     bool      `json:"attention_bias"`
	Activation    string    `json:"hidden_activation"` // hidden_act is not looked at
	Scalar        float64   `json:"query_pre_attn_scalar"`
	AttentionCap  *fraction `json:"attn_logit_softcapping"`
	LogitsCap     *fraction `json:"final_logit_softcapping"`
	SlidingWindow *int      `json:"sliding_window"`
	LayerTypes    []string  `json:"layer_types"`
}

// config puts the keys together. Without layer_types every pattern-th layer attends to
// all tokens, the others to the window.
func (f gemma2Config) config(pattern int) (Config, error) {
	c, err := f.decoderConfig.config()
	if err != nil {
		return c, err
	}
	c.AttentionBias, c.HiddenAct = f.Attention, f.Activation
	if !(f.Scalar > 0) {
		return c, fmt.Errorf("key \"query_pre_attn_scalar\" is %g; it must be more than 0", f.Scalar)
	}
	c.AttentionScale = 1 / math.Sqrt(f.Scalar)
	c.AttentionCap, c.LogitsCap = valueOf(f.AttentionCap), valueOf(f.LogitsCap)
	types := f.LayerTypes
	if pattern < 1 {
		return c, fmt.Errorf("key \"sliding_window_pattern\" is %d; it must be at least 1", pattern)
	}
	for i := 0; f.LayerTypes == nil && i < f.Layers; i++ {
		kind := slidingAttention
		if (i+1)%pattern == 0 {
			kind = fullAttention
		}
		types = append(types, kind)
	}
	return c, c.windows(f.SlidingWindow, types)
}

// A fraction is written with a point even where it is whole: transformers 5 takes 30.0 for
// a soft cap and refuses 30.
type fraction float64

func (f fraction) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(float64(f))
	if err == nil && !bytes.ContainsAny(b, ".e") {
		b = append(b, ".0"...)
	}
	return b, err
}

// valueOf is what p points to, or 0.
func valueOf(p *fraction) float64 {
	if p == nil {
		return 0
	}
	return float64(*p)
}

// orNull is nil for 0.
func orNull(v float64) *fraction {
	if v == 0 {
		return nil
	}
	f := fraction(v)
	return &f
}

func parseGemma2(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	scores, logits, window := fraction(50), fraction(30), 4096
	f := gemma2Config{
		decoderConfig: gemmaDefaults(8192), Activation: "gelu_pytorch_tanh", Scalar: 256,
		AttentionCap: &scores, LogitsCap: &logits, SlidingWindow: &window,
	}
	if err := decode(raw, keys, &f, map[string]bool{"cache_implementation": true}, gemmaNeutral); err != nil {
		return Config{}, err
	}
	return f.config(2)
}

// gemma2Keys is what config undoes.
func gemma2Keys(c Config) (gemma2Config, error) {
	f, err := decoderFile(c)
	scalar := 1 / (c.attentionScale() * c.attentionScale())
	if whole := math.Round(scalar); math.Abs(scalar-whole) < 1e-9*whole {
		scalar = whole // transformers wants a whole number
	}
	k := gemma2Config{
		decoderConfig: f, Attention: c.AttentionBias, Activation: c.HiddenAct, Scalar: scalar,
		AttentionCap: orNull(c.AttentionCap), LogitsCap: orNull(c.LogitsCap), SlidingWindow: c.window(),
	}
	if window := 4096; k.SlidingWindow == nil {
		k.SlidingWindow = &window // no layer has it, but transformers asks for one
	}
	for i := range c.Layers {
		kind := fullAttention
		if c.Window(i) > 0 {
			kind = slidingAttention
		}
		k.LayerTypes = append(k.LayerTypes, kind)
	}
	return k, err
}

func gemma2File(c Config) (any, error) { return gemma2Keys(c) }

func validateGemma2(c Config) error {
	if !(c.AttentionCap >= 0) || !(c.LogitsCap >= 0) {
		return fmt.Errorf("attn_logit_softcapping %g and final_logit_softcapping %g must be more than 0, or null", c.AttentionCap, c.LogitsCap)
	}
	err := firstError(validateDecoder(c), c.activation("gelu_pytorch_tanh", "gelu", "gelu_new"), c.wholeHeads())
	if err == nil && c.LocalRope.Theta != 0 {
		err = c.LocalRope.validate(c.HeadDim)
	}
	return err
}

// gemma3Config is a config.json of Gemma 3. In transformers 5 rope_parameters has an
// object for each kind of layer; in version 4 rope_theta and rope_scaling belong to the
// layers that attend to all tokens, and rope_local_base_freq to the others.
type gemma3Config struct {
	gemma2Config
	LocalBase *float64 `json:"rope_local_base_freq,omitempty"`
	Pattern   *int     `json:"sliding_window_pattern,omitempty"`
}

func parseGemma3(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	window, global, local := 4096, 1e6, 1e4
	f := gemma3Config{
		gemma2Config: gemma2Config{decoderConfig: gemmaDefaults(131072), Activation: "gelu_pytorch_tanh", Scalar: 256, SlidingWindow: &window},
		LocalBase:    &local,
	}
	f.Theta = &global
	err := decode(raw, keys, &f, map[string]bool{"cache_implementation": true, "_sliding_window_pattern": true}, gemmaNeutral)
	if err != nil {
		return Config{}, err
	}
	if f.AttentionCap != nil {
		return Config{}, fmt.Errorf("key \"attn_logit_softcapping\" is %g, which transformers does not heed in this family and is not supported (supported: null)", *f.AttentionCap)
	}
	// Both kinds of layers read their object, if there is one, before the older keys.
	var parts map[string]json.RawMessage
	if given(f.Parameters) {
		if err := json.Unmarshal(f.Parameters, &parts); err != nil {
			return Config{}, fmt.Errorf("key \"rope_parameters\": %w", err)
		}
		for key := range parts {
			if key != fullAttention && key != slidingAttention {
				return Config{}, fmt.Errorf("key \"rope_parameters.%s\" is not known (supported: %s, %s)", key, fullAttention, slidingAttention)
			}
		}
	}
	f.Parameters = parts[fullAttention]
	pattern := 6
	if f.Pattern != nil {
		pattern = *f.Pattern
	}
	c, err := f.config(pattern)
	if err != nil {
		return c, err
	}
	if f.LocalBase == nil { // null
		f.LocalBase = &local
	}
	c.LocalRope, err = ropeKeys{Theta: f.LocalBase, Parameters: parts[slidingAttention]}.read(c.MaxPositions)
	if err == nil && c.LocalRope.Kind != "" {
		err = fmt.Errorf("key \"rope_parameters.%s.rope_type\" is %q, which is not supported (supported: default)", slidingAttention, c.LocalRope.Kind)
	}
	return c, err
}

func gemma3File(c Config) (any, error) {
	f, err := gemma2Keys(c)
	return gemma3Config{gemma2Config: f, LocalBase: &c.LocalRope.Theta}, err
}

func gemmaWeights(c Config) []weight {
	return unitNorms(decoderWeights(c, func(l *weightList, block string) {
		l.norm(block+"input_layernorm", c.HiddenSize)
		l.gemmaLayer(block, c)
		l.norm(block+"post_attention_layernorm", c.HiddenSize)
	}))
}

func gemma2Weights(c Config) []weight {
	return unitNorms(decoderWeights(c, func(l *weightList, block string) { l.gemma2Layer(block, c) }))
}

func gemma3Weights(c Config) []weight {
	return unitNorms(decoderWeights(c, func(l *weightList, block string) {
		l.gemma2Layer(block, c)
		l.norm(block+"self_attn.q_norm", c.HeadDim)
		l.norm(block+"self_attn.k_norm", c.HeadDim)
	}))
}

func (l *weightList) gemma2Layer(block string, c Config) {
	l.gemmaLayer(block, c)
	for _, norm := range []string{"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"} {
		l.norm(block+norm, c.HiddenSize)
	}
}

// gemmaLayer adds the linear layers of a block.
func (l *weightList) gemmaLayer(block string, c Config) {
	l.qkv(block+"self_attn.", c, c.AttentionBias)
	l.linear(block+"self_attn.o_proj", c.HiddenSize, c.Heads*c.HeadDim, c.AttentionBias)
	l.feedForward(block+"mlp.", c)
}

// unitNorms lets norms begin at 0, which multiplies by 1.
func unitNorms(ws []weight) []weight {
	for i := range ws {
		if ws[i].init == initOne {
			ws[i].init = initZero
		}
	}
	return ws
}

// gegluForward is down(gelu(gate(x))·up(x)).
func (b *Builder) gegluForward(mlp string, x *gorgonia.Node, c Config) *gorgonia.Node {
	gate, up := b.Projection(mlp+"gate_proj", x), b.Projection(mlp+"up_proj", x)
	return b.Projection(mlp+"down_proj", b.GeGLU(gate, up, c))
}

// gemmaScale is √C.
func gemmaScale(c Config) float64 { return math.Sqrt(float64(c.HiddenSize)) }

// scaledEmbedding is the embedding times √C.
func (b *Builder) scaledEmbedding(c Config) *gorgonia.Node {
	return b.ScaledEmbedding(decoderEmbedding, gemmaScale(c))
}

func gemmaHidden(b *Builder, c Config) *gorgonia.Node {
	table := b.RoPETable(c.Rope, c)
	h := b.scaledEmbedding(c)
	for i := range c.Layers {
		block := block(i)
		b.Block(func() {
			x := b.UnitRMSNorm(block+"input_layernorm", h, c.RMSNormEps)
			q := b.RoPE(b.Projection(block+"self_attn.q_proj", x), table)
			k := b.RoPE(b.Projection(block+"self_attn.k_proj", x), table)
			a := b.Attention(i, q, k, b.Projection(block+"self_attn.v_proj", x), c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, b.Projection(block+"self_attn.o_proj", a))
			h = b.Add(h, b.gegluForward(block+"mlp.", b.UnitRMSNorm(block+"post_attention_layernorm", h, c.RMSNormEps), c))
		})
	}
	return b.UnitRMSNorm(decoderNorm, h, c.RMSNormEps)
}

// gemma2Hidden is the graph of Gemma 2 and of Gemma 3, which has two rotary embeddings
// and norms of queries and keys.
func gemma2Hidden(b *Builder, c Config) *gorgonia.Node {
	three := c.LocalRope.Theta != 0
	table := b.RoPETable(c.Rope, c)
	local := table
	if three {
		local = b.RoPETable(c.LocalRope, c)
	}
	h := b.scaledEmbedding(c)
	for i := range c.Layers {
		block, table := block(i), table
		if c.Window(i) > 0 {
			table = local
		}
		norm := func(name string, x *gorgonia.Node) *gorgonia.Node { return b.UnitRMSNorm(block+name, x, c.RMSNormEps) }
		b.Block(func() {
			x := norm("input_layernorm", h)
			q, k := b.Projection(block+"self_attn.q_proj", x), b.Projection(block+"self_attn.k_proj", x)
			if three {
				q, k = norm("self_attn.q_norm", q), norm("self_attn.k_norm", k)
			}
			a := b.Attention(i, b.RoPE(q, table), b.RoPE(k, table), b.Projection(block+"self_attn.v_proj", x), c)
			a, h = b.ForHead(i, c, a), b.ForHead(i, c, h)
			h = b.Add(h, norm("post_attention_layernorm", b.Projection(block+"self_attn.o_proj", a)))
			x = b.gegluForward(block+"mlp.", norm("pre_feedforward_layernorm", h), c)
			h = b.Add(h, norm("post_feedforward_layernorm", x))
		})
	}
	return b.UnitRMSNorm(decoderNorm, h, c.RMSNormEps)
}
