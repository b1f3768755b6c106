package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Config is a model's config.json in the keys of transformers. Sizes are counts
// of elements; RMSNormEps is added to the mean square.
type Config struct {
	ModelType         string   `json:"model_type"`
	Architectures     []string `json:"architectures,omitempty"`
	VocabSize         int      `json:"vocab_size"`
	HiddenSize        int      `json:"hidden_size"`
	IntermediateSize  int      `json:"intermediate_size"`
	Layers            int      `json:"num_hidden_layers"`
	Heads             int      `json:"num_attention_heads"`
	KVHeads           int      `json:"num_key_value_heads"`
	HeadDim           int      `json:"head_dim,omitempty"`
	HiddenAct         string   `json:"hidden_act"`
	MaxPositions      int      `json:"max_position_embeddings"`
	InitializerRange  float64  `json:"initializer_range"`
	RMSNormEps        float64  `json:"rms_norm_eps"`
	RopeTheta         float64  `json:"rope_theta"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	AttentionBias     bool     `json:"attention_bias"`
	MLPBias           bool     `json:"mlp_bias"`
	BOS               *int     `json:"bos_token_id"`
	EOS               tokenIDs `json:"eos_token_id"`
	Pad               *int     `json:"pad_token_id,omitempty"`
	TorchDType        string   `json:"torch_dtype,omitempty"`
}

// tokenIDs is an id or a list of ids, as config.json has either.
type tokenIDs []int

func (t *tokenIDs) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]int)(t))
	}
	var one *int
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*t = nil
	if one != nil {
		*t = tokenIDs{*one}
	}
	return nil
}

func (t tokenIDs) MarshalJSON() ([]byte, error) {
	switch len(t) {
	case 0:
		return []byte("null"), nil
	case 1:
		return json.Marshal(t[0])
	}
	return json.Marshal([]int(t))
}

// harmless lists keys of config.json that change nothing in the computation of
// loss and logits, or repeat what other keys say.
var harmless = map[string]bool{
	"_name_or_path": true, "transformers_version": true, "use_cache": true, "dtype": true, "is_llama_config": true,
	"transformers.js_config": true, "chunk_size_feed_forward": true, "output_attentions": true, "output_hidden_states": true,
	"return_dict": true, "id2label": true, "label2id": true, "problem_type": true, "tokenizer_class": true,
}

// neutral lists keys with the only value, beside null, that is understood.
var neutral = map[string]string{
	"rope_scaling": "null", "rope_interleaved": "false", "attention_dropout": "0.0", "pretraining_tp": "1",
	"is_encoder_decoder": "false", "quantization_config": "null", "partial_rotary_factor": "1.0",
}

// ParseConfig reads a config.json. A key that would change the model and is not
// understood is an error that names it. The spellings of transformers 4
// (rope_theta, torch_dtype) and 5 (rope_parameters, dtype) are both read.
func ParseConfig(raw []byte) (Config, error) {
	c := Config{HiddenAct: "silu", InitializerRange: 0.02, RMSNormEps: 1e-6, RopeTheta: 10000, MaxPositions: 2048}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return c, fmt.Errorf("not a JSON object: %w", err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, err
	}
	own := make(map[string]json.RawMessage)
	asJSON, err := json.Marshal(Config{TorchDType: "x", HeadDim: 1, Pad: new(int), Architectures: []string{"x"}})
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(asJSON, &own); err != nil {
		return c, err
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := strings.TrimSpace(string(keys[key]))
		switch want, special := neutral[key]; {
		case key == "rope_parameters":
			if err := c.ropeParameters(keys[key]); err != nil {
				return c, err
			}
		case own[key] != nil, value == "null":
		case special && !sameJSON(value, want):
			return c, fmt.Errorf("key %q is %s, which would change the model and is not supported (supported: %s)", key, value, want)
		case special, harmless[key]:
		default:
			return c, fmt.Errorf("key %q (%s) is not known and might change the model; remove it if it does not", key, value)
		}
	}
	if keys["dtype"] != nil && c.TorchDType == "" {
		_ = json.Unmarshal(keys["dtype"], &c.TorchDType) // only for show
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		if c.HiddenSize%c.Heads != 0 {
			return c, fmt.Errorf("hidden_size (%d) is no multiple of num_attention_heads (%d), and there is no head_dim", c.HiddenSize, c.Heads)
		}
		c.HeadDim = c.HiddenSize / c.Heads
	}
	return c, c.validate()
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x == y
}

// ropeParameters reads transformers 5's spelling of the rotary embedding.
func (c *Config) ropeParameters(raw json.RawMessage) error {
	var p map[string]json.RawMessage
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("key \"rope_parameters\": %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		value := string(p[key])
		switch {
		case key == "rope_theta":
			if err := json.Unmarshal(p[key], &c.RopeTheta); err != nil {
				return fmt.Errorf("key \"rope_parameters.rope_theta\": %w", err)
			}
		case key == "rope_type" && value == `"default"`, value == "null":
		case key == "partial_rotary_factor" && sameJSON(value, "1.0"):
		default:
			return fmt.Errorf("key \"rope_parameters.%s\" is %s, which would change the model and is not supported (supported: rope_type \"default\")", key, value)
		}
	}
	return nil
}

func (c Config) validate() error {
	if _, ok := architectures[c.ModelType]; !ok {
		return fmt.Errorf("key \"model_type\" is %q, which is not supported (supported: %s)", c.ModelType, strings.Join(slices.Sorted(maps.Keys(architectures)), ", "))
	}
	for _, k := range []struct {
		key         string
		value, most int
	}{
		{"vocab_size", c.VocabSize, 1 << 24}, {"hidden_size", c.HiddenSize, 1 << 20}, {"intermediate_size", c.IntermediateSize, 1 << 20},
		{"num_hidden_layers", c.Layers, 1 << 12}, {"num_attention_heads", c.Heads, 1 << 12}, {"num_key_value_heads", c.KVHeads, 1 << 12},
		{"head_dim", c.HeadDim, 1 << 12}, {"max_position_embeddings", c.MaxPositions, 1 << 24},
	} {
		if k.value < 1 || k.value > k.most {
			return fmt.Errorf("key %q is %d; it must be between 1 and %d", k.key, k.value, k.most)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("num_attention_heads (%d) is no multiple of num_key_value_heads (%d)", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("head_dim is %d; rotary embeddings need an even width", c.HeadDim)
	case c.HiddenAct != "silu":
		return fmt.Errorf("key \"hidden_act\" is %q, which is not supported (supported: silu)", c.HiddenAct)
	case !(c.RMSNormEps > 0) || !(c.RopeTheta > 0) || !(c.InitializerRange >= 0):
		return fmt.Errorf("rms_norm_eps %g, rope_theta %g and initializer_range %g must be positive", c.RMSNormEps, c.RopeTheta, c.InitializerRange)
	}
	return nil
}

// LoadConfig reads config.json of a model folder. The name is for messages.
func LoadConfig(src fs.FS, name string) (Config, error) {
	raw, err := fs.ReadFile(src, "config.json")
	if err != nil {
		return Config{}, fmt.Errorf("model %s: reading config.json: %w", name, err)
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return c, fmt.Errorf("model %s: config.json: %w", name, err)
	}
	return c, nil
}

// JSON returns the config as the text of a config.json.
func (c Config) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(c, "", "  ")
	return append(b, '\n'), err
}
