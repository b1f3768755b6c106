package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/data"
	"gotune/data/rows"
	"gotune/examples"
	"gotune/lora"
	"gotune/model"
	"gotune/tokenizer"
	"gotune/train"
)

// hub is a recipe of folder gsm8k and a small folder like that of its model.
type hub struct {
	recipe, folder string
	golden         hubGolden
}

// A hubGolden is what transformers and PEFT make of a folder; see golden.py.
type hubGolden struct {
	Rows           []encodedRow
	Tools          *encodedRow
	WithoutAdapter float64 `json:"without adapter"`
	Losses         []float64
	BF16, NF4      float64
}

type encodedRow struct{ IDs, Targets []int32 }

func hubs(t *testing.T) []hub {
	t.Helper()
	raw, err := os.ReadFile("gsm8k/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]hubGolden
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	all := []hub{{recipe: "smollm2-135m", folder: "smollm2"}, {recipe: "qwen2.5-0.5b", folder: "qwen2"}}
	for i := range all {
		all[i].golden = golden[all[i].folder]
	}
	return all
}

// read returns the recipe, of the small folder and rows.
func (h hub) read(t *testing.T) train.Recipe {
	t.Helper()
	r := train.DefaultRecipe()
	name := "gsm8k/" + h.recipe + ".yaml"
	raw, err := fs.ReadFile(examples.Recipes, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Parse(name, raw); err != nil {
		t.Fatal(err)
	}
	r.Model = filepath.Join("gsm8k/testdata", h.folder)
	r.Data, r.EvalData = train.Paths("gsm8k/testdata/rows.jsonl"), train.Paths("gsm8k/testdata/rows.jsonl")
	r.MaxSteps, r.BatchSize, r.GradientAccumulationSteps = 2, 4, 1 // all rows in each step
	r.Output = filepath.Join(t.TempDir(), "run")
	return r
}

// losses notes the loss of every step and what the run said of itself.
type losses struct {
	train.Silent
	header train.Header
	steps  []float64
}

func (l *losses) Start(h train.Header)   { l.header = h }
func (l *losses) Step(e train.StepEvent) { l.steps = append(l.steps, e.Loss) }

func run(t *testing.T, r train.Recipe) losses {
	t.Helper()
	var l losses
	if _, err := train.Run(context.Background(), r, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// Questions and answers become turns in the model's own template, with the ids and the
// targets of transformers; of Qwen2.5 tools and their results too.
func TestHubFoldersEncodeAsTransformers(t *testing.T) {
	for _, h := range hubs(t) {
		t.Run(h.recipe, func(t *testing.T) {
			tok, err := tokenizer.Load(os.DirFS(h.read(t).Model), h.folder)
			if err != nil {
				t.Fatal(err)
			}
			template, err := data.OpenTemplate("", tok)
			if err != nil {
				t.Fatal(err)
			}
			columns, err := rows.ParseColumns(h.read(t).Columns)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "gsm8k/testdata/rows.jsonl", columns, data.EncoderConfig{Tokenizer: tok, Template: template, MaxLength: 512}, h.golden.Rows)
			if tools := h.golden.Tools; tools != nil {
				same(t, "gsm8k/testdata/tools.jsonl", rows.Columns{}, data.EncoderConfig{Tokenizer: tok, Template: template, MaxLength: 512}, []encodedRow{*tools})
			}
		})
	}
}

func same(t *testing.T, path string, columns rows.Columns, c data.EncoderConfig, want []encodedRow) {
	t.Helper()
	encoder, err := data.NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	source, err := rows.Open(t.Context(), rows.Config{Paths: []string{path}, Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for r, err := range source.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		examples, err := encoder.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		targets := make([]int32, len(examples[0].IDs))
		for i, is := range examples[0].Target {
			if is {
				targets[i] = 1
			}
		}
		if w := want[read]; !slices.Equal(examples[0].IDs, w.IDs) || !slices.Equal(targets, w.Targets) {
			t.Errorf("%s, row %d:\nids     %v\nwant    %v\ntargets %v\nwant    %v", path, read+1, examples[0].IDs, w.IDs, targets, w.Targets)
		}
		read++
	}
	if read != len(want) {
		t.Errorf("%s: %d rows of %d", path, read, len(want))
	}
}

// A recipe's steps are those of PEFT: the losses of all rows packed into rows of 512 are
// the mean over the answers that transformers has with each row alone, and go on so
// under AdamW. With the base as in the file or widened they are the same to the bit; in
// nf4 the first is that of bitsandbytes' numbers.
func TestHubFoldersTrainAsPEFT(t *testing.T) {
	for _, h := range hubs(t) {
		t.Run(h.recipe, func(t *testing.T) {
			at := func(base, precision string) losses {
				r := h.read(t)
				r.BasePrecision, r.Precision = base, precision
				r.Adapter = filepath.Join(r.Model, "adapter")
				r.MaxSteps, r.LearningRate, r.Schedule, r.WarmupRatio, r.Eval = len(h.golden.Losses), 0.005, "constant", 0, false
				return run(t, r)
			}
			bf16, far := at("bf16", "fp32"), 0.0
			for i, want := range h.golden.Losses {
				got := bf16.steps[i]
				if far = max(far, math.Abs(got-want)); math.Abs(got-want) > 1e-5 {
					t.Errorf("step %d: loss %.7f, PEFT's %.7f", i+1, got, want)
				}
			}
			t.Logf("losses are within %.2g of PEFT's", far)
			if fp32 := at("fp32", "fp32"); !slices.Equal(fp32.steps, bf16.steps) {
				t.Errorf("losses %v with the base widened, %v as it is in the file", fp32.steps, bf16.steps)
			}
			if half := at("bf16", "bf16"); math.Abs(half.steps[0]-h.golden.BF16) > 2e-3 {
				t.Errorf("loss %.5f with products in bf16, transformers' with all in bf16 %.5f", half.steps[0], h.golden.BF16)
			}
			if nf4 := at("nf4", "fp32"); math.Abs(nf4.steps[0]-h.golden.NF4) > 1e-5 {
				t.Errorf("loss %.7f on a base in nf4, that of bitsandbytes' %.7f", nf4.steps[0], h.golden.NF4)
			}
		})
	}
}

// What is merged is a folder like the one it came from: its template and what other programs
// generate by are kept, and the head stays tied.
func TestHubFoldersMerge(t *testing.T) {
	for _, h := range hubs(t) {
		t.Run(h.recipe, func(t *testing.T) {
			from := h.read(t).Model
			m, err := model.LoadFrozen(t.Context(), os.DirFS(from), h.folder, model.BaseAuto)
			if err != nil {
				t.Fatal(err)
			}
			adapter, err := lora.Load(os.DirFS(filepath.Join(from, "adapter")), "adapter", m)
			if err != nil {
				t.Fatal(err)
			}
			merged, err := adapter.Merge(m)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := tokenizer.Load(os.DirFS(from), h.folder)
			if err != nil {
				t.Fatal(err)
			}
			to := t.TempDir()
			if err := errors.Join(merged.Save(to, model.BF16), tok.Save(to)); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"} {
				want, missing := os.ReadFile(filepath.Join(from, name))
				got, err := os.ReadFile(filepath.Join(to, name))
				if missing == nil && (err != nil || !bytes.Equal(got, want)) {
					t.Errorf("%s is not as it was: %v", name, err)
				}
			}
			again, err := model.Load(t.Context(), os.DirFS(to), "merged")
			if err != nil {
				t.Fatal(err)
			}
			if !again.Config.TieWordEmbeddings || again.Count() != m.Count() {
				t.Errorf("%d parameters, tied %t; %d before", again.Count(), again.Config.TieWordEmbeddings, m.Count())
			}
		})
	}
}

// The recipes do what they say: rows packed by 512, an adapter on every linear layer of a
// base in bf16 or nf4, evaluated before and after, and falling losses.
func TestHubRecipes(t *testing.T) {
	for _, h := range hubs(t) {
		for _, base := range []string{"bf16", "nf4"} {
			t.Run(h.recipe+"/"+base, func(t *testing.T) {
				r := h.read(t)
				if r.MaxLength != 512 || !r.Packing || !slices.Equal(r.Targets, []string{"all-linear"}) {
					t.Errorf("rows of %d, packing %t, targets %v", r.MaxLength, r.Packing, r.Targets)
				}
				r.BasePrecision, r.MaxSteps, r.LearningRate = base, 6, 0.01
				var l losses
				done, err := train.Run(t.Context(), r, &l)
				if err != nil {
					t.Fatal(err)
				}
				first, last := l.steps[0], l.steps[5]
				// nf4 rounds the base, so its loss is near that of the file.
				if near := map[string]float64{"bf16": 1e-5, "nf4": 0.05}[base]; math.Abs(first-h.golden.WithoutAdapter) > near*first {
					t.Errorf("the first loss is %.6f, that of transformers %.6f", first, h.golden.WithoutAdapter)
				}
				if last > 0.97*first || *done.After.Loss > 0.97**done.Before.Loss {
					t.Errorf("the loss went from %.4f to %.4f, held out from %.4f to %.4f", first, last, *done.Before.Loss, *done.After.Loss)
				}
				if !slices.ContainsFunc(l.header.Weights, func(s model.Stored) bool { return s.Storage == base }) {
					t.Errorf("weights are held as %v", l.header.Weights)
				}
			})
		}
	}
}
