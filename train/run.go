package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"gotune/data"
	"gotune/internal/disk"
	"gotune/internal/exec"
	"gotune/internal/hf"
	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/model"
	"gotune/optim"
)

// ErrInterrupted is returned when the context of a run is cancelled. The run has
// a checkpoint and can go on.
var ErrInterrupted = errors.New("interrupted")

// ErrUsage is what errors of a recipe are (errors.Is) whose values cannot be used.
var ErrUsage = errors.New("wrong usage")

// usage marks an error as ErrUsage without adding to its text.
type usage struct{ error }

func (usage) Is(target error) bool { return target == ErrUsage }

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
	if err := checkAdapter(r); err != nil {
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
		return DoneEvent{Event: "done", Run: j.folder.path, Steps: j.record.Steps, Result: j.resultPath(), AlreadyFinished: true}, nil
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

// checkAdapter looks at an adapter that is to be continued before anything is
// made.
func checkAdapter(r Recipe) error {
	if r.Adapter == "" {
		return nil
	}
	if _, err := os.Stat(r.Adapter); err != nil {
		return fmt.Errorf("adapter: %w", err)
	}
	return nil
}

const (
	statusRunning  = "running"
	statusFinished = "finished"
)

// load brings model, adapter, optimizer and programs into memory, checks the
// space on the disk and writes run.json.
func (j *job) load(ctx context.Context) error {
	r := j.recipe
	var err error
	if j.metrics, err = openMetrics(j.folder.join(metricsName)); err != nil {
		return err
	}
	j.team = kernel.NewTeam(r.threads())
	j.arena = exec.NewArena(j.team)
	if err := j.loadModel(ctx); err != nil {
		return err
	}
	c := StepperConfig{
		Model: j.model, Parameters: j.parameters(), Recompute: r.GradientCheckpointing == "blocks",
		Seed: DropoutSeed(r.Seed), Team: j.team, Arena: j.arena,
		AdamW: optim.AdamWConfig{
			Beta1: r.AdamBeta1, Beta2: r.AdamBeta2, Epsilon: r.AdamEpsilon, WeightDecay: r.WeightDecay, MaxGradNorm: r.MaxGradNorm,
		},
	}
	if j.adapter != nil {
		c.Project = j.adapter.Project
	}
	if j.stepper, err = NewStepper(c); err != nil {
		return err
	}
	j.evaluator = NewEvaluator(j.model, c.Project, j.arena)
	if err := j.checkSpace(); err != nil {
		return err
	}
	hash, err := j.modelHash(r)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	j.record = runRecord{
		Format: runFormat, Status: statusRunning, Arithmetic: Arithmetic, Model: hash,
		Tokenizer: j.tokenizer.SHA256(), Data: j.data.Fingerprint(), Steps: j.steps,
	}
	return nil
}

func (j *job) loadModel(ctx context.Context) error {
	r := j.recipe
	var err error
	if j.source == nil {
		j.model, err = model.New(j.config, r.Seed)
	} else {
		j.model, err = model.Load(ctx, j.source, r.Model)
	}
	if err != nil {
		return err
	}
	switch {
	case r.Full || r.Pretraining():
	case r.Adapter != "":
		if j.adapter, err = lora.Load(os.DirFS(r.Adapter), r.Adapter, j.model); err == nil {
			j.recipe.LoRARank, j.recipe.LoRAAlpha = j.adapter.Config.Rank, j.adapter.Config.Alpha
		}
	default:
		j.adapter, err = lora.New(r.lora(), j.model, r.Seed)
	}
	return err
}

func (j *job) parameters() []model.Parameter {
	if j.adapter != nil {
		return j.adapter.Parameters()
	}
	return j.model.Parameters()
}

// trainable returns the number of trained values.
func (j *job) trainable() int {
	n := 0
	for _, p := range j.stepper.parameters {
		n += len(p.Value)
	}
	return n
}

// checkSpace refuses to begin what the disk cannot hold: the checkpoints that are
// kept, the one being written, and the result; values and two averages each.
func (j *job) checkSpace() error {
	free, err := disk.Free(j.folder.path)
	if err != nil {
		return err
	}
	need := uint64(j.trainable())*12*uint64(j.recipe.SaveTotalLimit+1) + uint64(j.trainable())*4 + 1<<20
	if free < need {
		return fmt.Errorf("the run needs about %d MiB under %s and %d MiB are free: make room, or lower save_total_limit", need>>20, j.folder.path, free>>20)
	}
	return nil
}

func (j *job) close() error {
	var err error
	if j.metrics != nil {
		err = j.metrics.close()
		j.metrics = nil
	}
	if j.team != nil {
		j.team.Close()
	}
	return err
}

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
	if done < j.steps && (stop || r.SaveSteps > 0 && done%r.SaveSteps == 0) {
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

// evaluate scores the held-out data and tells the observer.
func (j *job) evaluate(ctx context.Context, when string, step int, whole bool) (EvalEvent, error) {
	e := EvalEvent{Event: "eval", When: when, Step: step}
	if j.eval != nil {
		var err error
		if e.Scores, err = j.evaluator.Score(ctx, j.eval); err != nil {
			return e, err
		}
		if whole {
			if e.Answers, err = Answers(ctx, j.model, j.stepper.project, j.team, j.tokenizer, j.eval, sampleAnswers); err != nil {
				return e, err
			}
		}
	}
	if whole && j.retain != nil {
		s, err := j.evaluator.Score(ctx, j.retain)
		if err != nil {
			return e, err
		}
		e.RetainLoss = s.Loss
	}
	if j.eval == nil && j.retain == nil {
		return e, nil
	}
	if err := j.metrics.evaluated(e); err != nil {
		return e, err
	}
	j.observer.Evaluated(e)
	return e, nil
}

// sampleAnswers is the number of questions that are shown answered.
const sampleAnswers = 8

// evaluateBefore evaluates the untrained model, or takes what the run wrote when
// it began.
func (j *job) evaluateBefore(ctx context.Context) error {
	if !j.recipe.Eval {
		return nil
	}
	path := j.folder.join(beforeName)
	raw, err := os.ReadFile(path)
	if err == nil && j.first > 0 {
		j.before = new(EvalEvent)
		return json.Unmarshal(raw, j.before)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if j.first > 0 {
		return nil // evaluation was not on when the run began
	}
	e, err := j.evaluate(ctx, "before", 0, true)
	if err != nil {
		return err
	}
	j.before = &e
	return writeJSON(path, e)
}

// saveResult writes the adapter or the model beside the checkpoints, whole or
// not at all.
func (j *job) saveResult() error {
	name := adapterName
	if j.adapter == nil {
		name = modelName
	}
	aside, final := j.folder.join(unfinished+name), j.folder.join(name)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	var err error
	if j.adapter != nil {
		err = j.adapter.Save(aside, j.recipe.Model)
	} else {
		err = j.model.Save(aside, map[string]hf.DType{"float32": hf.F32, "bfloat16": hf.BF16}[j.recipe.SaveDType])
		if err == nil {
			err = j.tokenizer.Save(aside)
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

// announce compiles the largest program, so that the memory is known, and tells
// the observer what is about to happen.
func (j *job) announce() error {
	rows, length := j.largest()
	p, err := j.stepper.Program(rows, length)
	if err != nil {
		return err
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
	h.PlannedBytes = int64(h.Parameters)*4 + int64(h.Trainable)*12 + p.PlannedBytes()
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
