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
	r.LoRA = DefaultRecipe().LoRA
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

// Bytes do not depend on how much is computed twice, nor on the number of threads.
func TestVirtualTokensHaveTheSameBytes(t *testing.T) {
	for name, change := range virtualTokens {
		r := virtualRecipe(t, change)
		r.Eval, r.EvalData, r.MaxSteps = false, nil, 3
		want, _ := runRecipe(t, r)
		for _, checkpointing := range []string{"blocks", "blocks:1"} {
			r.GradientCheckpointing, r.Threads = checkpointing, 3
			got, _ := runRecipe(t, r)
			sameTensors(t, name+" with "+checkpointing, want, got)
		}
	}
}

// longest is the largest number of tokens of a recipe's rows, and how many rows are kept.
func longest(t *testing.T, r Recipe) (tokens, rows int) {
	t.Helper()
	in, err := read(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	d := in.stages[0].feed.(*inMemory).data
	for i := range d.Len() {
		tokens = max(tokens, len(d.Example(i).IDs))
	}
	return tokens, d.Len()
}

// What is planned counts the virtual tokens: what is trained, and the rows that they make
// longer.
func TestPlanCountsVirtualTokens(t *testing.T) {
	text, _ := longest(t, virtualRecipe(t, func(r *Recipe) { r.NumVirtualTokens = 20 }))
	for _, kind := range []struct {
		change  func(*Recipe)
		trained int64 // of a model of 2 layers with 32 columns, of which 16 are keys
	}{
		{func(r *Recipe) { r.PEFTType, r.NumVirtualTokens = "PROMPT_TUNING", 4 }, 4 * 32},
		{func(r *Recipe) { r.PEFTType, r.NumVirtualTokens = "PREFIX_TUNING", 17 }, 17 * 2 * 2 * 16},
		{func(r *Recipe) {
			r.PEFTType, r.NumVirtualTokens, r.PrefixProjection, r.EncoderHiddenSize = "PREFIX_TUNING", 33, true, 5
		}, 33*16 + 5*16 + 5 + 64*5 + 64},
	} {
		r := virtualRecipe(t, kind.change)
		p, err := MakePlan(t.Context(), PlanConfig{Recipe: r})
		if err != nil {
			t.Fatal(err)
		}
		if p.Trainable != kind.trained || p.Memory.Adapter != 4*kind.trained || p.Memory.Gradients != 4*kind.trained {
			t.Errorf("%s: %d values are trained, want %d; memory %+v", r.PEFTType, p.Trainable, kind.trained, p.Memory)
		}
		if got, _ := longest(t, r); got != text+r.NumVirtualTokens || p.Stages[0].Largest[1] < got {
			t.Errorf("%d virtual tokens: rows have %d tokens, %d are planned for, and the text alone has %d", r.NumVirtualTokens, got, p.Stages[0].Largest[1], text)
		}
	}
}

// A row that is as long as max_length has room for its text less the virtual tokens.
func TestVirtualTokensCountInMaxLength(t *testing.T) {
	r := virtualRecipe(t, virtualTokens["prompt"])
	most, kept := longest(t, r)
	for length, dropped := range map[int]bool{most: false, most - 1: true} {
		r.MaxLength = length
		if _, rows := longest(t, r); rows < kept != dropped {
			t.Errorf("max_length %d, of which 4 are virtual: %d rows of %d", length, rows, kept)
		}
	}
}

func TestWrongVirtualTokens(t *testing.T) {
	for yaml, want := range map[string]string{
		"peft_type: IA3": "supported: LORA, PROMPT_TUNING, PREFIX_TUNING",
		"peft_type: PROMPT_TUNING\nlast_layers: 1":                                           "learns nothing in layers",
		"peft_type: PREFIX_TUNING\nlayer_decay: 0.9":                                         "layer_decay is 0.9, but PREFIX_TUNING learns nothing in layers",
		"peft_type: PREFIX_TUNING\nloraplus_lr_ratio: 16":                                    "loraplus_lr_ratio is 16, but has no meaning with peft_type PREFIX_TUNING: it belongs to LORA",
		"peft_type: PREFIX_TUNING\nlora_rank: 16":                                            "lora_rank is 16, but has no meaning with peft_type PREFIX_TUNING",
		"peft_type: PREFIX_TUNING\nuse_dora: true":                                           "use_dora is true, but has no meaning",
		"peft_type: PREFIX_TUNING\nencoder_hidden_size: 8":                                   "there is no prefix_projection",
		"peft_type: PREFIX_TUNING\nprompt_tuning_init: SAMPLE_VOCAB":                         "it belongs to PROMPT_TUNING",
		"peft_type: PROMPT_TUNING\nprefix_projection: true":                                  "it belongs to PREFIX_TUNING",
		"peft_type: PROMPT_TUNING\nprompt_tuning_init_text: x":                               "prompt_tuning_init is RANDOM",
		"num_virtual_tokens: 8":                                                              "num_virtual_tokens is 8, but has no meaning with peft_type LORA: it belongs to PROMPT_TUNING and PREFIX_TUNING",
		"prefix_projection: true":                                                            "it belongs to PREFIX_TUNING",
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
		r.LoRA = DefaultRecipe().LoRA
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
lora_rank: 8
lora_alpha: 16
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
