package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// staged is a recipe of three stages over the tiny model.
func staged(t *testing.T, yaml string) Recipe {
	t.Helper()
	r := tinyRecipe(t)
	r.EvalData = r.Data
	r.EvalSteps, r.SaveSteps = 5, 3
	if err := r.Parse("stages.yaml", []byte(yaml)); err != nil {
		t.Fatal(err)
	}
	return r
}

const threeStages = `
stages:
  - {name: cpt, objective: cpt, full: true, max_steps: 6, learning_rate: 0.002}
  - {name: general, max_steps: 5, packing: true, lora_dropout: 0.1}
  - {name: domain, max_steps: 4, lora_dropout: 0.1, replay: 0.5}
`

func TestStagesFollowEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		yaml  string
		files []string // in the run folder
	}{
		"full, adapter, adapter kept": {threeStages, []string{"stages/1-cpt/model", "stages/2-general/adapter", "adapter"}},
		"adapter merged": {`
stages:
  - {name: a, max_steps: 3}
  - {name: b, max_steps: 3, previous_adapter: merge, lora_rank: 2}
`, []string{"stages/1-a/model", "stages/1-a/adapter", "adapter"}},
		"adapter, then all weights": {`
stages:
  - {name: a, max_steps: 3}
  - {name: b, max_steps: 3, full: true, last_layers: 1}
`, []string{"stages/1-a/model", "model"}},
		"adapter left aside": {`
stages:
  - {name: a, max_steps: 3}
  - {name: b, max_steps: 3, previous_adapter: fresh}
`, []string{"stages/1-a/adapter", "adapter"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := staged(t, c.yaml)
			run, s := runRecipe(t, r)
			for _, f := range c.files {
				if _, err := os.Stat(filepath.Join(run, filepath.FromSlash(f))); err != nil {
					t.Error(err)
				}
			}
			steps := 0
			for i, e := range s.steps {
				if e.Step != i+1 || e.Stage == "" {
					t.Errorf("step %d is %d of stage %q", i+1, e.Step, e.Stage)
				}
				steps++
			}
			want := 0
			for _, one := range r.plan() {
				want += one.MaxSteps
			}
			if steps != want {
				t.Errorf("%d steps, want %d", steps, want)
			}
			found, err := ReadRun(run)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(found.Model); err != nil {
				t.Error(err)
			}
			// The recipe that is kept does the same again.
			again := DefaultRecipe()
			if err := again.ReadFile(filepath.Join(run, recipeName)); err != nil {
				t.Fatal(err)
			}
			twin, _ := runRecipe(t, again)
			for _, part := range []string{adapterName, modelName} {
				if _, err := os.Stat(filepath.Join(run, part)); err == nil {
					sameTensors(t, "repeated", filepath.Join(run, part), filepath.Join(twin, part))
				}
			}
		})
	}
}

// A merged adapter is learned by the next stage's base: what the stage begins
// with has the loss that the one before ended with.
func TestMergedStageBeginsWhereTheOtherEnded(t *testing.T) {
	r := staged(t, `
learning_rate: 0.02
stages:
  - {name: a, max_steps: 5}
  - {name: b, max_steps: 5, previous_adapter: merge, learning_rate: 0}
`)
	_, s := runRecipe(t, r)
	var ended, last *float64
	for _, e := range s.evals {
		if e.Step == 5 {
			ended = e.Loss
		}
		last = e.Loss
	}
	if ended == nil || last == nil || *ended-*last > 1e-5 || *last-*ended > 1e-5 {
		t.Errorf("stage a ended at a loss of %v, stage b stood still at %v", *ended, *last)
	}
}

const keptOptimizerStages = `
full: true
stages:
  - {name: old, objective: cpt, max_steps: 4, learning_rate: 0.002, previous_optimizer: keep}
  - {name: new, max_steps: 4, learning_rate: 0.002, previous_optimizer: keep}
  - {name: last, full: false, max_steps: 3}
`

