package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/model"
)

// ErrInterrupted is returned when the context of a run is cancelled. The run has
// a checkpoint and can go on.
var ErrInterrupted = errors.New("interrupted")

// ErrUsage is what errors of a recipe are (errors.Is) whose values cannot be used.
var ErrUsage = errors.New("wrong usage")

// usage marks an error as ErrUsage without adding to its text.
type usage struct{ error }

func (usage) Is(target error) bool { return target == ErrUsage }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// A job is a run in progress.
type job struct {
	*inputs
	recipe   Recipe
	observer Observer
	folder   *folder
	record   runRecord
	metrics  *metrics

	team      *kernel.Team
	arena     *exec.Arena
	model     *model.Model
	adapter   *lora.Adapter // nil if all weights are trained
	stepper   *Stepper
	evaluator *Evaluator
	before    *EvalEvent
	first     int // step to begin with
	seconds   float64
}

// Run does what a recipe says, in a new run folder. Wrong input is an error
// before there is a folder; after an error before the first step the folder is
// removed again. A cancelled context stops the run after the step at hand with a
// checkpoint, and Run returns ErrInterrupted.
func Run(ctx context.Context, r Recipe, o Observer) (DoneEvent, error) {
	in, err := read(ctx, r)
	if err != nil {
		return DoneEvent{}, err
	}
	if r, err = r.withAdapter(); err != nil {
		return DoneEvent{}, err
	}
	f, err := newFolder(r, time.Now())
	if err != nil {
		return DoneEvent{}, err
	}
	j := &job{inputs: in, recipe: r, observer: o, folder: f}
	if err := j.load(ctx); err != nil {
		return DoneEvent{}, errors.Join(err, j.close(), f.remove())
	}
	done, err := j.work(ctx)
	return done, errors.Join(err, j.close(), f.close())
}

// Resume goes on with a run from its newest checkpoint, or from the start where
// there is none yet, and ends with the same bytes as a run never stopped. Threads
// may differ; 0 takes the recipe's. A finished run is left as it is.
func Resume(ctx context.Context, path string, threads int, o Observer) (DoneEvent, error) {
	f, record, r, err := openFolder(path)
	if err != nil {
		return DoneEvent{}, err
	}
	if threads > 0 {
		r.Threads = threads
	}
	j := &job{recipe: r, observer: o, folder: f, record: record}
	done, err := j.resume(ctx)
	return done, errors.Join(err, j.close(), f.close())
}

func (j *job) resume(ctx context.Context) (DoneEvent, error) {
	if j.record.Status == statusFinished {
		done := DoneEvent{Event: "done", Run: j.folder.path, Steps: j.record.Steps, Result: j.resultPath(), AlreadyFinished: true}
		if err := errors.Join(j.folder.readEvaluation(beforeName, &done.Before), j.folder.readEvaluation(afterName, &done.After)); err != nil {
			return done, err
		}
		j.observer.Done(done)
		return done, nil
	}
	if err := j.folder.sweep(); err != nil {
		return DoneEvent{}, fmt.Errorf("resuming: %w", err)
	}
	var err error
	if j.inputs, err = read(ctx, j.recipe); err != nil {
		return DoneEvent{}, err
	}
	was := j.record
	if err := j.load(ctx); err != nil {
		return DoneEvent{}, err
	}
	if was.Format != 0 {
		for _, c := range []struct{ what, was, is string }{
			{"model or adapter", was.Model, j.record.Model}, {"tokenizer", was.Tokenizer, j.record.Tokenizer}, {"data", was.Data, j.record.Data},
			{"held-out data", was.HeldOut, j.record.HeldOut}, {"recipe", was.Recipe, j.record.Recipe},
		} {
			if c.was != c.is {
				return DoneEvent{}, fmt.Errorf("resuming %s: the %s is not what the run began with (SHA-256 %.12s…, was %.12s…)", j.folder.path, c.what, c.is, c.was)
			}
		}
	}
	if err := j.restore(); err != nil {
		return DoneEvent{}, err
	}
	return j.work(ctx)
}

// withAdapter puts the values of an adapter that is continued in place of the
// recipe's, so that the resolved recipe says what is trained.
func (r Recipe) withAdapter() (Recipe, error) {
	if r.Adapter == "" {
		return r, nil
	}
	c, err := lora.ReadConfig(os.DirFS(r.Adapter), r.Adapter)
	r.LoRARank, r.LoRAAlpha, r.LoRADropout, r.LoRATargets = c.Rank, c.Alpha, c.Dropout, c.Targets
	return r, err
}

const (
	statusRunning  = "running"
	statusFinished = "finished"
)

// work evaluates, trains and evaluates again.
func (j *job) work(ctx context.Context) (DoneEvent, error) {
	if err := writeJSON(j.folder.join(runName), j.record); err != nil {
		return DoneEvent{}, err
	}
	if err := j.announce(); err != nil {
		return DoneEvent{}, err
	}
	if err := j.evaluateBefore(ctx); err != nil {
		return DoneEvent{}, interrupted(ctx, err)
	}
	if err := j.loop(ctx); err != nil {
		return DoneEvent{}, err
	}
	if err := j.saveResult(); err != nil {
		return DoneEvent{}, fmt.Errorf("saving the result: %w", err)
	}
	done := DoneEvent{Event: "done", Run: j.folder.path, Steps: j.steps, Result: j.resultPath(), Before: j.before, TrainSeconds: j.seconds}
	if j.recipe.Eval {
		after, err := j.evaluate(ctx, "after", j.steps, true)
		if err != nil {
			return DoneEvent{}, interrupted(ctx, err)
		}
		done.After = &after
		if err := writeJSON(j.folder.join(afterName), after); err != nil {
			return DoneEvent{}, err
		}
	}
	j.record.Status = statusFinished
	if err := writeJSON(j.folder.join(runName), j.record); err != nil {
		return DoneEvent{}, err
	}
	j.observer.Done(done)
	return done, nil
}

// interrupted turns the error of a cancelled context into ErrInterrupted.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}
