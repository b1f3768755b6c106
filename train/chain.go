package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gotune/internal/disk"
	"gotune/internal/hf"
)

// A run of several stages keeps what each leaves for the next under stages/, so
// that a stage begins from files, whether the run was killed in between or not.
const stagesName = "stages"

// stage is the folder of what a stage leaves.
func (f *folder) stage(r Recipe, index int) string {
	return f.join(stagesName, fmt.Sprintf("%d-%s", index+1, r.Stages[index].Name))
}

// start returns the model and the adapter that a stage begins with. The adapter is
// "" where there is none.
func (f *folder) start(r Recipe, index int) (model, adapter string) {
	if index == 0 {
		return r.Model, r.Adapter
	}
	model, _ = f.start(r, index-1)
	dir := f.stage(r, index-1)
	switch {
	case r.Stages[index-1].Full, r.Stages[index].merges(r.Stages[index-1]):
		return filepath.Join(dir, modelName), ""
	case r.Stages[index].PreviousAdapter == "keep":
		return model, filepath.Join(dir, adapterName)
	}
	return model, ""
}

// merges reports whether a stage begins with the adapter of the one before
// written into the weights: where it says so, and where it trains all weights.
func (s Stage) merges(before Stage) bool {
	return !before.Full && (s.PreviousAdapter == "merge" || s.Full && s.PreviousAdapter == "keep")
}

// keptOptimizerName says how many steps the optimizer took whose tensors stand beside
// it, for a stage that goes on with it.
const keptOptimizerName = "optimizer_state.json"

type keptOptimizer struct {
	Steps int `json:"optimizer_steps"`
}

// keepsOptimizer reports whether a stage goes on with the optimizer of the one before.
func (r Recipe) keepsOptimizer(index int) bool {
	if index == 0 {
		return r.PreviousRun != "" && r.plan()[0].PreviousOptimizer == "keep"
	}
	return index < len(r.Stages) && r.Stages[index].PreviousOptimizer == "keep"
}

// leaveOptimizer writes the optimizer into the folder of what a stage leaves, where
// the next one goes on with it.
func (j *job) leaveOptimizer(dir string) error {
	if !j.recipe.keepsOptimizer(j.stage.index + 1) {
		return nil
	}
	steps, err := j.saveOptimizer(dir)
	if err != nil {
		return err
	}
	return disk.WriteJSON(filepath.Join(dir, keptOptimizerName), keptOptimizer{steps})
}

// takeOptimizer goes on with the optimizer that the stage before left.
func (j *job) takeOptimizer() error {
	if !j.recipe.keepsOptimizer(j.stage.index) {
		return nil
	}
	if j.stage.index == 0 {
		return j.takePreviousOptimizer()
	}
	dir := j.folder.stage(j.recipe, j.stage.index-1)
	raw, err := os.ReadFile(filepath.Join(dir, keptOptimizerName))
	if err != nil {
		return fmt.Errorf("previous_optimizer: %w", err)
	}
	var kept keptOptimizer
	if err := json.Unmarshal(raw, &kept); err != nil {
		return fmt.Errorf("previous_optimizer: %s: %w", filepath.Join(dir, keptOptimizerName), err)
	}
	if err := j.restoreOptimizer(dir, kept.Steps); err != nil {
		return fmt.Errorf("previous_optimizer: %s: %w", dir, err)
	}
	return nil
}

// takePreviousOptimizer goes on with the optimizer of another run's end.
func (j *job) takePreviousOptimizer() error {
	dir, err := j.recipe.previousCheckpoint()
	if err != nil {
		return err
	}
	s, err := readState(dir)
	if _, averaged := os.Stat(filepath.Join(dir, averageName)); err == nil && averaged == nil {
		err = fmt.Errorf("the run ends with a moving average (ema_decay), to which its optimizer does not belong")
	}
	if err == nil {
		err = j.restoreOptimizer(dir, s.OptimizerSteps)
	}
	if err != nil {
		return fmt.Errorf("previous_run: %s: %w", dir, err)
	}
	return nil
}

// previousCheckpoint is the last checkpoint of previous_run.
func (r Recipe) previousCheckpoint() (string, error) {
	f := &folder{path: r.PreviousRun}
	_, record, err := f.read()
	if err == nil && record.Status != statusFinished {
		err = fmt.Errorf("%s is not finished", f.path)
	}
	if err != nil {
		return "", fmt.Errorf("previous_run: %w", err)
	}
	steps, err := f.checkpoints()
	if err == nil && len(steps) == 0 {
		err = fmt.Errorf("%s has no checkpoint", f.path)
	}
	if err != nil {
		return "", fmt.Errorf("previous_run: %w", err)
	}
	return f.checkpoint(steps[len(steps)-1]), nil
}

func (j *job) lastStage() bool { return j.stage.index == len(j.stages)-1 }

// nextStage keeps what the stage has learned and enters the next.
func (j *job) nextStage(ctx context.Context) error {
	next := j.stage.index + 1
	dir := j.folder.stage(j.recipe, next-1)
	err := disk.WriteFolder(dir, func(dir string) error {
		if err := j.leaveOptimizer(dir); err != nil {
			return err
		}
		if j.adapter == nil {
			return errors.Join(j.model.Save(filepath.Join(dir, modelName), hf.F32), j.saveTokenizer(filepath.Join(dir, modelName)))
		}
		base, _ := j.folder.start(j.recipe, next-1)
		if err := j.adapter.Save(filepath.Join(dir, adapterName), base); err != nil || !j.stages[next].recipe.merges(j.stage.recipe.Stage) {
			return err
		}
		merged, err := j.adapter.Merge(j.model)
		if err != nil {
			return err
		}
		return errors.Join(merged.Save(filepath.Join(dir, modelName), hf.F32), j.saveTokenizer(filepath.Join(dir, modelName)))
	})
	if err != nil {
		return fmt.Errorf("keeping the result of stage %s: %w", j.stage.recipe.Name, err)
	}
	begun := j.begun + j.first
	if err := j.enter(ctx, next); err != nil {
		return fmt.Errorf("stage %s: %w", j.stages[next].recipe.Name, err)
	}
	j.begun = begun
	return nil
}
