package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gotune/data"
	"gotune/model"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "4GiB": 4 << 30, "1.5 GiB": 3 << 29, "800MB": 800_000_000, "64KiB": 64 << 10, "1000": 1000, "7B": 7,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"four", "-1GiB", "0", "4 gigs", "NaN", "1e30GiB"} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), "max_memory") {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
}

func TestParseCheckpointing(t *testing.T) {
	for _, policy := range []string{"none", "blocks", "blocks:3"} {
		blocks, err := parseCheckpointing(policy)
		if got := checkpointing(blocks, 30); err != nil || got != policy {
			t.Errorf("%s became %s, %v", policy, got, err)
		}
	}
	for _, policy := range []string{"", "all", "blocks:", "blocks:0", "blocks:-1", "blocks:x"} {
		if _, err := parseCheckpointing(policy); err == nil {
			t.Errorf("%q is a policy", policy)
		}
	}
}

// By hand: 1,000 tokens in two micro-batches, a quarter of the blocks computed twice.
// With an adapter that is 1000·(1 + ½·¼) + 2·28, with all weights 1000·(1 + ⅓·¼) + 2·28.
func TestTimeOfAFit(t *testing.T) {
	f := fit{blocks: 2, extent: extent{steps: 1, tokens: 1000, micros: 2}}
	if got := f.time(8, false); got != 1181 {
		t.Errorf("an adapter: %g", got)
	}
	if got := f.time(8, true); got < 1139.3 || got > 1139.4 {
		t.Errorf("all weights: %g", got)
	}
}

// fitted reads the tiny recipe's inputs and fits it into what it needs by itself and
// a change to that, in bytes.
func fitted(t *testing.T, r Recipe, limit func(least, most Memory) int64) (Recipe, *inputs, error) {
	t.Helper()
	in, err := read(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w, err := in.fitter(in.stages[0], r)
	if err != nil {
		t.Fatal(err)
	}
	rows := r.BatchSize * r.GradientAccumulationSteps
	most, err := w.at(rows, 1, in.stages[0].feed.extent(r.MaxSteps, rows, 1), 0)
	if err != nil {
		t.Fatal(err)
	}
	least, err := w.at(1, rows, in.stages[0].feed.extent(r.MaxSteps, 1, rows), in.config.Layers)
	if err != nil {
		t.Fatal(err)
	}
	r.MaxMemory = strconv.FormatInt(limit(least.memory, most.memory), 10)
	r, err = in.fit(t.Context(), r)
	return r, in, err
}

func TestFit(t *testing.T) {
	r := tinyRecipe(t)
	r.Eval = false
	// With room for everything all rows go at once, and nothing is computed twice.
	got, _, err := fitted(t, r, func(_, most Memory) int64 { return most.Total() })
	if err != nil || got.BatchSize != 8 || got.GradientAccumulationSteps != 1 || got.GradientCheckpointing != "none" {
		t.Errorf("with room: %d×%d, %s, %v", got.GradientAccumulationSteps, got.BatchSize, got.GradientCheckpointing, err)
	}
	// With hardly any each row goes by itself.
	got, in, err := fitted(t, r, func(least, _ Memory) int64 { return least.Total() })
	if err != nil || got.BatchSize != 1 || got.GradientAccumulationSteps != 8 || got.GradientCheckpointing != "blocks" {
		t.Errorf("with none: %d×%d, %s, %v", got.GradientAccumulationSteps, got.BatchSize, got.GradientCheckpointing, err)
	}
	if s := in.stages[0]; s.recipe.BatchSize != 1 || s.recipe.GradientCheckpointing != "blocks" {
		t.Errorf("the stage has %d rows, %s", s.recipe.BatchSize, s.recipe.GradientCheckpointing)
	}
	step, err := in.stages[0].feed.step(t.Context(), 0)
	if err != nil || step.MicroBatches() != 8 {
		t.Errorf("a step has %d micro-batches, %v", step.MicroBatches(), err)
	}
	// A choice of the recipe's own stands, and is refused where it does not fit.
	r.GradientCheckpointing = "none"
	_, _, err = fitted(t, r, func(least, _ Memory) int64 { return least.Total() })
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "it would with batch_size 1, gradient_accumulation_steps 8 and gradient_checkpointing blocks") {
		t.Errorf("none in little room: %v", err)
	}
	r.GradientCheckpointing = "auto"
	_, _, err = fitted(t, r, func(least, _ Memory) int64 { return least.Total() - 1 })
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "the least it needs is") || !strings.Contains(err.Error(), "base_precision bf16 would fit") {
		t.Errorf("too little room: %v", err)
	}
	// All weights are float32 if they are trained.
	full := r
	full.Full = true
	_, _, err = fitted(t, full, func(least, _ Memory) int64 { return least.Total() - 1 })
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "shorter rows") {
		t.Errorf("too little room for all weights: %v", err)
	}
	_, _, err = fitted(t, r, func(least, _ Memory) int64 { return least.Total() - 2*least.Activations })
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "are not for activations") {
		t.Errorf("no room for the model: %v", err)
	}
}