// Where the optimizer is kept two stages are one: of the same rows in the same order
// they end with the same bytes.
func TestKeptOptimizerIsThatOfOneStage(t *testing.T) {
	for name, keys := range map[string]string{
		"all weights": "full: true", "last layer": "full: true\nlast_layers: 1", "adapter": "full: false", "lion": "optimizer: lion", "sgd": "optimizer: sgd\nmomentum: 0.9",
		"adamw_8bit": "optimizer: adamw_8bit\nmin_8bit_size: 64", "adafactor": "optimizer: adafactor\nadafactor_beta1: 0.9\nscale_parameter: true", "muon": "optimizer: muon\nfull: true",
	} {
		t.Run(name, func(t *testing.T) {
			const plain = "\nshuffle: false\nschedule: constant\nwarmup_ratio: 0\nmax_steps: 8\n" // of four to an epoch
			one, _ := runRecipe(t, staged(t, keys+plain))
			two := func(how string) string {
				run, _ := runRecipe(t, staged(t, keys+plain+"stages: [{name: a, max_steps: 4}, {name: b, max_steps: 4, previous_optimizer: "+how+"}]"))
				return run
			}
			result := func(run string) map[string]string {
				for _, part := range []string{adapterName, modelName} {
					if dir := filepath.Join(run, part); isFolder(dir) {
						return tensors(t, dir)
					}
				}
				t.Fatalf("%s has no result", run)
				return nil
			}
			if kept := result(two("keep")); !maps.Equal(kept, result(one)) {
				t.Error("two stages with the optimizer kept end with other bytes than one")
			}
			if fresh := result(two("fresh")); maps.Equal(fresh, result(one)) {
				t.Error("with a fresh optimizer they end with the same bytes")
			}
		})
	}
}

