package train

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"gotune/data"
	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/internal/kernel"
)

// loop takes the optimizer steps of the stage.
func (j *job) loop(ctx context.Context) error {
	s := j.stage
	if err := j.evaluateOwed(ctx); err != nil {
		return interrupted(ctx, err)
	}
	for j.first < s.steps && !j.best.Stopped {
		n := j.begun + j.first
		// A stop is looked for after the step, with a checkpoint.
		batch, err := s.feed.step(context.WithoutCancel(ctx), j.first)
		if err != nil {
			return err
		}
		start := time.Now()
		rate := s.rate(j.first)
		r, err := j.stepper.Step(batch, n, rate)
		if err == nil {
			err = j.watch.look(r.Norm)
		}
		if err != nil {
			return j.explain(n, batch, err)
		}
		if j.average != nil {
			j.average.Update()
		}
		took := time.Since(start).Seconds()
		j.seconds += took
		j.first++
		e := StepEvent{
			Event: "step", Stage: s.recipe.Name, Step: n + 1, Loss: r.Loss, GradNorm: r.Norm, LearningRate: rate,
			TargetTokens: r.TargetTokens, Tokens: r.Tokens, TokensPerSecond: float64(r.Tokens) / took,
		}
		if err := errors.Join(j.metrics.step(e), j.board.step(e)); err != nil {
			return err
		}
		j.observer.Step(e)
		if err := j.afterStep(ctx); err != nil {
			return err
		}
	}
	return nil
}

