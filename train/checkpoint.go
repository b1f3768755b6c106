package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	optimizerName    = "optimizer.safetensors"
	stateName        = "trainer_state.json"
	feedName         = "data_state.json" // of a stream
)

// trainerState is what goes on with a run besides weights and averages. The order
// of data in memory and every random number follow from the recipe and the step.
type trainerState struct {
	Format         int       `json:"format"`
	Step           int       `json:"step"`        // optimizer steps taken
	Stage          int       `json:"stage"`       // from 0
	StageBegun     int       `json:"stage_begun"` // steps taken before the stage
	Best           bestState `json:"best"`
	Unjudged       bool      `json:"unjudged,omitempty"` // the step is to be evaluated
	Watch          watch     `json:"watch"`
	OptimizerSteps int       `json:"optimizer_steps"` // of the stage
	MetricsBytes   int64     `json:"metrics_bytes"`   // length of metrics.jsonl
	BoardBytes     int64     `json:"tensorboard_bytes,omitempty"`
}

// saveCheckpoint writes a checkpoint aside, brings it to the disk and renames it,
// so that a checkpoint that can be seen is whole. Older ones beyond the limit are
// removed afterwards.
func (j *job) saveCheckpoint(step int) error {
	if err := j.model.Unchanged(); err != nil {
		return fmt.Errorf("checkpoint after step %d: the model's file %w", step, err)
	}
	if err := disk.WriteFolder(j.folder.checkpoint(step), func(dir string) error { return j.fillCheckpoint(dir, step) }); err != nil {
		return fmt.Errorf("checkpoint after step %d: %w", step, err)
	}
	return j.tidy()
}

// tidy removes what a run no longer goes back to, now that it has its newest checkpoint.
func (j *job) tidy() error {
	if j.stage.index > 0 {
		if err := os.RemoveAll(j.folder.best(j.recipe, j.stage.index-1)); err != nil {
			return fmt.Errorf("removing the best state of the stage before: %w", err)
		}
	}
	return j.folder.prune(j.recipe.SaveTotalLimit)
}

func (j *job) fillCheckpoint(dir string, step int) error {
	if err := j.saveWeights(dir); err != nil {
		return err
	}
	steps, err := j.saveOptimizer(dir)
	if err != nil {
		return err
	}
	if err := j.saveAverage(dir); err != nil {
		return err
	}
	s := trainerState{
		Format: runFormat, Step: step, Stage: j.stage.index, StageBegun: j.begun, Best: j.best, Unjudged: j.unjudged, Watch: j.watch,
		OptimizerSteps: steps,
	}
	if s.MetricsBytes, err = j.metrics.sync(); err != nil {
		return err
	}
	if s.BoardBytes, err = j.board.sync(); err != nil {
		return err
	}
	feed, err := j.stage.feed.state()
	if err == nil && feed != nil {
		err = disk.WriteBytes(filepath.Join(dir, feedName), feed)
	}
	if err != nil {
		return err
	}
	return disk.WriteJSON(filepath.Join(dir, stateName), s)
}

// saveOptimizer writes the tensors of the optimizer and returns its count of steps.
func (j *job) saveOptimizer(dir string) (steps int, err error) {
	o := j.stepper.optimizer.State()
	return o.Steps, writeState(dir, optimizerName, o)
}

// writeState writes the tensors of a state.
func writeState(dir, name string, s optim.State) error {
	tensors := make(map[string]hf.Tensor, len(s.Tensors))
	for _, t := range s.Tensors {
		tensors[t.Name] = hf.Tensor{Shape: t.Shape, Data: t.Data, Codes: t.Codes}
	}
	return hf.WriteFile(filepath.Join(dir, name), tensors, hf.F32)
}

// readStateTensors reads what writeState wrote.
func readStateTensors(dir, name string) (s optim.State, err error) {
	f, err := hf.OpenFS(os.DirFS(dir), name, name)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, e := range f.Entries() {
		read := f.Read
		if e.DType == hf.U8 {
			read = f.ReadCodes
		}
		t, err := read(e)
		if err != nil {
			return s, err
		}
		s.Tensors = append(s.Tensors, optim.Tensor{Name: e.Name, Shape: t.Shape, Data: t.Data, Codes: t.Codes})
	}
	return s, nil
}

// restoreOptimizer goes on with what saveOptimizer wrote.
func (j *job) restoreOptimizer(dir string, steps int) error {
	s, err := readStateTensors(dir, optimizerName)
	if err != nil {
		return err
	}
	s.Steps = steps
	return j.stepper.optimizer.Restore(s)
}

// saveWeights writes what is trained: the adapter, or the whole model.
func (j *job) saveWeights(dir string) error {
	if j.adapter != nil {
		base, _ := j.folder.start(j.recipe, j.stage.index)
		return j.adapter.Checkpoint(dir, base)
	}
	if err := j.model.Save(dir, hf.F32); err != nil {
		return err
	}
	return j.saveTokenizer(dir)
}

