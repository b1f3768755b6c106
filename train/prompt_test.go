package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/model"
	"gotune/tokenizer"
)

// virtualTokens are the ways in which a recipe asks for virtual tokens.
var virtualTokens = map[string]func(*Recipe){
	"prompt": func(r *Recipe) { r.PEFTType = "PROMPT_TUNING" },
	"text": func(r *Recipe) {
		r.PEFTType, r.PromptTuningInit, r.PromptTuningText = "PROMPT_TUNING", "TEXT", "What is it?"
	},
	"prefix":     func(r *Recipe) { r.PEFTType = "PREFIX_TUNING" },
	"projection": func(r *Recipe) { r.PEFTType, r.PrefixProjection, r.EncoderHiddenSize = "PREFIX_TUNING", true, 12 },
	"packed":     func(r *Recipe) { r.PEFTType, r.Packing = "PREFIX_TUNING", true },
	"streamed": func(r *Recipe) {
		r.PEFTType, r.Streaming, r.ShuffleBuffer = "PROMPT_TUNING", true, 9
	},
}

func virtualRecipe(t *testing.T, change func(*Recipe)) Recipe {
	r := tinyRecipe(t)
	r.EvalData, r.NumVirtualTokens, r.LearningRate, r.MaxSteps = r.Data, 4, 0.05, 12
	change(&r)
	return r
}

// A run of each kind learns, stops and goes on to the same bytes, and what it leaves has the
// loss that it had.
func TestVirtualTokensAreTrained(t *testing.T) {
	for name, change := range virtualTokens {
		t.Run(name, func(t *testing.T) {
			r := virtualRecipe(t, change)
			want, s := runRecipe(t, r)
			first, last := *s.evals[0].Loss, *s.evals[len(s.evals)-1].Loss
			if !(last < first-0.1) {
				t.Errorf("the loss went from %g to %g", first, last)
			}
			path := stopAt(t, r, 7)
			if _, err := Resume(context.Background(), path, 2, nil); err != nil {
				t.Fatal(err)
			}
			sameTensors(t, name, want, path)
			again := r
			again.Adapter, again.MaxSteps, again.LearningRate = filepath.Join(want, adapterName), 1, 0
			_, s = runRecipe(t, again)
			if before := *s.evals[0].Loss; before != last {
				t.Errorf("what was saved has a loss of %v, it had %v", before, last)
			}
			for _, a := range s.evals[0].Answers {
				if strings.Contains(a.Question, "<|pad|>") || a.Question == "" {
					t.Errorf("a question is %q", a.Question)
				}
			}
		})
	}
}

// The tokens of each text of a packed row are virtual ones of its own: rows that are packed
// have the loss of rows that are not.
func TestPackedVirtualTokens(t *testing.T) {
	var first []float64
	for _, packed := range []bool{false, true} {
		r := virtualRecipe(t, virtualTokens["prefix"])
		r.Packing, r.Shuffle, r.BatchSize, r.MaxSteps = packed, false, 30, 1
		_, s := runRecipe(t, r)
		first = append(first, s.steps[0].Loss)
	}
	if d := first[0] - first[1]; d > 1e-5 || d < -1e-5 {
		t.Errorf("a loss of %v apart and of %v packed", first[0], first[1])
	}
}

// An evaluation of a run's texts by the model's own functions, one by one: a text after its
// virtual tokens has the likelihood that generation gives it.
func TestVirtualTokensWhileGenerating(t *testing.T) {
	for _, name := range []string{"prompt", "projection"} {
		r := virtualRecipe(t, virtualTokens[name])
		run, s := runRecipe(t, r)
		found, err := ReadRun(run)
		if err != nil {
			t.Fatal(err)
		}
		src := os.DirFS(r.Model)
		m, err := model.Load(t.Context(), src, r.Model)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Load(src, r.Model)
		if err != nil {
			t.Fatal(err)
		}
		ad, err := LoadAdapter(os.DirFS(found.Adapter), found.Adapter, m)
		if err != nil {
			t.Fatal(err)
		}
		in, err := read(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		answers, err := Answers(t.Context(), m, ad.Project, nil, tok, in.eval, sampleAnswers)
		if err != nil {
			t.Fatal(err)
		}
		if want := s.evals[len(s.evals)-1].Answers; !slices.Equal(answers, want) {
			t.Errorf("%s: answers %v, the run had %v", name, answers, want)
		}
	}
}

func TestWrongVirtualTokens(t *testing.T) {
	for yaml, want := range map[string]string{
		"peft_type: IA3": "supported: LORA, PROMPT_TUNING, PREFIX_TUNING",
		"peft_type: PROMPT_TUNING\nlast_layers: 1":                                           "learns no layers",
		"peft_type: PREFIX_TUNING\nlayer_decay: 0.9":                                         "layer_decay has no effect",
		"peft_type: PREFIX_TUNING\nloraplus_lr_ratio: 16":                                    "loraplus_lr_ratio has no effect",
		"peft_type: PROMPT_TUNING\nprefix_projection: true":                                  "belong to PREFIX_TUNING",
		"peft_type: PROMPT_TUNING\nprompt_tuning_init: TEXT":                                 "prompt_tuning_init_text is empty",
		"peft_type: PROMPT_TUNING\nprompt_tuning_init: WORDS":                                "supported: RANDOM, SAMPLE_VOCAB, TEXT",
		"peft_type: PREFIX_TUNING\nnum_virtual_tokens: 62":                                   "at least 3 more are needed",
		"peft_type: PREFIX_TUNING\nnum_virtual_tokens: 0":                                    "num_virtual_tokens is 0",
		"stages: [{name: a, full: true}, {name: b, peft_type: PROMPT_TUNING}]":               "all stages of a recipe have as many",
		"peft_type: PROMPT_TUNING\nstages: [{name: a}, {name: b, full: true}]":               "all stages of a recipe have as many",
		"peft_type: PREFIX_TUNING\nstages: [{name: a}, {name: b, previous_adapter: merge}]":  "cannot be merged",
		"peft_type: PREFIX_TUNING\nstages: [{name: a, prefix_projection: true}, {name: b}]":  "whose prefix_projection is not saved",
		"stages: [{name: a, peft_type: PREFIX_TUNING}, {name: b, peft_type: PROMPT_TUNING}]": "describes others",
	} {
		r := tinyRecipe(t)
		err := r.Parse("recipe.yaml", []byte(yaml))
		parsed := err == nil
		if parsed {
			_, err = Run(t.Context(), r, nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) || parsed && !errors.Is(err, ErrUsage) {
			t.Errorf("%s: error %v, want one with %q", yaml, err, want)
		}
	}
}

func TestStagesKeepVirtualTokens(t *testing.T) {
	r := staged(t, `
peft_type: PREFIX_TUNING
num_virtual_tokens: 3
learning_rate: 0.05
stages:
  - {name: a, max_steps: 4}
  - {name: b, max_steps: 1, learning_rate: 0}
`)
	_, s := runRecipe(t, r)
	var ended float64
	for _, e := range s.evals {
		if e.Step == 4 {
			ended = *e.Loss
		}
	}
	if last := *s.evals[len(s.evals)-1].Loss; last != ended {
		t.Errorf("stage a ended at a loss of %v, stage b, which stood still, at %v", ended, last)
	}
}
