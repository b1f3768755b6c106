package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/internal/exec"
	"gotune/internal/hf"
	"gotune/internal/kernel"
	"gotune/model"
	"gotune/tokenizer"
)

// Faults that other trainers have had, each with the test that would catch it; more
// of them are in the package data.

// gradients takes the first step of a recipe, with a rate of 0, and returns the
// gradient of every parameter.
func gradients(t *testing.T, r Recipe) map[string][]float32 {
	t.Helper()
	in, err := read(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	team := kernel.NewTeam(1)
	defer team.Close()
	j := &job{inputs: in, recipe: r, team: team, arena: exec.NewArena(team)}
	if err := j.prepare(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	step, err := j.stage.feed.step(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.stepper.Step(step, 0, 0); err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]float32)
	for _, p := range j.stepper.options.Parameters {
		all[p.Name] = p.Grad
	}
	return all
}

// weighted writes conversations whose turns have weights of their own.
func weighted(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"What is %d?"},{"role":"assistant","content":"It%s.","weight":%g}]}`+"\n",
			i, strings.Repeat(" is so", i%3), []float64{1, 0.25, 2}[i%3])
	}
	path := filepath.Join(t.TempDir(), "weighted.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Gradient accumulation that averages the means of micro-batches weighs tokens by
// their neighbours. Here any split of a step into micro-batches, of any size,
// padded or packed, in any order, has the same gradient to rounding: within 32
// units in the last place of float32 of the largest element of a parameter's.
func TestAnySplitHasTheSameGradient(t *testing.T) {
	const bound = 32 * 0x1p-23
	r := rand.New(rand.NewPCG(3, 5))
	base := tinyRecipe(t)
	for trial := range 6 {
		n := 3 + r.IntN(7)
		one := base
		one.Full, one.Shuffle = trial%2 == 0, false
		if one.Data = Paths(tinyRows(t, n)); trial%3 == 2 {
			one.Data = Paths(weighted(t, n))
		}
		one.BatchSize = n
		want := gradients(t, one)
		for range 3 {
			split := one
			split.BatchSize = 1 + r.IntN(n)
			split.GradientAccumulationSteps = (n + split.BatchSize - 1) / split.BatchSize
			split.Packing, split.Shuffle, split.Seed = r.IntN(2) == 0, r.IntN(2) == 0, one.Seed
			for name, g := range gradients(t, split) {
				largest := 0.0
				for _, v := range want[name] {
					largest = max(largest, math.Abs(float64(v)))
				}
				for i, v := range g {
					if off := math.Abs(float64(v - want[name][i])); !(off <= bound*largest) {
						t.Fatalf("%d rows, full %t, %d×%d, packing %t: %s[%d] is %g, want %g (largest %g)",
							n, one.Full, split.BatchSize, split.GradientAccumulationSteps, split.Packing, name, i, v, want[name][i], largest)
					}
				}
			}
		}
	}
}

// wide is the tiny model with a vocabulary whose logits would outweigh all else.
func wide(t *testing.T, vocabulary int, change func(*model.Model)) string {
	t.Helper()
	tok, err := tokenizer.LoadFile(tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	c := model.Config{
		ModelType: "llama", HiddenAct: "silu", VocabSize: vocabulary, HiddenSize: 16, IntermediateSize: 16, Layers: 1, Heads: 2, KVHeads: 2,
		HeadDim: 8, MaxPositions: 64, InitializerRange: 0.2, RMSNormEps: 1e-5, Rope: model.Rope{Theta: 10000}, TieWordEmbeddings: true,
	}
	m, err := model.New(WithTokenizer(c, tok), 3)
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	dir := filepath.Join(t.TempDir(), "wide")
	if err := errors.Join(m.Save(dir, hf.F32), tok.Save(dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// An evaluation that keeps the logits of all its rows needs more memory than the
// training did. Neither keeps them here: all that a batch needs is a small part of
// its logits alone.
func TestEvaluationKeepsNoLogits(t *testing.T) {
	const vocabulary = 100_000
	r := tinyRecipe(t)
	r.Model, r.EvalData = wide(t, vocabulary, func(*model.Model) {}), r.Data
	in, err := read(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{inputs: in, recipe: r, arena: exec.NewArena(nil)}
	if err := j.prepare(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.evaluator.Compile(in.eval); err != nil {
		t.Fatal(err)
	}
	batches, err := in.eval.Batches(evalBatches)
	if err != nil {
		t.Fatal(err)
	}
	shape := batches.Plan(0).Step(0).Shape(0)
	if logits := int64(shape.Rows*shape.Length) * vocabulary * 4; j.arena.Bytes()*2 > logits {
		t.Errorf("evaluating %+v takes %d bytes, the logits of its tokens are %d", shape, j.arena.Bytes(), logits)
	}
}

// A log that leaves out what is no number shows a run that looks well. Here a run
// stops, in training and in evaluation, and names the row.
func TestNoNumberIsHidden(t *testing.T) {
	r := tinyRecipe(t)
	r.Model = wide(t, 300, func(m *model.Model) { m.Weights["model.norm.weight"].Data[3] = float32(math.NaN()) })
	for name, change := range map[string]func(*Recipe){
		"step 1: the loss is NaN, first in ":                func(r *Recipe) { r.Eval = false },
		"after step 0: evaluating " + r.Data[0].Path + ":1": func(r *Recipe) { r.EvalData = r.Data },
	} {
		one := r
		change(&one)
		one.Output = filepath.Join(t.TempDir(), "run")
		var s silent
		if _, err := Run(context.Background(), one, &s); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want …%s…", err, name)
		}
		if raw, err := os.ReadFile(filepath.Join(one.Output, metricsName)); err != nil || len(raw) > 0 {
			t.Errorf("%s is logged, %v", raw, err)
		}
		if len(s.steps)+len(s.evals) > 0 {
			t.Errorf("shown: %+v %+v", s.steps, s.evals)
		}
	}
}

// Where no gradient reaches what is trained the loss stays flat. The run stops and
// says so.
func TestFlatLossIsExplained(t *testing.T) {
	r := tinyRecipe(t)
	r.Model = wide(t, 300, func(m *model.Model) { clear(m.Weights["model.norm.weight"].Data) })
	_, err := Run(context.Background(), r, &silent{})
	if err == nil {
		t.Fatal("the run went on")
	}
	for _, want := range []string{"step 3: the gradients are 0 for three steps in a row", "rows are " + r.Data[0].Path, "lora_targets"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

// A rate of 0 leaves everything as it is, which is said before the first step.
func TestNoRateIsSaid(t *testing.T) {
	r := tinyRecipe(t)
	r.LearningRate, r.MaxSteps = 0, 1
	var h header
	if _, err := Run(t.Context(), r, &h); err != nil || !slices.Contains(h.Warnings, "learning_rate is 0: nothing that is trained will change") {
		t.Errorf("notes %q, %v", h.Warnings, err)
	}
}

// A rate far too high makes the norm explode: the run stops and names step,
// parameter and rows. The checkpoint that it names as good is from before.
func TestExplodingRunStops(t *testing.T) {
	r := tinyRecipe(t)
	r.Full, r.SaveSteps, r.MaxSteps, r.MaxGradNorm = true, 1, 200, 0
	r.Optimizer, r.Schedule, r.WarmupSteps, r.LearningRate = "sgd", "constant", 90, 3
	var s silent
	_, err := Run(context.Background(), r, &s)
	if err == nil {
		t.Fatal("the run went on")
	}
	last := len(s.steps) - watchInARow + 1 // the two spikes before the last are shown
	good := (&folder{path: r.Output}).checkpoint(last)
	for _, want := range []string{
		fmt.Sprintf("step %d: the norm of the gradients explodes: it is ", len(s.steps)+1), "the largest gradient is that of model.",
		"rows are " + r.Data[0].Path, "the last good state is " + good + ".",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(good, "model.safetensors")); err != nil {
		t.Error(err)
	}
	if _, again := Resume(t.Context(), r.Output, 0, &silent{}); again == nil || again.Error() != err.Error() {
		t.Errorf("from the last good state it ends otherwise: %v", again)
	}
	if norm := s.steps[last-1].GradNorm; norm > 1000 {
		t.Errorf("the step before the state that is called good had a norm of %g", norm)
	}
}

// Questions answered by generation are compared as texts. A model that has learned
// its rows by heart answers them all, one that has not answers none.
func TestAnswersByGeneration(t *testing.T) {
	r := tinyRecipe(t)
	r.Data = Paths(tinyRows(t, 4))
	r.EvalData, r.EvalSteps, r.EvalGenerate, r.MaxSteps, r.Full = r.Data, 20, 4, 60, true
	_, s := runRecipe(t, r)
	var when []string
	for _, e := range s.evals {
		when = append(when, fmt.Sprint(e.When, " ", e.Step))
		if e.GeneratedMatch == nil || len(e.Answers) == 0 {
			t.Fatalf("%+v", e)
		}
		right := 0
		for _, a := range e.Answers {
			if !strings.HasPrefix(a.Question, "What is") || !strings.HasPrefix(a.Want, " It is") {
				t.Errorf("%+v", a)
			}
			if a.Got == a.Want {
				right++
			}
		}
		switch e.When {
		case "before":
			if *e.GeneratedMatch != 0 || right != 0 {
				t.Errorf("before: %g, %d right", *e.GeneratedMatch, right)
			}
		case "after":
			if *e.GeneratedMatch != 1 || right != len(e.Answers) {
				t.Errorf("after: %g, %+v", *e.GeneratedMatch, e.Answers)
			}
		}
	}
	if want := []string{"before 0", "during 20", "during 40", "after 60"}; !slices.Equal(when, want) {
		t.Errorf("evaluated %v, want %v", when, want)
	}
}

// NEFTune adds noise in training alone: the same row has another loss in each step
// at a rate of 0, and evaluations have the loss of a run without.
func TestNoiseIsOfTrainingAlone(t *testing.T) {
	r := tinyRecipe(t)
	r.Data = Paths(tinyRows(t, 1))
	r.EvalData, r.BatchSize, r.MaxSteps, r.LearningRate, r.MinLRRatio = r.Data, 1, 3, 0, 0
	_, plain := runRecipe(t, r)
	r.NEFTuneNoiseAlpha = 5
	run, noisy := runRecipe(t, r)
	for i, e := range noisy.steps {
		if e.Loss == plain.steps[i].Loss || i > 0 && e.Loss == noisy.steps[i-1].Loss {
			t.Errorf("step %d: loss %g, without noise %g", i+1, e.Loss, plain.steps[i].Loss)
		}
	}
	for i, e := range noisy.evals {
		if *e.Loss != *plain.evals[i].Loss {
			t.Errorf("%s: loss %g, without noise %g", e.When, *e.Loss, *plain.evals[i].Loss)
		}
	}
	again, _ := runRecipe(t, r)
	sameTensors(t, "noise again", run, again)
}
