package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A RunResult says where the model of a run is.
type RunResult struct {
	Model   string // folder of the base, or of the tuned model
	Adapter string // folder of the adapter; "" if all weights were trained
	Seed    uint64
}

// ReadRun finds the result of a run folder; of an unfinished run its newest
// checkpoint.
func ReadRun(path string) (RunResult, error) {
	raw, err := os.ReadFile(filepath.Join(path, recipeName))
	if err != nil {
		return RunResult{}, fmt.Errorf("%s is no run folder: %w", path, err)
	}
	r := DefaultRecipe()
	if err := r.Parse(filepath.Join(path, recipeName), raw); err != nil {
		return RunResult{}, err
	}
	full := r.Full || r.Pretraining()
	name := adapterName
	if full {
		name = modelName
	}
	dir := filepath.Join(path, name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		steps, err := (&folder{path: path}).checkpoints()
		if err != nil || len(steps) == 0 {
			return RunResult{}, fmt.Errorf("the run %s has no result and no checkpoint yet; go on with it by gotune train --resume %s", path, path)
		}
		dir = (&folder{path: path}).checkpoint(steps[len(steps)-1])
	}
	if full {
		return RunResult{Model: dir, Seed: r.Seed}, nil
	}
	return RunResult{Model: r.Model, Adapter: dir, Seed: r.Seed}, nil
}
