package model

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// shapesFile holds shapes of published models as the keys of their config.json.
//
//go:embed shapes.json
var shapesFile []byte

// published are the shapes of shapesFile.
var published = sync.OnceValues(func() (map[string]json.RawMessage, error) {
	var configs map[string]json.RawMessage
	if err := json.Unmarshal(shapesFile, &configs); err != nil {
		return nil, fmt.Errorf("shapes.json: %w", err)
	}
	return configs, nil
})

// shapes are configurations that `gotune init` and `gotune bench` know by
// name, beside those of shapesFile. The sizes of the SmolLM2, Qwen and GPT-2 shapes are those of the published models.
var shapes = map[string]Config{
	// base and base-b are the shapes of the embedded bases: the second is wider and
	// has room for adapters of higher rank.
	"base":         withInit(llama(1024, 128, 384, 4, 4, 4, 1024), 0.05),
	"base-b":       withInit(llama(1024, 256, 512, 2, 8, 8, 1024), 0.035),
	"toy":          llama(512, 128, 344, 4, 4, 4, 512),
	"gpt2-124m":    gpt2(50257, 768, 12, 12, 1024),
	"smollm2-135m": llama(49152, 576, 1536, 30, 9, 3, 2048),
	"smollm2-360m": llama(49152, 960, 2560, 32, 15, 5, 2048),
	"qwen2.5-0.5b": qwen2(llama(151936, 896, 4864, 24, 14, 2, 32768)),
	// The sizes of Qwen2-0.5B and Qwen2.5-1.5B in a Llama, which has no biases in its
	// projections: work and memory are theirs to a part in a thousand.
	"llama-qwen2-0.5b": llama(151936, 896, 4864, 24, 14, 2, 4096),
	"llama-qwen2-1.5b": llama(151936, 1536, 8960, 28, 12, 2, 4096),
}

func llama(vocab, hidden, intermediate, layers, heads, kvHeads, positions int) Config {
	return Config{
		ModelType: "llama", Architectures: []string{"LlamaForCausalLM"}, HiddenAct: "silu",
		VocabSize: vocab, HiddenSize: hidden, IntermediateSize: intermediate, Layers: layers,
		Heads: heads, KVHeads: kvHeads, HeadDim: hidden / heads, MaxPositions: positions,
		InitializerRange: 0.02, RMSNormEps: 1e-5, Rope: Rope{Theta: 10000}, TieWordEmbeddings: true, TorchDType: "float32",
	}
}

// qwen2 makes a Llama's config that of a Qwen2.5 of its sizes.
func qwen2(c Config) Config {
	c.ModelType, c.Architectures = "qwen2", []string{"Qwen2ForCausalLM"}
	c.RMSNormEps, c.Rope.Theta = 1e-6, 1e6
	return c
}

func gpt2(vocab, hidden, layers, heads, positions int) Config {
	return Config{
		ModelType: "gpt2", Architectures: []string{"GPT2LMHeadModel"}, HiddenAct: "gelu_new",
		VocabSize: vocab, HiddenSize: hidden, IntermediateSize: 4 * hidden, Layers: layers,
		Heads: heads, KVHeads: heads, HeadDim: hidden / heads, MaxPositions: positions,
		InitializerRange: 0.02, LayerNormEps: 1e-5, TieWordEmbeddings: true, TorchDType: "float32",
		Dropouts: Dropouts{Residual: 0.1, Embedding: 0.1, Attention: 0.1},
	}
}

// withInit sets the deviation of random weights.
func withInit(c Config, deviation float64) Config {
	c.InitializerRange = deviation
	return c
}

// Shape returns a named configuration.
func Shape(name string) (Config, error) {
	if c, ok := shapes[name]; ok {
		return c, nil
	}
	configs, err := published()
	if err != nil {
		return Config{}, err
	}
	raw, ok := configs[name]
	if !ok {
		return Config{}, fmt.Errorf("there is no shape %q (there are: %s, or the path of a config.json)", name, strings.Join(ShapeNames(), ", "))
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return c, fmt.Errorf("shape %s: %w", name, err)
	}
	return c, nil
}

// ShapeNames lists the names that Shape knows.
func ShapeNames() []string {
	configs, _ := published() // Shape returns the error
	names := slices.AppendSeq(slices.Collect(maps.Keys(shapes)), maps.Keys(configs))
	slices.Sort(names)
	return names
}
