package export

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/internal/gguf"
)

// A description collects what a file says of a model.
type description struct {
	arch  string
	keys  keys
	meta  gguf.Metadata
	extra []gguf.Tensor // that are no weights: factors of the rotary embedding
	// notes are what llama.cpp computes otherwise, in words.
	notes []string
}

// add adds a key of the architecture.
func (d *description) add(key string, v gguf.Value) {
	d.meta = append(d.meta, gguf.Pair{Key: d.arch + "." + key, Value: v})
}

func (d *description) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// common adds what all families have.
func (d *description) common() {
	k := d.keys
	heads, kv, width := k.heads()
	d.add("block_count", gguf.Uint(uint32(k.whole("num_hidden_layers", "n_layer"))))
	d.add("context_length", gguf.Uint(uint32(k.whole("max_position_embeddings", "n_positions", "n_ctx"))))
	d.add("embedding_length", gguf.Uint(uint32(k.whole("hidden_size", "n_embd"))))
	inner := k.whole("intermediate_size", "n_inner")
	if inner == 0 {
		inner = 4 * k.whole("n_embd")
	}
	d.add("feed_forward_length", gguf.Uint(uint32(inner)))
	d.add("attention.head_count", gguf.Uint(uint32(heads)))
	d.add("attention.head_count_kv", gguf.Uint(uint32(kv)))
	if v := k.number(0, "rms_norm_eps"); v > 0 {
		d.add("attention.layer_norm_rms_epsilon", gguf.Float(v))
	}
	if v := k.number(0, "layer_norm_eps", "layer_norm_epsilon"); v > 0 {
		d.add("attention.layer_norm_epsilon", gguf.Float(v))
	}
	if k["head_dim"] != nil {
		d.add("attention.key_length", gguf.Uint(uint32(width)))
		d.add("attention.value_length", gguf.Uint(uint32(width)))
	}
	d.add("vocab_size", gguf.Uint(uint32(k.whole("vocab_size"))))
}

// possible refuses weights that llama.cpp has no place for, or misses, so that it could not
// open the file.
func (d *description) possible() error {
	biases := d.keys.flag(d.arch == "gptneox", "attention_bias")
	switch d.arch {
	case "gemma", "gemma2", "gemma3", "olmo2", "qwen3":
		if biases {
			return fmt.Errorf("attention_bias is true, which llama.cpp's %s does not know", d.arch)
		}
	case "gptneox":
		if !biases {
			return fmt.Errorf("attention_bias is false, which llama.cpp's %s does not know", d.arch)
		}
	}
	if (d.arch == "gemma" || d.arch == "gemma2") && !d.keys.flag(true, "tie_word_embeddings") {
		return fmt.Errorf("the head is not tied to the embedding, which llama.cpp's %s does not know", d.arch)
	}
	return nil
}

// rotary adds the rotary embedding: its base, how many of a head's numbers turn, and its
// scaling to longer texts.
func (d *description) rotary(scalings ...string) error {
	full, _ := d.keys.rope()
	d.add("rope.freq_base", gguf.Float(full.number(10000, "rope_theta")))
	_, _, width := d.keys.heads()
	turned := int(float64(width) * full.number(1, "partial_rotary_factor"))
	d.add("rope.dimension_count", gguf.Uint(uint32(turned)))
	kind := full.text("rope_type")
	if kind == "" || kind == "default" {
		return nil
	}
	if !slices.Contains(scalings, kind) {
		return fmt.Errorf("rope_type %q has no counterpart in GGUF's %s", kind, d.arch)
	}
	switch kind {
	case "linear":
		d.add("rope.scaling.type", gguf.Text("linear"))
		d.add("rope.scaling.factor", gguf.Float(full.number(1, "factor")))
	case "yarn":
		return d.yarn(full)
	case "llama3":
		d.factors("rope_freqs.weight", llama3Factors(full, turned))
	case "longrope", "su":
		return d.longRope(full, turned)
	}
	return nil
}

func (d *description) yarn(p keys) error {
	factor := p.number(1, "factor")
	d.add("rope.scaling.type", gguf.Text("yarn"))
	d.add("rope.scaling.factor", gguf.Float(factor))
	original := p.number(d.keys.number(0, "max_position_embeddings"), "original_max_position_embeddings")
	d.add("rope.scaling.original_context_length", gguf.Uint(uint32(original)))
	if p["mscale"] != nil || p["mscale_all_dim"] != nil || !p.flag(true, "truncate") {
		return fmt.Errorf("rope_type yarn with mscale, mscale_all_dim or truncate has no counterpart in GGUF's %s", d.arch)
	}
	for _, name := range []string{"attention_factor", "beta_fast", "beta_slow"} {
		if v := p.number(math.NaN(), name); v == v {
			d.add("rope.scaling.yarn_"+strings.Replace(name, "attention", "attn", 1), gguf.Float(v))
		}
	}
	return nil
}