// A run that goes on with the optimizer of another ends with the bytes of one run.
func TestOptimizerOfAnotherRun(t *testing.T) {
	const keys = "shuffle: false\nschedule: constant\nwarmup_ratio: 0\n"
	for _, full := range []bool{true, false} {
		r := staged(t, keys)
		r.Full, r.MaxSteps = full, 8 // of four to an epoch
		one, _ := runRecipe(t, r)
		r.MaxSteps = 4
		before, _ := runRecipe(t, r)
		r.PreviousRun, r.PreviousOptimizer = before, "keep"
		part := modelName
		if full {
			r.Model = filepath.Join(before, modelName)
		} else {
			r.Adapter, part = filepath.Join(before, adapterName), adapterName
		}
		after, _ := runRecipe(t, r)
		if !maps.Equal(tensors(t, filepath.Join(one, part)), tensors(t, filepath.Join(after, part))) {
			t.Errorf("full %v: two runs with the optimizer kept end with other bytes than one", full)
		}
		stopped := stopAt(t, r, 2)
		if _, err := Resume(t.Context(), stopped, 1, nil); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, "stopped and gone on with", filepath.Join(after, part), filepath.Join(stopped, part))
		r.Full, r.Adapter = !full, ""
		if _, err := Run(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "previous_run") {
			t.Errorf("full %v: the optimizer of other parameters gives %v", full, err)
		}
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Interrupted anywhere, a run of stages ends with the same bytes.
func TestStagesGoOn(t *testing.T) {
	for name, yaml := range map[string]string{"fresh optimizers": threeStages, "kept optimizer": keptOptimizerStages} {
		t.Run(name, func(t *testing.T) { stagesGoOn(t, staged(t, yaml)) })
	}
}

func stagesGoOn(t *testing.T, r Recipe) {
	t.Helper()
	want, whole := runRecipe(t, r)
	for step := 1; step < len(whole.steps); step++ {
		path := stopAt(t, r, step)
		var s silent
		if _, err := Resume(context.Background(), path, 2, &s); err != nil {
			t.Fatalf("after step %d: %v", step, err)
		}
		sameTensors(t, "stopped and not", filepath.Join(want, adapterName), filepath.Join(path, adapterName))
		a, b := losses(t, path), whole.steps
		if len(a) != len(b) {
			t.Fatalf("after step %d: metrics.jsonl has %d steps, want %d", step, len(a), len(b))
		}
		for i := range a {
			if a[i].Loss != b[i].Loss || a[i].Stage != b[i].Stage || a[i].LearningRate != b[i].LearningRate {
				t.Errorf("stopped after step %d, step %d: %+v, want %+v", step, i+1, a[i], b[i])
			}
		}
	}
}

func TestWrongStages(t *testing.T) {
	for yaml, want := range map[string]string{
		"stages: [{max_steps: 3}]":                                                                         "has no name",
		"stages: [{name: a}, {name: a}]":                                                                   `two stages are called "a"`,
		"stages: [{name: a/b}]":                                                                            "letters, digits",
		"stages: [{name: a}, {name: b, lora_rank: 2}]":                                                     "stages[1] (b) keeps the adapter of a but has other lora_* keys",
		"stages: [{name: a, replay: 0.1}]":                                                                 "there is none before the first",
		"stages: [{name: a, epochs: 0, max_steps: 0}]":                                                     "stages[0] (a): epochs and max_steps are both 0",
		"stages: [{name: a, warmup_steps: 9, max_steps: 3}]":                                               "warmup of 9 steps is longer",
		"stages: [{name: a, data: [{path: x, rows: 1, repeat: 2}]}]":                                       "x",
		"stages: [{name: a, data: [{path: \"world:chat\", rws: 1}]}]":                                      `unknown field "rws"`,
		"stages: [{name: a, full: true, last_layers: 9}]":                                                  "last_layers is 9",
		"stages: [{name: a, last_layers: 9}]":                                                              "last_layers is 9",
		"stages: [{name: a, last_layers: 1}, {name: b}]":                                                   "which has only the last 1 layers",
		"stages: [{name: a}, {name: b, use_rslora: true}]":                                                 "has other lora_* keys",
		"stages: [{name: a, param_groups: [{pattern: nothing}]}]":                                          "nothing",
		"seed: &s 1\nstages: [{name: a}]":                                                                  "anchors and aliases",
		"seed: 1\ndata: !x abc\nstages: [{name: a}]":                                                       "[2:7] tags are not used",
		"stages: [{name: a, streaming: true, max_steps: 0}]":                                               "say by max_steps",
		"stages: [{name: a, streaming: true, max_steps: 3, warmup_epochs: 1}]":                             "warmup_steps or warmup_ratio",
		"stages: [{name: a, streaming: true, max_steps: 3, data: ['-']}]":                                  "standard input can be read once",
		"load_best_model_at_end: true\neval: false\nstages: [{name: a}]":                                   "needs eval_data",
		"previous_optimizer: keep":                                                                         "has no stage before",
		"previous_run: x":                                                                                  "previous_optimizer of the first stage is not keep",
		"previous_run: nowhere\nprevious_optimizer: keep":                                                  "nowhere is no run folder",
		"stages: [{name: a, full: true}, {name: b, previous_optimizer: keep}]":                             "keeps the optimizer of a but trains other parameters",
		"stages: [{name: a}, {name: b, previous_optimizer: keep, previous_adapter: merge}]":                "trains other parameters",
		"stages: [{name: a, full: true}, {name: b, full: true, last_layers: 1, previous_optimizer: keep}]": "trains other parameters",
		"stages: [{name: a}, {name: b, previous_optimizer: keep, adam_beta2: 0.9}]":                        "averages in another way",
		"stages: [{name: a}, {name: b, previous_optimizer: keep, optimizer: lion}]":                        "averages in another way",
		"stages: [{name: a, ema_decay: 0.9}, {name: b, previous_optimizer: keep}]":                         "leave ema_decay out there",
		"stages: [{name: a, optimizer: muon}]":                                                             "not for adapters: set full",
		"full: true\noptimizer: muon\nadjust_lr_fn: spectral":                                              "supported: match_rms_adamw, original",
		"relative_step: true":                                                                              "belong to the optimizer adafactor, not to adamw",
		"optimizer: adafactor\nwarmup_init: true":                                                          "warmup_init needs relative_step",
		"ema_decay: 1": "ema_decay is 1; it must be at least 0",
		"stages: [{name: a}, {name: b, previous_optimizer: merge}]":                                                        "supported: fresh, keep",
		"load_best_model_at_end: true\nstages: [{name: a, previous_optimizer: keep}, {name: b, previous_optimizer: keep}]": "leave load_best_model_at_end out",
	} {
		r := tinyRecipe(t)
		r.EvalData = r.Data
		err := r.Parse("stages.yaml", []byte(yaml))
		if err == nil {
			r.Output = filepath.Join(t.TempDir(), "run")
			_, err = Run(context.Background(), r, &silent{})
			if _, there := os.Stat(r.Output); there == nil {
				t.Errorf("%s: the run folder is there", yaml)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: got %v, want …%s…", yaml, err, want)
		}
	}
}

// Flags change every stage, --stage one.
func TestOverrideReachesStages(t *testing.T) {
	r := staged(t, threeStages)
	flags := DefaultRecipe()
	flags.LearningRate, flags.Seed = 7, 8
	r.Override(&flags, func(key string) bool { return key == "learning_rate" || key == "seed" })
	if err := r.Stages[1].Set("learning_rate", "9"); err != nil {
		t.Fatal(err)
	}
	if err := r.Stages[1].Set("data", "[a.jsonl, {path: b.jsonl, repeat: 2}]"); err != nil {
		t.Fatal(err)
	}
	if r.Seed != 8 || r.Stages[0].LearningRate != 7 || r.Stages[1].LearningRate != 9 || r.Stages[2].LearningRate != 7 {
		t.Errorf("%+v", r)
	}
	if d := r.Stages[1].Data; len(d) != 2 || d[0].Path != "a.jsonl" || d[1].Repeat != 2 {
		t.Errorf("%+v", d)
	}
	if err := r.Stages[1].Set("lerning_rate", "9"); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("got %v", err)
	}
}

// The best state is kept, and patience ends a stage.
func TestBestStateAndEarlyStopping(t *testing.T) {
	r := tinyRecipe(t)
	r.EvalData, r.EvalSteps, r.MaxSteps = r.Data, 1, 60
	r.Data = Paths(tinyRows(t, 2)) // learned by heart: the loss on the others rises
	r.LearningRate, r.Schedule = 0.05, "constant"
	r.LoadBestModelAtEnd, r.EarlyStoppingPatience = true, 3
	run, s := runRecipe(t, r)
	best, at := 1e9, 0
	for _, e := range s.evals {
		if e.When == "during" && *e.Loss < best {
			best, at = *e.Loss, e.Step
		}
	}
	if len(s.steps) != at+3 {
		t.Errorf("the best loss came at step %d, and the run went on to step %d", at, len(s.steps))
	}
	if after := s.evals[len(s.evals)-1]; after.When != "after" || *after.Loss != best {
		t.Errorf("the result has a loss of %v, the best was %v", *after.Loss, best)
	}
	// A stop at a step that is to be evaluated leaves the evaluation to the resumed run.
	for _, step := range []int{at, at + 1, at + 2} {
		path := stopAt(t, r, step)
		if _, err := Resume(context.Background(), path, 2, &silent{}); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, "stopped and not", filepath.Join(run, adapterName), filepath.Join(path, adapterName))
		if got, want := evaluations(t, path), evaluations(t, run); got != want {
			t.Errorf("stopped after step %d: evaluations\n%s, want\n%s", step, got, want)
		}
	}
}

