package train

import (
	"fmt"

	"gotune/optim"
)

// averageName is the file of a checkpoint with the moving average of what is trained,
// under the names of the parameters.
const averageName = "ema.safetensors"

// startAverage begins the moving average of a stage where the recipe asks for one. From
// then on what is trained stays where training stands; evaluations and the states that
// they judge best are those of the average, and a stage ends with it.
func (j *job) startAverage() (err error) {
	j.average = nil
	if decay := j.stage.recipe.EMADecay; decay > 0 {
		j.average, err = optim.NewEMA(j.team, optimizable(j.stepper.options.Parameters), decay)
	}
	return err
}

// swapAverage puts the average in the place of what is trained, or puts that back.
func (j *job) swapAverage() {
	if j.average != nil {
		j.average.Swap()
	}
}

// saveAverage writes the average into a checkpoint, beside where training stands.
func (j *job) saveAverage(dir string) error {
	if j.average == nil {
		return nil
	}
	return writeState(dir, averageName, j.average.State())
}

// restoreAverage goes on with the average of a checkpoint after so many steps of the stage.
func (j *job) restoreAverage(dir string, steps int) error {
	if j.average == nil {
		return nil
	}
	s, err := readStateTensors(dir, averageName)
	if err != nil {
		return err
	}
	s.Steps = steps
	if err := j.average.Restore(s); err != nil {
		return fmt.Errorf("%s: %w", averageName, err)
	}
	return nil
}

// takeResult ends a stage with what it is judged by: the best state, or the last, of which
// both are the average where there is one.
func (j *job) takeResult() error {
	if err := j.takeBest(); err != nil {
		return fmt.Errorf("taking the best state: %w", err)
	}
	if !j.recipe.LoadBestModelAtEnd || j.best.Step == 0 {
		j.swapAverage()
	}
	j.average = nil
	return nil
}
