package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/model"
	"gotune/optim"
	"gotune/tokenizer"
)

// From the plan of an epoch in hand to the optimizer's step done nothing is
// allocated, with two threads, dropout and accumulation.
func TestStepAllocatesNothing(t *testing.T) {
	dir := tinyModel(t)
	m, err := model.Load(context.Background(), os.DirFS(dir), dir)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.LoadFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.Open(context.Background(), data.Config{Corpora: data.Files(tinyRows(t, 20)), EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: tok}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Batches(data.BatchConfig{BatchSize: 4, AccumulationSteps: 2, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	ad, err := lora.New(lora.Config{Rank: 2, Alpha: 4, Dropout: 0.1, Targets: lora.DefaultTargets}, m, 1)
	if err != nil {
		t.Fatal(err)
	}
	team := kernel.NewTeam(2)
	defer team.Close()
	s, err := NewStepper(StepperConfig{
		Model: m, Project: ad.Project, Parameters: ad.Parameters(), Team: team, Arena: exec.NewArena(team),
		Optimizer: optim.Config{Name: "adamw", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, MaxGradNorm: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	plan, n := b.Plan(0), 0
	epoch := func() {
		for step := range b.Steps() {
			if _, err := s.Step(plan.Step(step), n, 1e-3); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	epoch() // compiles a program for each shape
	// Go may start a thread of the system meanwhile, which takes seven allocations
	// once; over fifty epochs that is none each, and one a step is three.
	if n := testing.AllocsPerRun(50, epoch); n != 0 {
		t.Errorf("%v allocations in an epoch of %d steps", n, b.Steps())
	}
}

// The metrics hold the learning rates of the schedule, worked out by hand for ten
// steps with two of warmup, a peak of 0.01 and a floor of a tenth.
func TestMetrics(t *testing.T) {
	r := tinyRecipe(t)
	r.Schedule, r.WarmupSteps, r.MinLRRatio = "linear", 2, 0.1
	run, s := runRecipe(t, r)
	want := []float64{0.005, 0.01}
	for i := 1; i <= 8; i++ {
		want = append(want, 0.001+0.009*(1-float64(i)/8))
	}
	for i, e := range s.steps {
		if math.Abs(e.LearningRate-want[i]) > 1e-12 {
			t.Errorf("step %d: learning rate %g, want %g", e.Step, e.LearningRate, want[i])
		}
	}
	raw, err := os.ReadFile(filepath.Join(run, runName))
	if err != nil {
		t.Fatal(err)
	}
	var record runRecord
	if err := json.Unmarshal(raw, &record); err != nil || record.Status != statusFinished || record.Steps != 10 {
		t.Errorf("run.json: %+v, %v", record, err)
	}
}

// Thirty rows in steps of eight: the last step of an epoch has six, and all are
// trained.
func TestLastShortBatchIsTrained(t *testing.T) {
	r := tinyRecipe(t)
	r.MaxSteps, r.Epochs, r.Shuffle = 0, 2, false
	_, s := runRecipe(t, r)
	if len(s.steps) != 8 {
		t.Fatalf("%d steps, want 2 epochs of 4", len(s.steps))
	}
	var whole int
	for _, e := range s.steps[:4] {
		whole += e.TargetTokens
	}
	r.BatchSize, r.Epochs = 30, 1
	_, one := runRecipe(t, r)
	if one.steps[0].TargetTokens != whole || s.steps[7].TargetTokens != s.steps[3].TargetTokens {
		t.Errorf("an epoch has %d target tokens in steps and %d at once", whole, one.steps[0].TargetTokens)
	}
}
