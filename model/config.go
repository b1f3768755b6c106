package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"gotune/internal/hf"
)

// Config is a model's config.json. The names are those of transformers' Llama;
// on disk each family has keys of its own, and fields that a family does not
// have are zero. Sizes are counts of elements; RMSNormEps is added to the mean
// square, LayerNormEps to the variance.
type Config struct {
	ModelType         string
	Architectures     []string
	VocabSize         int
	HiddenSize        int
	IntermediateSize  int
	Layers            int
	Heads             int
	KVHeads           int
	HeadDim           int
	HiddenAct         string
	MaxPositions      int
	InitializerRange  float64
	RMSNormEps        float64
	LayerNormEps      float64
	TieWordEmbeddings bool
	AttentionBias     bool
	MLPBias           bool
	BOS               *int
	EOS               tokenIDs
	Pad               *int
	TorchDType        string
	Dropouts          Dropouts

	// SerialResidual says of GPT-NeoX that the feed-forward reads what attention has
	// been added to, and not the same input as attention.
	SerialResidual bool

	Rope Rope
	// LocalRope is that of the layers with a window in Gemma 3, and without Theta in others.
	LocalRope Rope
	// SlidingWindow is how many tokens one attends to in the layers that LayerTypes
	// calls sliding_attention, or in all of them without; 0 is all tokens. See
	// [Config.Window].
	SlidingWindow int
	LayerTypes    []string

	// Multipliers, where 0 stands for what most families do: 1, and for the scores of
	// attention one over the root of HeadDim.
	AttentionScale      float64 // of scores
	EmbeddingMultiplier float64 // of looked up embeddings
	ResidualMultiplier  float64 // of what a layer adds to the residual stream
	LogitsDivisor       float64 // of logits

	// Caps: a score of attention or a logit x becomes cap·tanh(x/cap); 0 is none.
	AttentionCap, LogitsCap float64
}

// Dropouts are the probabilities that a family's config.json gives to other
// trainers. They are kept and written again; gotune trains without dropout in the
// base, whatever they are.
type Dropouts struct{ Residual, Embedding, Attention float64 }

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

// ParseConfig reads a config.json. A key that would change the model and is not
// understood is an error that names it. The spellings of transformers 4
// (rope_theta, torch_dtype) and 5 (rope_parameters, dtype) are both read.
func ParseConfig(raw []byte) (Config, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return Config{}, fmt.Errorf("not a JSON object: %w", err)
	}
	var family struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(raw, &family); err != nil {
		return Config{}, err
	}
	arch, err := find(family.ModelType)
	if err != nil {
		return Config{ModelType: family.ModelType}, err
	}
	c, err := arch.parse(raw, keys)
	if err != nil {
		return c, err
	}
	if keys["dtype"] != nil && c.TorchDType == "" {
		_ = json.Unmarshal(keys["dtype"], &c.TorchDType) // only for show
	}
	return c, c.validate()
}

// find looks an architecture up.
func find(modelType string) (architecture, error) {
	arch, ok := architectures[modelType]
	if !ok {
		return arch, fmt.Errorf("key \"model_type\" is %q, which is not supported (supported: %s)", modelType, strings.Join(slices.Sorted(maps.Keys(architectures)), ", "))
	}
	return arch, nil
}

// harmless lists keys of config.json that change nothing in the computation of
// loss and logits, or repeat what other keys say.
var harmless = map[string]bool{
	"_name_or_path": true, "transformers_version": true, "use_cache": true, "dtype": true,
	"transformers.js_config": true, "chunk_size_feed_forward": true, "output_attentions": true, "output_hidden_states": true,
	"return_dict": true, "auto_map": true, "unsloth_fixed": true, "id2label": true, "label2id": true, "problem_type": true, "tokenizer_class": true,
}

// neutral lists keys with the only value, beside null, that is understood.
var neutral = map[string]string{
	"pretraining_tp": "1", "is_encoder_decoder": "false", "quantization_config": "null",
}

// checkKeys refuses the keys of a config.json that are not in the struct that holds
// it, nor among the harmless or neutral ones of all families or of its own.
func checkKeys(keys map[string]json.RawMessage, holder any, ownHarmless map[string]bool, ownNeutral map[string]string) error {
	known := make(map[string]bool)
	for _, f := range reflect.VisibleFields(reflect.TypeOf(holder)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := strings.TrimSpace(string(keys[key]))
		want, special := neutral[key]
		if own, ok := ownNeutral[key]; ok {
			want, special = own, true
		}
		switch {
		case known[key], value == "null":
		case special && !sameJSON(value, want):
			return fmt.Errorf("key %q is %s, which would change the model and is not supported (supported: %s)", key, value, want)
		case special, harmless[key], ownHarmless[key]:
		default:
			return fmt.Errorf("key %q (%s) is not known and might change the model; remove it if it does not", key, value)
		}
	}
	return nil
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && x == y
}

// A size is a count in a config.json, which must be between 1 and most.
type size struct {
	key         string
	value, most int
}

// The largest sizes that are believed.
const (
	mostTokens    = 1 << 24
	mostWidth     = 1 << 20
	mostLayers    = 1 << 12
	mostHeads     = 1 << 12
	mostPositions = 1 << 24
)

func checkSizes(sizes ...size) error {
	for _, s := range sizes {
		if s.value < 1 || s.value > s.most {
			return fmt.Errorf("key %q is %d; it must be between 1 and %d", s.key, s.value, s.most)
		}
	}
	return nil
}

func (c Config) validate() error {
	arch, err := find(c.ModelType)
	if err != nil {
		return err
	}
	return arch.validate(c)
}

// LoadConfig reads config.json of a model folder. The name is for messages.
func LoadConfig(src fs.FS, name string) (Config, error) {
	raw, err := fs.ReadFile(src, "config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("model %s: the folder has no config.json; a model folder holds %s: %w", name, hf.ModelFiles, err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("model %s: reading config.json: %w", name, err)
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return c, fmt.Errorf("model %s: config.json: %w", name, err)
	}
	return c, nil
}

// JSON returns the config as the text of a config.json of its family.
func (c Config) JSON() ([]byte, error) {
	arch, err := find(c.ModelType)
	if err != nil {
		return nil, err
	}
	file, err := arch.file(c)
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(file, "", "  ")
	return append(b, '\n'), err
}

// MarshalJSON writes the config as a config.json of its family.
func (c Config) MarshalJSON() ([]byte, error) { return c.JSON() }

// attentionScale is what scores are multiplied by.
func (c Config) attentionScale() float64 {
	return orElse(c.AttentionScale, 1/math.Sqrt(float64(c.HeadDim)))
}