// checkpoints lists the steps of the checkpoints of a run, rising.
func (f *folder) checkpoints() ([]int, error) {
	entries, err := os.ReadDir(f.join(checkpointsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
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

// sizeOfCheckpoints returns the number of checkpoints and the bytes they take.
func (f *folder) sizeOfCheckpoints() (count, bytes uint64, err error) {
	steps, err := f.checkpoints()
	if err != nil {
		return 0, 0, err
	}
	for _, step := range steps {
		entries, err := os.ReadDir(f.checkpoint(step))
		if err != nil {
			return 0, 0, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return 0, 0, err
			}
			bytes += uint64(info.Size())
		}
	}
	return uint64(len(steps)), bytes, nil
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
	for _, dir := range []string{f.path, f.join(checkpointsName), f.join(stagesName), f.join(bestName)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), disk.Unfinished) || strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), ".tmp-") {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// restore goes back to the newest checkpoint; without one the run starts anew.
func (j *job) restore(ctx context.Context) error {
	steps, err := j.folder.checkpoints()
	if err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	if len(steps) == 0 {
		if err := errors.Join(j.metrics.cut(0), j.board.cut(0)); err != nil {
			return err
		}
		return j.enter(ctx, 0)
	}
	dir := j.folder.checkpoint(steps[len(steps)-1])
	if err := j.restoreFrom(ctx, dir); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w%s", err, j.wayOut(steps))
		}
		return fmt.Errorf("resuming from %s: %w", dir, err)
	}
	return j.tidy() // the run may have been killed before it could
}

// wayOut says how a run goes on whose newest checkpoint is damaged: from the one
// before, unless that is of a stage whose best state is gone.
func (j *job) wayOut(steps []int) string {
	newest := j.folder.checkpoint(steps[len(steps)-1])
	if len(steps) == 1 {
		return fmt.Sprintf("; if this checkpoint is damaged, remove %s to begin the run anew", newest)
	}
	before := steps[len(steps)-2]
	s, err := readState(j.folder.checkpoint(before))
	if err != nil || s.Stage < 0 || s.Stage >= len(j.stages) {
		return ""
	}
	if r := j.recipe; r.LoadBestModelAtEnd && s.Best.Step > 0 {
		if _, err := os.Stat(j.folder.best(r, s.Stage)); err != nil {
			return ""
		}
	}
	return fmt.Sprintf("; if this checkpoint is damaged, remove %s to go on from the one before, after step %d", newest, before)
}

// readState reads the state of a checkpoint.
func readState(dir string) (trainerState, error) {
	var s trainerState
	raw, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("%s: %w", stateName, err)
	}
	if s.Format != runFormat {
		return s, fmt.Errorf("%s has format %d, this program knows %d", stateName, s.Format, runFormat)
	}
	return s, nil
}

func (j *job) restoreFrom(ctx context.Context, dir string) error {
	s, err := readState(dir)
	if err != nil {
		return err
	}
	switch {
	case s.Stage < 0 || s.Stage >= len(j.stages):
		return fmt.Errorf("%s is of stage %d, the run has only %d", stateName, s.Stage+1, len(j.stages))
	case s.StageBegun < 0 || s.Step < s.StageBegun || s.Step-s.StageBegun > j.stages[s.Stage].steps:
		return fmt.Errorf("%s is after step %d, the run has only %d", stateName, s.Step, j.steps)
	}
	if err := j.enter(ctx, s.Stage); err != nil {
		return err
	}
	if err := j.restoreWeights(dir); err != nil {
		return err
	}
	if err := j.restoreOptimizer(dir, s.OptimizerSteps); err != nil {
		return err
	}
	j.begun, j.first = s.StageBegun, s.Step-s.StageBegun
	if err := j.restoreAverage(dir, j.first); err != nil {
		return err
	}
	j.best, j.unjudged, j.watch = s.Best, s.Unjudged, s.Watch
	feed, err := os.ReadFile(filepath.Join(dir, feedName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := j.stage.feed.restore(ctx, feed); err != nil {
		return err
	}
	return errors.Join(j.metrics.cut(s.MetricsBytes), j.board.cut(s.BoardBytes))
}

// restoreWeights copies the trained values of a checkpoint into the parameters.
func (j *job) restoreWeights(dir string) error {
	if j.adapter != nil {
		return j.adapter.Restore(os.DirFS(dir), dir)
	}
	const file = "model.safetensors"
	tensors, err := hf.ReadFS(os.DirFS(dir), file, file)
	if err != nil {
		return err
	}
	for _, p := range j.stepper.options.Parameters {
		t, ok := tensors[p.Name]
		if !ok || !slices.Equal(t.Shape, p.Shape) {
			return fmt.Errorf("%s: tensor %s is missing or has another shape", file, p.Name)
		}
		copy(p.Value, t.Data)
	}
	return nil
}
