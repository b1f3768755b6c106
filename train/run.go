package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"gotune/internal/disk"
	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/model"
	"gotune/optim"
)

// ErrInterrupted is returned when the context of a run is cancelled. The run has
// a checkpoint and can go on.
var ErrInterrupted = errors.New("interrupted")

// ErrUsage is what errors of a recipe are (errors.Is) whose values cannot be used.
var ErrUsage = errors.New("wrong usage")

// ErrDiverged is what errors of a run are (errors.Is) whose loss or gradients are no
// numbers any more, or have exploded.
var ErrDiverged = errors.New("training has diverged")

// divergence marks an error as ErrDiverged without adding to its text.
type divergence struct{ error }

func (divergence) Is(target error) bool { return target == ErrDiverged }

// usage marks an error as ErrUsage without adding to its text.
type usage struct{ error }

func (usage) Is(target error) bool { return target == ErrUsage }

// AsUsage marks an error as ErrUsage without adding to its text, for what builds on this
// package.
func AsUsage(err error) error { return usage{err} }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// A job is a run in progress.
type job struct {
	*inputs
	recipe   Recipe
	observer Observer
	folder   *folder
	record   runRecord
	metrics  *metrics
	board    *board // nil without TensorBoard

	team   *kernel.Team
	arena  *exec.Arena
	before *EvalEvent

	// Of the stage at work:
	stage     *stage
	model     *model.Model
	adapter   Adapter // nil if weights are trained
	stepper   *Stepper
	average   *optim.EMA // nil without ema_decay
	evaluator *Evaluator
	begun     int // steps of the run when the stage began
	first     int // step of the stage to begin with
	best      bestState
	watch     watch
	owed      bool    // a checkpoint that waits for calm gradients
	unjudged  bool    // the step before is to be evaluated
	seconds   float64 // of the steps of all stages
}

// Run does what a recipe says, in a new run folder. Wrong input is an error
// before there is a folder; after an error before the first step the folder is
// removed again. A cancelled context stops the run after the step at hand with a
// checkpoint, and Run returns ErrInterrupted. The observer may be nil.
func Run(ctx context.Context, r Recipe, o Observer) (DoneEvent, error) {
	in, err := read(ctx, r)
	if err != nil {
		return DoneEvent{}, err
	}
	if err := in.check(r); err != nil {
		return DoneEvent{}, err
	}
	if r, err = r.withTargets(in.config.ModelType).withAdapter(); err != nil {
		return DoneEvent{}, err
	}
	if r, err = in.fit(ctx, r); err != nil {
		return DoneEvent{}, err
	}
	f, err := newFolder(r, in.template.Source(), time.Now())
	if err != nil {
		return DoneEvent{}, err
	}
	j := &job{inputs: in, recipe: r, observer: orSilent(o), folder: f}
	err = j.open()
	if err == nil {
		err = j.enter(ctx, 0)
	}
	if err != nil {
		return DoneEvent{}, errors.Join(err, j.close(), f.remove())
	}
	done, err := j.work(ctx)
	j.noteStop(err)
	return done, errors.Join(err, j.close(), f.close())
}

// Resume goes on with a run from its newest checkpoint, or from the start where
// there is none yet, and ends with the same bytes as a run never stopped. Threads
// may differ; 0 takes the recipe's. A finished run is left as it is. The observer
// may be nil.
func Resume(ctx context.Context, path string, threads int, o Observer) (DoneEvent, error) {
	f, record, r, err := openFolder(path)
	if err != nil {
		return DoneEvent{}, err
	}
	if threads > 0 {
		r.Threads = threads
	}
	j := &job{recipe: r, observer: orSilent(o), folder: f, record: record}
	done, err := j.resume(ctx)
	return done, errors.Join(err, j.close(), f.close())
}

func orSilent(o Observer) Observer {
	if o == nil {
		return Silent{}
	}
	return o
}