// factors adds a tensor of divisors of the rotary frequencies.
func (d *description) factors(name string, values []float32) {
	d.extra = append(d.extra, gguf.Tensor{
		Info: gguf.Info{Name: name, Shape: []int{len(values)}, Type: gguf.F32}, Values: func() ([]float32, error) { return values, nil },
	})
}

// llama3Factors returns what each frequency is divided by: 1 where a turn is short, factor
// where it is long, and between the two what transformers' llama3 scaling comes to. It is
// computed in float32, as the converter does.
func llama3Factors(p keys, width int) []float32 {
	factor, low, high := float32(p.number(8, "factor")), float32(p.number(1, "low_freq_factor")), float32(p.number(4, "high_freq_factor"))
	original, base := float32(p.number(8192, "original_max_position_embeddings")), p.number(10000, "rope_theta")
	out := make([]float32, width/2)
	for i := range out {
		frequency := 1 / float32(math.Pow(base, float64(float32(2*i)/float32(width))))
		turn := float32(2*math.Pi) / frequency
		switch {
		case turn < original/high:
			out[i] = 1
		case turn > original/low:
			out[i] = factor
		default:
			smooth := (original/turn - low) / (high - low)
			out[i] = 1 / (float32((1-smooth)/factor) + smooth)
		}
	}
	return out
}

// longRope adds Phi-3's divisors for short and for long texts.
func (d *description) longRope(p keys, turned int) error {
	var long, short []float32
	p.has(&long, "long_factor")
	p.has(&short, "short_factor")
	if len(long) != turned/2 || len(short) != turned/2 {
		return fmt.Errorf("rope_type longrope needs %d numbers in long_factor and short_factor, not %d and %d", turned/2, len(long), len(short))
	}
	positions, original := d.keys.number(0, "max_position_embeddings"), p.number(0, "original_max_position_embeddings")
	attention := 1.0
	if scale := p.number(positions/original, "factor"); scale > 1 {
		attention = math.Sqrt(1 + math.Log(scale)/math.Log(original))
	}
	attention = p.number(attention, "attention_factor")
	d.add("rope.scaling.attn_factor", gguf.Float(attention))
	d.factors("rope_factors_long.weight", long)
	d.factors("rope_factors_short.weight", short)
	if positions > original {
		d.note("llama.cpp turns every text by long_factor if its context (-c) is longer than %g tokens, and by short_factor if not; the model goes by the length of the text", original)
	}
	return nil
}

func describeLlama(d *description) error {
	if window := d.keys.whole("sliding_window"); window > 0 && window < d.keys.whole("max_position_embeddings") {
		d.note("llama.cpp lets every token see all before it, where the model sees the last %d: longer texts will differ", window)
	}
	return d.rotary("linear", "llama3", "yarn")
}

func describeGranite(d *description) error {
	for _, s := range []struct {
		key, name string
		without   float64
	}{
		{"attention.scale", "attention_multiplier", 1}, {"embedding_scale", "embedding_multiplier", 1},
		{"residual_scale", "residual_multiplier", 1}, {"logit_scale", "logits_scaling", 1},
	} {
		d.add(s.key, gguf.Float(d.keys.number(s.without, s.name)))
	}
	return d.rotary("linear", "llama3", "yarn")
}

func describeQwen(d *description) error {
	if d.keys.flag(false, "use_sliding_window") {
		return fmt.Errorf("use_sliding_window is true, which llama.cpp's %s does not know", d.arch)
	}
	return d.rotary("linear", "yarn")
}

func describeGemma(d *description) error { return d.rotary("linear") }

