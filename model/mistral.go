package model

import "encoding/json"

// The Mistral family: a Llama whose tokens attend to the last few alone (Jiang et al.
// 2023, arXiv:2310.06825; names as in transformers' MistralForCausalLM).

var mistralFamily = architecture{
	parse: parseMistral, file: mistralFile, validate: validateLlama,
	weights: llamaWeights, hidden: llamaHidden, head: decoderHead, embedding: decoderEmbedding,
}

// mistralConfig is a config.json of the family.
type mistralConfig struct {
	decoderConfig
	SlidingWindow *int `json:"sliding_window"` // null is none
}

func parseMistral(raw []byte, keys map[string]json.RawMessage) (Config, error) {
	window, kvHeads := 4096, 8
	f := mistralConfig{decoderDefaults(), &window}
	f.MaxPositions, f.KVHeads = 131072, &kvHeads
	if err := decode(raw, keys, &f, nil, nil); err != nil {
		return Config{}, err
	}
	c, err := f.config()
	return c, firstError(err, c.windows(f.SlidingWindow, nil))
}

func mistralFile(c Config) (any, error) {
	f, err := decoderFile(c)
	return mistralConfig{f, c.window()}, err
}
