package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/optim"
)

// The names inside a checkpoint.
const (
	checkpointPrefix = "checkpoint-"
	unfinished       = ".unfinished-" // before its name until a checkpoint is whole
	optimizerName    = "optimizer.safetensors"
	stateName        = "trainer_state.json"
)

// trainerState is what goes on with a run besides weights and averages. The order
// of data and every random number follow from the recipe and the step.
type trainerState struct {
	Format         int   `json:"format"`
	Step           int   `json:"step"` // optimizer steps taken
	OptimizerSteps int   `json:"optimizer_steps"`
	MetricsBytes   int64 `json:"metrics_bytes"` // length of metrics.jsonl
}

// saveCheckpoint writes a checkpoint aside, brings it to the disk and renames it,
// so that a checkpoint that can be seen is whole. Older ones beyond the limit are
// removed afterwards.
func (j *job) saveCheckpoint(step int) (err error) {
	dir := j.folder.join(checkpointsName)
	name := checkpointPrefix + strconv.Itoa(step)
	aside, final := filepath.Join(dir, unfinished+name), filepath.Join(dir, name)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("checkpoint after step %d: %w", step, err), os.RemoveAll(aside))
		}
	}()
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Mkdir(aside, 0o755); err != nil {
		return err
	}
	if err := j.saveWeights(aside); err != nil {
		return err
	}
	o := j.stepper.optimizer.State()
	tensors := make(map[string]hf.Tensor, len(o.Tensors))
	for _, t := range o.Tensors {
		tensors[t.Name] = hf.Tensor{Shape: t.Shape, Data: t.Data}
	}
	if err := hf.WriteFile(filepath.Join(aside, optimizerName), tensors, hf.F32); err != nil {
		return err
	}
	size, err := j.metrics.sync()
	if err != nil {
		return err
	}
	s := trainerState{Format: runFormat, Step: step, OptimizerSteps: o.Steps, MetricsBytes: size}
	if err := writeJSON(filepath.Join(aside, stateName), s); err != nil {
		return err
	}
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	if err := os.Rename(aside, final); err != nil {
		return err
	}
	if err := disk.SyncDir(dir); err != nil {
		return err
	}
	return j.folder.prune(j.recipe.SaveTotalLimit)
}

// saveWeights writes what is trained: the adapter, or the whole model.
func (j *job) saveWeights(dir string) error {
	if j.adapter != nil {
		return j.adapter.Save(dir, j.recipe.Model)
	}
	if err := j.model.Save(dir, hf.F32); err != nil {
		return err
	}
	return j.tokenizer.Save(dir)
}

// checkpoints lists the steps of the checkpoints of a run, rising.
func (f *folder) checkpoints() ([]int, error) {
	entries, err := os.ReadDir(f.join(checkpointsName))
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), checkpointPrefix)
		if n, err := strconv.Atoi(text); ok && err == nil && e.IsDir() {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

func (f *folder) checkpoint(step int) string {
	return f.join(checkpointsName, checkpointPrefix+strconv.Itoa(step))
}

// prune removes the oldest checkpoints beyond a number.
func (f *folder) prune(keep int) error {
	steps, err := f.checkpoints()
	if err != nil {
		return err
	}
	for len(steps) > keep {
		if err := os.RemoveAll(f.checkpoint(steps[0])); err != nil {
			return fmt.Errorf("removing an old checkpoint: %w", err)
		}
		steps = steps[1:]
	}
	return nil
}

// sweep removes what a killed process left half-written.
func (f *folder) sweep() error {
	entries, err := os.ReadDir(f.join(checkpointsName))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			if err := os.RemoveAll(f.join(checkpointsName, e.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{unfinished + adapterName, unfinished + modelName} {
		if err := os.RemoveAll(f.join(name)); err != nil {
			return err
		}
	}
	return nil
}

// restore goes back to the newest checkpoint; without one the run starts anew.
func (j *job) restore() error {
	steps, err := j.folder.checkpoints()
	if err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	if len(steps) == 0 {
		return j.metrics.cut(0)
	}
	dir := j.folder.checkpoint(steps[len(steps)-1])
	if err := j.restoreFrom(dir); err != nil {
		return fmt.Errorf("resuming from %s: %w", dir, err)
	}
	return nil
}

func (j *job) restoreFrom(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return err
	}
	var s trainerState
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("%s: %w", stateName, err)
	}
	if s.Format != runFormat {
		return fmt.Errorf("%s has format %d, this program knows %d", stateName, s.Format, runFormat)
	}
	if s.Step > j.steps {
		return fmt.Errorf("%s is after step %d, the run has only %d", stateName, s.Step, j.steps)
	}
	if err := j.restoreWeights(dir); err != nil {
		return err
	}
	tensors, err := hf.ReadFS(os.DirFS(dir), optimizerName, optimizerName)
	if err != nil {
		return err
	}
	o := optim.State{Steps: s.OptimizerSteps}
	for name, t := range tensors {
		o.Tensors = append(o.Tensors, optim.Tensor{Name: name, Shape: t.Shape, Data: t.Data})
	}
	if err := j.stepper.optimizer.Restore(o); err != nil {
		return err
	}
	j.first = s.Step
	return j.metrics.cut(s.MetricsBytes)
}

// restoreWeights copies the trained values of a checkpoint into the parameters.
func (j *job) restoreWeights(dir string) error {
	file, prefix := "model.safetensors", ""
	if j.adapter != nil {
		file, prefix = "adapter_model.safetensors", "base_model.model."
	}
	tensors, err := hf.ReadFS(os.DirFS(dir), file, file)
	if err != nil {
		return err
	}
	for _, p := range j.stepper.parameters {
		t, ok := tensors[prefix+p.Name]
		if !ok || !slices.Equal(t.Shape, p.Shape) {
			return fmt.Errorf("%s: tensor %s is missing or has another shape", file, prefix+p.Name)
		}
		copy(p.Value, t.Data)
	}
	return nil
}