// windows adds the attention of Gemma 2 and 3, where all layers but each n-th see a window.
func (d *description) windows(n int) error {
	window := d.keys.whole("sliding_window")
	d.add("attention.sliding_window", gguf.Uint(uint32(window)))
	_, _, width := d.keys.heads()
	if scalar := d.keys.number(float64(width), "query_pre_attn_scalar"); scalar != float64(width) && d.keys.whole("num_hidden_layers") != map[int]int{2: 46, 6: 62}[n] {
		return fmt.Errorf("query_pre_attn_scalar is %g, where llama.cpp's %s divides by the root of head_dim, %d", scalar, d.arch, width)
	}
	var kinds []string
	if !d.keys.has(&kinds, "layer_types") {
		n = int(d.keys.number(float64(n), "sliding_window_pattern"))
		for i := range d.keys.whole("num_hidden_layers") {
			kinds = append(kinds, map[bool]string{true: "full_attention", false: "sliding_attention"}[(i+1)%n == 0])
		}
	}
	usual, flags := true, make([]bool, len(kinds))
	for i, kind := range kinds {
		flags[i] = kind == "sliding_attention"
		usual = usual && flags[i] == ((i+1)%map[string]int{"gemma2": 2, "gemma3": 6}[d.arch] != 0)
	}
	if !usual {
		d.add("attention.sliding_window_pattern", gguf.Flags(flags...))
	}
	return nil
}

func describeGemma2(d *description) error {
	d.add("attn_logit_softcapping", gguf.Float(d.keys.number(50, "attn_logit_softcapping")))
	d.add("final_logit_softcapping", gguf.Float(d.keys.number(30, "final_logit_softcapping")))
	for _, key := range []string{"attn_logit_softcapping", "final_logit_softcapping"} {
		if raw := d.keys[key]; string(raw) == "null" {
			return fmt.Errorf("%s is null, but llama.cpp's gemma2 always caps", key)
		}
	}
	if err := d.windows(2); err != nil {
		return err
	}
	return d.rotary("linear")
}

func describeGemma3(d *description) error {
	if v := d.keys.number(0, "final_logit_softcapping"); v > 0 {
		d.add("final_logit_softcapping", gguf.Float(v))
	}
	if d.keys.number(0, "attn_logit_softcapping") > 0 {
		return fmt.Errorf("attn_logit_softcapping is set, which llama.cpp's gemma3 does not know")
	}
	if err := d.windows(6); err != nil {
		return err
	}
	_, window := d.keys.rope()
	d.add("rope.freq_base_swa", gguf.Float(window.number(10000, "rope_theta")))
	return d.rotary("linear")
}

func describePhi3(d *description) error {
	window := d.keys.whole("sliding_window")
	d.add("attention.sliding_window", gguf.Uint(uint32(window)))
	if window > 0 && window < d.keys.whole("max_position_embeddings") {
		d.note("llama.cpp lets every token see all before it, where the model sees the last %d: longer texts will differ", window)
	}
	full, _ := d.keys.rope()
	original := full.number(d.keys.number(0, "max_position_embeddings"), "original_max_position_embeddings")
	d.add("rope.scaling.original_context_length", gguf.Uint(uint32(original)))
	return d.rotary("longrope", "su")
}

// untied refuses a head that is the embedding, where llama.cpp wants a tensor of its own.
func (d *description) untied() error {
	if d.keys.flag(false, "tie_word_embeddings") {
		return fmt.Errorf("the head is tied to the embedding, which llama.cpp's %s does not know", d.arch)
	}
	return nil
}

func describeOLMo2(d *description) error {
	if err := d.untied(); err != nil {
		return err
	}
	return d.rotary("linear", "yarn")
}

// describeGLM describes GLM-4 of 2024, whose keys llama.cpp's converter takes from the
// files of ChatGLM.
//
// Differs from the converter, which writes for files of transformers' GlmForCausalLM the
// width as context_length, 1e-5 as the epsilon of norms, and a rotary base of 10000.
func describeGLM(d *description) error {
	if heads, _, width := d.keys.heads(); heads*width != d.keys.whole("hidden_size") {
		return fmt.Errorf("%d heads of %d numbers are not hidden_size, %d, as they are in llama.cpp's chatglm", heads, width, d.keys.whole("hidden_size"))
	}
	return d.rotary()
}

func describeGLM4(d *description) error { return d.rotary() }

func describeGPT2(d *description) error {
	if !d.keys.flag(true, "scale_attn_weights") {
		return fmt.Errorf("scale_attn_weights is false, which llama.cpp's gpt2 does not know")
	}
	return nil
}

func describeNeoX(d *description) error {
	if err := d.untied(); err != nil {
		return err
	}
	d.add("use_parallel_residual", gguf.Flag(d.keys.flag(true, "use_parallel_residual")))
	return d.rotary("linear")
}
