package export

import (
	"math"
	"strings"
	"testing"

	"gotune/internal/gguf"
)

// What llama.cpp 0.3.36 (its Python binding) cannot open is not written.
func TestPossible(t *testing.T) {
	const sizes = `"vocab_size": 8, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
		"max_position_embeddings": 32, "query_pre_attn_scalar": 8`
	for config, want := range map[string]string{
		`"model_type": "qwen3", "attention_bias": true`:         "attention_bias is true, which llama.cpp's qwen3 does not know",
		`"model_type": "olmo2", "attention_bias": true`:         "attention_bias is true, which llama.cpp's olmo2",
		`"model_type": "gemma", "attention_bias": true`:         "attention_bias is true, which llama.cpp's gemma ",
		`"model_type": "gemma2", "attention_bias": true`:        "attention_bias is true, which llama.cpp's gemma2",
		`"model_type": "gemma3_text", "attention_bias": true`:   "attention_bias is true, which llama.cpp's gemma3",
		`"model_type": "gemma", "tie_word_embeddings": false`:   "the head is not tied to the embedding, which llama.cpp's gemma ",
		`"model_type": "gemma2", "tie_word_embeddings": false`:  "the head is not tied to the embedding, which llama.cpp's gemma2",
		`"model_type": "gpt_neox", "attention_bias": false`:     "attention_bias is false, which llama.cpp's gptneox",
		`"model_type": "llama", "attention_bias": true`:         "",
		`"model_type": "gemma3_text", "sliding_window": 4`:      "",
		`"model_type": "gpt_neox", "tie_word_embeddings":false`: "",
	} {
		k, err := parseKeys([]byte("{" + config + ", " + sizes + "}"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = lay(k, nil, gguf.F32, "test")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", config, err, want)
		}
	}
}

// A factor that longrope's keys hold goes before the ratio of the positions, as in
// transformers.
func TestLongRopeFactor(t *testing.T) {
	for keys, factor := range map[string]float64{`"factor": 40, `: 40, ``: 2} {
		k, err := parseKeys([]byte(`{"model_type": "phi3", "vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
			"max_position_embeddings": 1024, "original_max_position_embeddings": 512,
			"rope_scaling": {"rope_type": "longrope", ` + keys + `"short_factor": [1, 2], "long_factor": [3, 4]}}`))
		if err != nil {
			t.Fatal(err)
		}
		f, err := lay(k, nil, gguf.F32, "test")
		if err != nil {
			t.Fatal(err)
		}
		got, _ := f.meta.Get("phi3.rope.scaling.attn_factor")
		if want := math.Sqrt(1 + math.Log(factor)/math.Log(512)); math.Abs(got.Float64s()[0]-want) > 1e-6 {
			t.Errorf("attn_factor is %v, want %g", got.Float64s(), want)
		}
	}
}