// A run writes down what was chosen, and the recipe that it leaves chooses nothing
// and gives the same bytes.
func TestChoiceIsRecorded(t *testing.T) {
	r := tinyRecipe(t)
	r.MaxMemory = "64GiB"
	r.BatchSize, r.GradientAccumulationSteps = 2, 4
	run, _ := runRecipe(t, r)
	again := DefaultRecipe()
	if err := again.ReadFile(filepath.Join(run, recipeName)); err != nil {
		t.Fatal(err)
	}
	if again.BatchSize != 8 || again.GradientAccumulationSteps != 1 || again.GradientCheckpointing != "none" || again.MaxMemory != "64GiB" {
		t.Errorf("recorded: %d×%d, %s, %s", again.GradientAccumulationSteps, again.BatchSize, again.GradientCheckpointing, again.MaxMemory)
	}
	repeated, _ := runRecipe(t, again)
	sameTensors(t, "the recipe with the choice", run, repeated)
}

// The plan of a recipe is that of its run, and a few steps tell the time.
func TestPlan(t *testing.T) {
	r := tinyRecipe(t)
	r.EvalData = r.Data
	p, err := MakePlan(context.Background(), PlanConfig{Recipe: r, Probe: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Steps != 10 || len(p.Stages) != 1 || p.GradientCheckpointing != "none" || p.Seconds <= 0 || p.Stages[0].StepSeconds <= 0 {
		t.Errorf("%+v", p)
	}
	// Of the model by hand: 300·32 for the embedding, three norms of 32 for two layers
	// and one more, q and o of 32×32, k and v of 16×32, and three of 48×32.
	if n := 300*32 + 5*32 + 2*(2*32*32+2*16*32+3*48*32); p.Parameters != n || p.Memory.Weights != int64(4*n) {
		t.Errorf("%d parameters in %d bytes, want %d", p.Parameters, p.Memory.Weights, n)
	}
	// q, k, v, up and down at rank 4.
	if n := int64(2 * 4 * (64 + 2*48 + 2*80)); p.Trainable != n || p.Memory.Adapter != 4*n || p.Memory.Gradients != 4*n || p.Memory.Optimizer != 8*n {
		t.Errorf("%d trained, %+v", p.Trainable, p.Memory)
	}
	if p.Memory.Activations <= 0 || p.Memory.Generation <= 0 || p.Total != p.Memory.Total() {
		t.Errorf("%+v", p)
	}
	small, err := MakePlan(context.Background(), PlanConfig{Recipe: r, Shape: "base"})
	if err != nil || small.Parameters < 900_000 || small.Seconds != 0 {
		t.Errorf("a shape: %+v, %v", small, err)
	}
}

func TestExtentTakesTheLargest(t *testing.T) {
	var e extent
	seen := make(map[data.Shape]bool)
	for _, s := range []data.Shape{{Rows: 2, Length: 64, Targets: 100}, {Rows: 3, Length: 64, Targets: 10}, {Rows: 3, Length: 64, Targets: 20}, {Rows: 1, Length: 32, Targets: 5}} {
		e.add(s, seen)
	}
	// 10 and 20 targets are one program.
	if want := (extent{largest: data.Shape{Rows: 3, Length: 64, Targets: 100}, shapes: 3, tokens: 544, micros: 4}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
}

// A stage's frozen weights are counted as they will lie in its file: as in the model's,
// but for what a stage before has merged, which is float32.
func TestPlanCountsWhatAStageWrites(t *testing.T) {
	r := tinyRecipe(t)
	m, err := model.Load(t.Context(), os.DirFS(r.Model), r.Model)
	if err != nil {
		t.Fatal(err)
	}
	halves := filepath.Join(t.TempDir(), "bf16")
	if err := os.CopyFS(halves, os.DirFS(r.Model)); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(halves, model.BF16); err != nil {
		t.Fatal(err)
	}
	r.Model, r.Eval = halves, false
	weights := func(r Recipe, index int) int64 {
		in, err := read(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer in.close()
		outline, err := in.outline(in.stages[index], r.plan()[index], model.BaseAuto)
		if err != nil {
			t.Fatal(err)
		}
		return outline.Bytes()
	}
	first, second := r.Stage, r.Stage
	first.Name, second.Name = "first", "second"
	r.Stages = []Stage{first, second}
	if w := weights(r, 0); w > m.Bytes()/2+4*5*32 {
		t.Errorf("bf16 takes %d bytes, float32 %d", w, m.Bytes())
	}
	for previous, want := range map[string]int64{"keep": weights(r, 0), "fresh": weights(r, 0), "merge": m.Bytes()} {
		r.Stages[1].PreviousAdapter = previous
		if got := weights(r, 1); got != want {
			t.Errorf("%s: %d bytes, want %d", previous, got, want)
		}
	}
}