// afterStep saves and evaluates where it is due, and stops where it is asked to.
func (j *job) afterStep(ctx context.Context) error {
	r, s := j.recipe, j.stage
	done, last := j.begun+j.first, j.first == s.steps
	every := r.EvalSteps
	if every == 0 {
		every = max(1, j.steps/5)
	}
	due := done%every == 0 && !(last && j.lastStage()) || last && (!j.lastStage() || r.LoadBestModelAtEnd)
	j.unjudged = r.Eval && j.eval != nil && due
	if err := j.evaluateOwed(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	stop := ctx.Err() != nil
	j.owed = j.owed || r.SaveSteps > 0 && done%r.SaveSteps == 0
	// The last step too: what follows it may be interrupted. While the norm is far
	// above the usual the state may be no good one to keep, so the checkpoint waits.
	if stop || last || j.best.Stopped || j.owed && j.watch.Spikes == 0 {
		if err := j.saveCheckpoint(done); err != nil {
			return err
		}
		j.owed = false
	}
	if stop && (j.unjudged || !last || !j.lastStage()) {
		return ErrInterrupted
	}
	return nil
}

// evaluateOwed evaluates after the last step where that is due. A stop leaves it to
// the run that goes on, which would else judge other states.
func (j *job) evaluateOwed(ctx context.Context) error {
	if !j.unjudged {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j.swapAverage()
	e, err := j.evaluate(ctx, "during", j.begun+j.first, false)
	if err == nil {
		err = j.judge(e)
	}
	j.swapAverage()
	j.unjudged = err != nil
	return err
}

// saveResult writes the adapter or the model beside the checkpoints, whole or
// not at all.
func (j *job) saveResult() error {
	if j.recipe.Pretraining() {
		j.redrawUnseen()
	}
	return disk.WriteFolder(j.folder.result(j.recipe), func(dir string) error {
		if j.adapter != nil {
			base, _ := j.folder.start(j.recipe, j.stage.index)
			return errors.Join(j.adapter.Save(dir, base), j.saveTemplate(dir))
		}
		d, err := hf.ParseDType(j.recipe.SaveDType)
		if err != nil {
			return err
		}
		return errors.Join(j.model.Save(dir, d), j.saveTokenizer(dir))
	})
}

// saveTokenizer writes the tokenizer's files, and the chat template where it is
// another than theirs.
func (in *inputs) saveTokenizer(dir string) error {
	return errors.Join(in.tokenizer.Save(dir), in.saveTemplate(dir))
}

// saveTemplate writes the chat template where it is another than the tokenizer's.
func (in *inputs) saveTemplate(dir string) error {
	if in.template.Source() == in.tokenizer.ChatTemplate() {
		return nil
	}
	return disk.WriteBytes(filepath.Join(dir, templateName), []byte(in.template.Source()))
}

// result is the folder of what a run ends with.
func (f *folder) result(r Recipe) string {
	plan := r.plan()
	if last := plan[len(plan)-1]; last.Full || last.Pretraining() {
		return f.join(modelName)
	}
	return f.join(adapterName)
}

// announce compiles the largest programs, so that the memory is known, and tells
// the observer what is about to happen.
func (j *job) announce() error {
	extent := j.stage.feed.extent(j.stage.steps, j.stage.recipe.BatchSize, j.stage.recipe.GradientAccumulationSteps)
	if _, err := j.stepper.program(extent.largest); err != nil {
		return err
	}
	shapes, largest := extent.shapes, []data.Shape{extent.largest}
	if j.recipe.Eval {
		for _, d := range []*data.Dataset{j.eval, j.retain} {
			n, shape, err := j.evaluator.Compile(d)
			if err != nil {
				return err
			}
			shapes, largest = shapes+n, append(largest, shape)
		}
	}
	memory, err := j.memory(shapes, largest)
	if err != nil {
		return err
	}
	s := j.stage
	r, report := s.recipe, s.feed.report()
	h := Header{
		Run: j.folder.path, Model: r.Model, Parameters: j.model.Count(), Trainable: j.trainable(), Method: "full",
		Data: r.Data.String(), Streaming: r.Streaming, Corpora: s.exposures(), Rows: report.Kept, Skipped: report.Empty, Dropped: report.Dropped, Refused: report.Refused,
		TargetShare: report.TargetShare(), Template: j.template.Name(),
		Stage: r.Name, StageIndex: s.index, Stages: len(j.stages), StageSteps: s.steps,
		Steps: j.steps, FirstStep: j.begun + j.first, CPULevel: kernel.Active().String(), Threads: r.threads(),
		Weights: j.model.Stored(), Precision: r.Precision, Pairs: kernel.Pairs(),
	}
	h.Warnings, h.Serious = j.notes(s)
	for _, f := range report.Files {
		if f.Format != "world" {
			h.Files = append(h.Files, f.String())
		}
	}
	if r.Pretraining() {
		h.Model, h.Method = r.Shape+" (new)", "from random weights"
	}
	if j.adapter != nil {
		h.Method = j.adapter.Describe(j.stepper.options.Parameters)
		for _, p := range j.stepper.options.Parameters {
			if _, own := j.model.Weights[p.Name]; !own {
				h.Parameters += len(p.Value)
			}
		}
	}
	if j.eval != nil {
		h.EvalRows = j.eval.Len()
	}
	h.PlannedBytes, h.Memory = memory.Total(), memory
	h.StageTokens = float64(extent.tokens) * float64(s.steps) / float64(extent.steps)
	j.observer.Start(h)
	return nil
}

// memory is what the stage needs with so many programs, once the largest ones, of these
// shapes, are compiled.
func (j *job) memory(programs int, largest []data.Shape) (Memory, error) {
	f := footprint{
		inputs: j.resident, model: j.model, parameters: j.stepper.options.Parameters, project: j.stepper.options.Project,
		optimizer: j.stage.recipe.optimizer(j.model.Config.Layers), threads: j.stage.recipe.threads(), averaged: j.average != nil,
	}
	m, err := f.memory(programs, largest...)
	m.Activations = j.arena.Bytes()
	if j.recipe.Eval && j.eval != nil {
		m.Generation = f.generation(j.eval)
	}
	return m, err
}

// exposures says how often each corpus is seen in the stage; nil where that is not
// known.
func (s *stage) exposures() []Exposure {
	if s.feed.epoch() == 0 {
		return nil
	}
	epochs := float64(s.steps) / float64(s.feed.epoch())
	var all []Exposure
	for _, c := range s.feed.report().Corpora {
		e := Exposure{Path: c.Path, Rows: c.Kept}
		if c.Kept > 0 {
			e.Times = epochs * float64(c.Taken) / float64(c.Kept)
		}
		all = append(all, e)
	}
	return all
}