func (j *job) resume(ctx context.Context) (DoneEvent, error) {
	if j.record.Status == statusFinished {
		done := DoneEvent{Event: "done", Run: j.folder.path, Steps: j.record.Steps, Result: j.folder.result(j.recipe), AlreadyFinished: true}
		if err := errors.Join(j.folder.readEvaluation(beforeName, &done.Before), j.folder.readEvaluation(afterName, &done.After)); err != nil {
			return done, err
		}
		j.observer.Done(done)
		return done, nil
	}
	if err := j.folder.sweep(); err != nil {
		return DoneEvent{}, fmt.Errorf("resuming: %w", err)
	}
	if _, err := os.Stat(j.folder.join(templateName)); err == nil {
		j.recipe.ChatTemplate = j.folder.join(templateName)
	}
	var err error
	if j.inputs, err = read(ctx, j.recipe); err != nil {
		return DoneEvent{}, err
	}
	was := j.record
	if err := j.open(); err != nil {
		return DoneEvent{}, err
	}
	if err := j.record.sameAs(was); err != nil {
		return DoneEvent{}, fmt.Errorf("resuming %s: %w", j.folder.path, err)
	}
	if err := j.restore(ctx); err != nil {
		return DoneEvent{}, err
	}
	done, err := j.work(ctx)
	j.noteStop(err)
	return done, err
}

// withTargets names the layers that each stage adapts in a family of models, so
// that the resolved recipe says what is trained.
func (r Recipe) withTargets(modelType string) Recipe {
	if r.Pretraining() {
		return r // which has no adapter
	}
	put := func(s *Stage) {
		if s.PEFTType == loraType {
			s.Targets = s.targets(modelType)
		}
	}
	put(&r.Stage)
	r.Stages = slices.Clone(r.Stages)
	for i := range r.Stages {
		put(&r.Stages[i])
	}
	return r
}

const (
	statusRunning  = "running"
	statusFinished = "finished"
)

// work evaluates, trains stage after stage, and evaluates again.
func (j *job) work(ctx context.Context) (DoneEvent, error) {
	if err := disk.WriteJSON(j.folder.join(runName), j.record); err != nil {
		return DoneEvent{}, err
	}
	for {
		if err := j.announce(); err != nil {
			return DoneEvent{}, err
		}
		if err := j.evaluateBefore(ctx); err != nil {
			return DoneEvent{}, interrupted(ctx, err)
		}
		if err := j.loop(ctx); err != nil {
			return DoneEvent{}, err
		}
		if err := j.takeResult(); err != nil {
			return DoneEvent{}, err
		}
		if j.lastStage() {
			break
		}
		if err := j.nextStage(ctx); err != nil {
			return DoneEvent{}, interrupted(ctx, err)
		}
	}
	if err := j.saveResult(); err != nil {
		return DoneEvent{}, fmt.Errorf("saving the result: %w", err)
	}
	done := DoneEvent{Event: "done", Run: j.folder.path, Steps: j.begun + j.first, Result: j.folder.result(j.recipe), Before: j.before, TrainSeconds: j.seconds}
	if j.recipe.Eval {
		after, err := j.evaluate(ctx, "after", done.Steps, true)
		if err != nil {
			return DoneEvent{}, interrupted(ctx, err)
		}
		done.After = &after
		if err := disk.WriteJSON(j.folder.join(afterName), after); err != nil {
			return DoneEvent{}, err
		}
	}
	j.record.Status, j.record.Steps = statusFinished, done.Steps
	if err := disk.WriteJSON(j.folder.join(runName), j.record); err != nil {
		return DoneEvent{}, err
	}
	j.observer.Done(done)
	return done, nil
}

// noteStop writes down why a run that has begun did not come to its end. Where
// that cannot be written, as on a full disk, the error at hand says enough.
func (j *job) noteStop(err error) {
	if err != nil {
		j.record.Stopped = err.Error()
		_ = disk.WriteJSON(j.folder.join(runName), j.record)
	}
}

// interrupted turns the error of a cancelled context into ErrInterrupted.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}
