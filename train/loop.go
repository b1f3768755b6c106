package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gotune/data"
	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/internal/kernel"
)

// loop takes the optimizer steps.
func (j *job) loop(ctx context.Context) error {
	epoch := j.batches.Steps()
	var plan *data.Plan
	for s := j.first; s < j.steps; s++ {
		if plan == nil || s%epoch == 0 {
			plan = j.batches.Plan(s / epoch)
		}
		start := time.Now()
		rate := j.schedule.Rate(s)
		r, err := j.stepper.Step(plan, s%epoch, s, rate)
		if err != nil {
			return fmt.Errorf("step %d: %w. %s", s+1, err, j.advice())
		}
		took := time.Since(start).Seconds()
		j.seconds += took
		e := StepEvent{
			Event: "step", Step: s + 1, Loss: r.Loss, GradNorm: r.Norm, LearningRate: rate,
			TargetTokens: r.TargetTokens, TokensPerSecond: float64(r.Tokens) / took,
		}
		if err := j.metrics.step(e); err != nil {
			return err
		}
		j.observer.Step(e)
		if err := j.afterStep(ctx, s+1); err != nil {
			return err
		}
	}
	return nil
}

// afterStep saves and evaluates where it is due, and stops where it is asked to.
func (j *job) afterStep(ctx context.Context, done int) error {
	r := j.recipe
	every := r.EvalSteps
	if every == 0 {
		every = max(1, j.steps/5)
	}
	if r.Eval && j.eval != nil && done%every == 0 && done < j.steps && ctx.Err() == nil {
		if _, err := j.evaluate(ctx, "during", done, false); err != nil && ctx.Err() == nil {
			return err
		}
	}
	stop := ctx.Err() != nil
	// The last step too: what follows it may be interrupted.
	if stop || done == j.steps || r.SaveSteps > 0 && done%r.SaveSteps == 0 {
		if err := j.saveCheckpoint(done); err != nil {
			return err
		}
	}
	if stop && done < j.steps {
		return ErrInterrupted
	}
	return nil
}

// advice says what to do after a step that went wrong.
func (j *job) advice() string {
	text := "Lower learning_rate, or raise warmup_steps"
	if steps, err := j.folder.checkpoints(); err == nil && len(steps) > 0 {
		text += fmt.Sprintf("; the last good state is %s", j.folder.checkpoint(steps[len(steps)-1]))
	}
	return text
}

// saveResult writes the adapter or the model beside the checkpoints, whole or
// not at all.
func (j *job) saveResult() error {
	name := adapterName
	if j.adapter == nil {
		name = modelName
	}
	if j.recipe.Pretraining() {
		j.redrawUnseen()
	}
	aside, final := j.folder.join(unfinished+name), j.folder.join(name)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	var err error
	if j.adapter != nil {
		err = j.adapter.Save(aside, j.recipe.Model)
	} else {
		var d hf.DType
		if d, err = hf.ParseDType(j.recipe.SaveDType); err == nil {
			err = errors.Join(j.model.Save(aside, d), j.tokenizer.Save(aside))
		}
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(aside))
	}
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	if err := os.Rename(aside, final); err != nil {
		return err
	}
	return disk.SyncDir(j.folder.path)
}

func (j *job) resultPath() string {
	if j.recipe.Full || j.recipe.Pretraining() {
		return j.folder.join(modelName)
	}
	return j.folder.join(adapterName)
}

// announce compiles the largest programs, so that the memory is known, and tells
// the observer what is about to happen.
func (j *job) announce() error {
	rows, length := j.largest()
	if _, err := j.stepper.Program(rows, length); err != nil {
		return err
	}
	if j.recipe.Eval {
		if err := errors.Join(j.evaluator.Compile(j.eval), j.evaluator.Compile(j.retain)); err != nil {
			return err
		}
	}
	r, report := j.recipe, j.data.Report()
	h := Header{
		Run: j.folder.path, Model: r.Model, Parameters: j.model.Count(), Trainable: j.trainable(), Method: "full",
		Data: r.Data, Rows: report.Kept, Skipped: report.Empty, Dropped: report.Dropped, TargetShare: report.TargetShare(),
		Steps: j.steps, FirstStep: j.first, Warnings: report.Warnings, CPULevel: kernel.Active().String(), Threads: r.threads(),
		CheckpointEvery: r.SaveSteps,
	}
	if r.Pretraining() {
		h.Model, h.Method = r.Shape+" (new)", "from random weights"
	}
	if j.adapter != nil {
		h.Method = fmt.Sprintf("LoRA r=%d alpha=%g on %d layers", r.LoRARank, r.LoRAAlpha, len(j.stepper.parameters)/2)
		h.Parameters += h.Trainable
	}
	if j.eval != nil {
		h.EvalRows = j.eval.Len()
	}
	// Values, gradients and AdamW's two averages of what is trained.
	h.PlannedBytes = int64(h.Parameters)*4 + int64(h.Trainable)*12 + j.arena.Bytes()
	j.observer.Start(h)
	return nil
}

// largest returns the shape of the run's largest micro-batch.
func (j *job) largest() (rows, length int) {
	for e := 0; e*j.batches.Steps() < j.steps && e < 2; e++ {
		plan := j.batches.Plan(e)
		for s := range min(j.batches.Steps(), j.steps-e*j.batches.Steps()) {
			for m := range plan.MicroBatches(s) {
				if r, l := plan.Shape(s, m); r*l > rows*length {
					rows, length = r, l
				}
			}
		}
	}
	return rows, length
}
