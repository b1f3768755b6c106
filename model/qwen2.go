package model

import "encoding/json"

// The Qwen2 family, to which Qwen2.5 belongs: a Llama with biases in the projections of
// queries, keys and values, whose upper layers may attend to the last few tokens alone
// (Yang et al. 2024, arXiv:2407.10671; names as in transformers' Qwen2ForCausalLM).

var qwen2Family = architecture{
	parse: parseQwen2, file: qwen2File, validate: validateLlama,
	weights: qwen2Weights, hidden: llamaHidden, head: decoderHead, embedding: decoderEmbedding,
}

// windowKeys say which layers of a Qwen attend to how many tokens.
type windowKeys struct {
	Use    bool     `json:"use_sliding_window"`
	Window *int     `json:"sliding_window"`
	First  int      `json:"max_window_layers,omitempty"` // the layers before it attend to all tokens
	Types  []string `json:"layer_types,omitempty"`
}

func qwenWindows() windowKeys {
	window := 4096
	return windowKeys{Window: &window, First: 28}
}

// set puts the keys into a config.
func (k windowKeys) set(c *Config) error {
	if !k.Use {
		k.Window = nil
	}
	if k.Types == nil && k.Window != nil {
		k.Types = make([]string, max(0, min(c.Layers, mostLayers)))
		for i := range k.Types {
			if k.Types[i] = fullAttention; i >= k.First {
				k.Types[i] = slidingAttention
			}
		}
	}
	return c.windows(k.Window, k.Types)
}

// windowKeys is what set undoes.
func (c Config) windowKeys() windowKeys {
	if c.SlidingWindow == 0 {
		return windowKeys{}
	}
	k := windowKeys{Use: true, Window: c.window(), Types: make([]string, c.Layers)}
	for i := range k.Types {
		if k.Types[i] = slidingAttention; c.Window(i) == 0 {
			k.Types[i] = fullAttention
			k.First = i + 1
		}
	}
	return k
}

// qwen2Config is a config.json of the family.
type qwen2Config struct {
	decoderConfig
	windowKeys
}

func parseQwen2(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	f := qwen2Config{decoderDefaults(), qwenWindows()}
	f.MaxPositions = 32768
	if err := decode(raw, keys, &f, nil, map[string]string{"use_mrope": "false"}); err != nil {
		return Config{}, err
	}
	c, err := f.config()
	return c, firstError(err, f.set(&c))
}

func qwen2File(c Config) (any, error) {
	f, err := decoderFile(c)
	return qwen2Config{f, c.windowKeys()}, err
}

func qwen2Weights(c Config) []weight {
	return decoderWeights(c, func(l *weightList, block string) {
		l.norm(block+"input_layernorm", c.HiddenSize)
		l.qkv(block+"self_attn.", c, true)
		l.linear(block+"self_attn.o_proj", c.HiddenSize, c.Heads*c.HeadDim, false)
		l.norm(block+"post_attention_layernorm", c.HiddenSize)
		l.feedForward(block+"mlp.", c)
	})
}