// evaluations lists the steps and losses of the evaluations of a run.
func evaluations(t *testing.T, run string) string {
	t.Helper()
	info, err := Describe(run)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range info.Evaluations {
		fmt.Fprintln(&text, e.When, e.Stage, e.Step, *e.Loss)
	}
	return text.String()
}

// A stage that is killed before its first checkpoint is begun anew from the best
// state of the stage before, and not from its own.
func TestBestStateOfEachStage(t *testing.T) {
	r := staged(t, `
learning_rate: 0.05
schedule: constant
stages:
  - {name: a, max_steps: 6}
  - {name: b, max_steps: 6}
`)
	r.Data = Paths(tinyRows(t, 2))
	for i := range r.Stages {
		r.Stages[i].Data = r.Data
	}
	r.EvalSteps, r.SaveSteps, r.LoadBestModelAtEnd = 1, 0, true
	r.Output = filepath.Join(t.TempDir(), "run")
	killed := filepath.Join(t.TempDir(), "killed")
	_, err := Run(t.Context(), r, &silent{after: func(e StepEvent) {
		if e.Step == 9 {
			if err := os.CopyFS(killed, os.DirFS(r.Output)); err != nil {
				t.Error(err)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), killed, 0, &silent{}); err != nil {
		t.Fatal(err)
	}
	sameTensors(t, "killed and not", r.Output, killed)
}

// A loss that cannot fall, because nothing that is trained has a gradient, ends
// the run with an explanation.
func TestNothingLearned(t *testing.T) {
	var w watch
	for i := range 3 {
		err := w.look(0)
		if (i == 2) != errors.Is(err, errNothingLearned) {
			t.Errorf("step %d: %v", i, err)
		}
	}
}

func TestExplodingNorm(t *testing.T) {
	var w watch
	for range 2 * watchWindow {
		if err := w.look(1); err != nil {
			t.Fatal(err)
		}
	}
	for i, norm := range []float64{500, 500, 1, 500, 500, 500} {
		err := w.look(norm)
		if (i == 5) != errors.Is(err, errExplodes) {
			t.Errorf("step %d: %v", i, err)
		}
	}
}
