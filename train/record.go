package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A RunResult says where the model of a run is.
type RunResult struct {
	Model    string // folder of the base, or of the tuned model
	Adapter  string // folder of the adapter; "" if all weights were trained
	Template string // file of the chat template; "" in runs that kept none
	Seed     uint64

	BasePrecision string // how the run stored the base
	Precision     string // arithmetic of its products
}

// ReadRun finds the result of a run folder; of an unfinished run its newest
// checkpoint.
func ReadRun(path string) (RunResult, error) {
	f := &folder{path: path}
	r, _, err := f.read()
	if err != nil {
		return RunResult{}, err
	}
	result := RunResult{Seed: r.Seed, BasePrecision: r.BasePrecision, Precision: r.Precision}
	if _, err := os.Stat(f.join(templateName)); err == nil {
		result.Template = f.join(templateName)
	}
	last, dir := len(r.plan())-1, f.result(r)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		steps, err := f.checkpoints()
		if err != nil || len(steps) == 0 {
			return RunResult{}, fmt.Errorf("the run %s has no result and no checkpoint yet; go on with it by gotune train --resume %s", path, path)
		}
		dir = f.checkpoint(steps[len(steps)-1])
		if last, err = stageOf(dir, last); err != nil {
			return RunResult{}, err
		}
	}
	if s := r.plan()[last]; s.Full || s.Pretraining() {
		result.Model = dir
		return result, nil
	}
	result.Model, _ = f.start(r, last)
	result.Adapter = dir
	return result, nil
}

// stageOf reads the stage that a checkpoint is of.
func stageOf(dir string, last int) (int, error) {
	s, err := readState(dir)
	if err == nil && (s.Stage < 0 || s.Stage > last) {
		err = fmt.Errorf("stage %d of %d", s.Stage+1, last+1)
	}
	if err != nil {
		return 0, fmt.Errorf("checkpoint %s: %w", dir, err)
	}
	return s.Stage, nil
}
