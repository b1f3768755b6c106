package train

import (
	"context"
	"errors"
	"fmt"

	"gotune/data"
	"gotune/model"
)

// extent is what the micro-batches of a stage come to.
type extent struct {
	largest data.Shape // the most tokens and, which another may have, the most targets
	shapes  int        // different ones
	steps   int        // that were looked at
	tokens  int        // with padding, of these steps
	micros  int        // micro-batches of these steps
}

func (e *extent) add(s data.Shape, seen map[data.Shape]bool) {
	e.micros++
	e.tokens += s.Rows * s.Length
	targets := max(e.largest.Targets, s.Targets)
	if s.Rows*s.Length > e.largest.Rows*e.largest.Length {
		e.largest = s
	}
	e.largest.Targets = targets
	s.Targets = model.HeadRows(s.Rows*s.Length, s.Targets)
	seen[s] = true
	e.shapes = len(seen)
}

// A fit is a way to do a stage: micro-batches, and blocks that are computed twice.
type fit struct {
	size, accumulation, blocks int
	extent
	memory Memory
	cost   float64 // in tokens
}

// microTokens is what a micro-batch costs beyond its tokens, in tokens: weights are
// packed and read for each. About 40 % at 64 tokens, 11 % at 256 (measured).
const microTokens = 28

// time estimates what a step costs, in tokens. Computing a block twice adds its
// forward pass to a forward and a backward one; with an adapter the backward pass
// has no products for weights and costs as much as the forward one.
func (f *fit) time(layers int, full bool) float64 {
	share := 1.0 / 2
	if full {
		share = 1.0 / 3
	}
	twice := share * float64(f.blocks) / float64(layers)
	return (float64(f.tokens)*(1+twice) + microTokens*float64(f.micros)) / float64(f.steps)
}

// A fitter looks for ways to do a stage within a limit.
type fitter struct {
	*footprint
	in         *inputs
	stage      *stage
	recipe     Recipe       // of the stage
	evaluation int64        // activations
	shapes     int          // of evaluations
	largest    []data.Shape // of them
	generation int64
}

// fitter prepares to look at a stage of a recipe whose adapters are resolved.
func (in *inputs) fitter(s *stage, r Recipe) (*fitter, error) {
	outline, err := in.outline(s, r, model.Base(r.BasePrecision))
	if err != nil {
		return nil, err
	}
	adapter, err := r.outlineAdapter(outline)
	if err != nil {
		return nil, usage{err}
	}
	f := &footprint{inputs: in.resident, model: outline, optimizer: r.optimizer(in.config.Layers), noise: r.NEFTuneNoiseAlpha, threads: r.threads(), averaged: r.EMADecay > 0}
	if adapter != nil {
		f.project = adapter.Project
	}
	if f.parameters, err = r.parameters(outline, adapter); err != nil {
		return nil, err
	}
	w := &fitter{footprint: f, in: in, stage: s, recipe: r}
	if !r.Eval {
		return w, nil
	}
	for _, d := range []*data.Dataset{in.eval, in.retain} {
		if d == nil {
			continue
		}
		e, err := evalExtent(d)
		if err != nil {
			return nil, err
		}
		need, err := f.evaluationBytes(e.largest)
		if err != nil {
			return nil, err
		}
		w.evaluation, w.shapes = max(w.evaluation, need), w.shapes+e.shapes
		w.largest = append(w.largest, e.largest)
	}
	if in.eval != nil {
		w.generation = f.generation(in.eval)
	}
	return w, nil
}

// outline is the model as a stage holds it, without values, stored as base says if it
// is frozen.
func (in *inputs) outline(s *stage, r Recipe, base model.Base) (m *model.Model, err error) {
	switch {
	case r.Full || r.Pretraining():
		m, err = model.Outline(in.config)
	case in.rewritten(s):
		m, err = model.OutlineFrozen(in.config, nil, r.Model, base)
	default:
		m, err = model.OutlineFrozen(in.config, in.source, r.Model, base)
	}
	if err == nil {
		m.Arithmetic = r.arithmetic()
	}
	return m, err
}

// rewritten reports whether a stage begins with weights that one before it has
// written, in float32, and not with those of the model.
func (in *inputs) rewritten(s *stage) bool {
	for i := s.index; i > 0; i-- {
		if before, r := in.stages[i-1].recipe.Stage, in.stages[i].recipe.Stage; before.Full || r.merges(before) {
			return true
		}
	}
	return false
}

// evalExtent is what the batches of an evaluation come to.
func evalExtent(d *data.Dataset) (extent, error) {
	batches, err := d.Batches(evalBatches)
	if err != nil {
		return extent{}, fmt.Errorf("evaluating: %w", err)
	}
	e, seen := extent{}, make(map[data.Shape]bool)
	plan := batches.Plan(0)
	for n := range batches.Steps() {
		e.add(plan.Step(n).Shape(0), seen)
	}
	return e, nil
}

// at returns the stage with micro-batches of a size, and so many blocks computed
// twice.
func (w *fitter) at(size, accumulation int, e extent, blocks int) (fit, error) {
	f := fit{size: size, accumulation: accumulation, blocks: blocks, extent: e}
	var err error
	if f.memory, err = w.memory(e.shapes+w.shapes, append(w.largest, e.largest)...); err != nil {
		return f, err
	}
	need, err := w.model.Measure(w.options(e.largest, blocks))
	f.memory.Activations, f.memory.Generation = max(need, w.evaluation), w.generation
	f.cost = f.time(w.model.Config.Layers, w.recipe.Full || w.recipe.Pretraining())
	return f, err
}

// best returns the cheapest way to do the stage in a limit. Where there is none it
// returns the one that needs least, and false. With split set it may split the rows
// of a step into other micro-batches.
func (w *fitter) best(limit int64, split bool) (best fit, ok bool, err error) {
	size, accumulation := w.recipe.BatchSize, w.recipe.GradientAccumulationSteps
	rows := size * accumulation
	var least fit
	for n := rows; n > 0; n-- {
		if rows%n != 0 || !split && n != size {
			continue
		}
		f, fits, err := w.fewestBlocks(n, rows/n, limit)
		switch {
		case err != nil:
			return f, false, err
		case fits && (!ok || f.cost < best.cost):
			best, ok = f, true
		case !fits && (least.size == 0 || f.memory.Total() < least.memory.Total()):
			least = f
		}
	}
	if !ok {
		return least, false, nil
	}
	return best, true, nil
}

// fewestBlocks returns the least number of blocks to compute twice that fits, or
// all if even that does not.
func (w *fitter) fewestBlocks(size, accumulation int, limit int64) (fit, bool, error) {
	e := w.stage.feed.extent(w.stage.steps, size, accumulation)
	layers := w.model.Config.Layers
	f, err := w.at(size, accumulation, e, 0)
	if err != nil || f.memory.Total() <= limit {
		return f, true, err
	}
	if f, err = w.at(size, accumulation, e, layers); err != nil || f.memory.Total() > limit {
		return f, false, err
	}
	for low, high := 1, layers-1; low <= high; {
		middle := (low + high) / 2
		g, err := w.at(size, accumulation, e, middle)
		if err != nil {
			return f, false, err
		}
		if g.memory.Total() <= limit {
			f, high = g, middle-1
		} else {
			low = middle + 1
		}
	}
	return f, true, nil
}

// fit chooses how much to compute twice and, within max_memory, how to split the
// rows of a step, and writes that down in the recipe and the stages. A recipe that
// says so itself is held against max_memory. What does not fit is refused.
func (in *inputs) fit(ctx context.Context, r Recipe) (Recipe, error) {
	auto := r.GradientCheckpointing == autoCheckpointing
	limit, err := ParseSize(r.MaxMemory)
	if err != nil || !auto && limit == 0 {
		return r, err
	}
	given := limit > 0
	if !given {
		if limit = availableMemory() / 5 * 4; limit > 0 {
			limit += in.resident
		}
	}
	blocks, plan := 0, r.plan()
	for i, s := range in.stages {
		if limit == 0 {
			break
		}
		w, err := in.fitter(s, plan[i])
		if err != nil {
			return r, err
		}
		best, ok, err := w.best(limit, auto && given)
		if err == nil && !auto {
			best, ok, err = w.asGiven(limit, best, ok)
		}
		if err != nil {
			return r, err
		}
		if given && !ok {
			return r, w.refuse(limit, best)
		}
		blocks = max(blocks, best.blocks)
		if err := in.split(ctx, &r, i, best); err != nil {
			return r, err
		}
	}
	if auto {
		r.GradientCheckpointing = checkpointing(blocks, in.config.Layers)
		for _, s := range in.stages {
			s.recipe.GradientCheckpointing = r.GradientCheckpointing
		}
	}
	return r, nil
}

// asGiven holds the stage as the recipe has it against the limit. Where it does not
// fit, what would fit is kept for the message.
func (w *fitter) asGiven(limit int64, best fit, ok bool) (fit, bool, error) {
	blocks, err := parseCheckpointing(w.recipe.GradientCheckpointing)
	if err != nil {
		return best, false, err
	}
	size, accumulation := w.recipe.BatchSize, w.recipe.GradientAccumulationSteps
	f, err := w.at(size, accumulation, w.stage.feed.extent(w.stage.steps, size, accumulation), min(blocks, w.model.Config.Layers))
	if err != nil || f.memory.Total() <= limit {
		return f, true, err
	}
	if other, fits, err := w.best(limit, true); err != nil || fits {
		return other, false, err
	}
	return best, false, nil
}

// refuse says what does not fit, and what would.
func (w *fitter) refuse(limit int64, f fit) error {
	need := f.memory.Total()
	way := fmt.Sprintf("batch_size %d, gradient_accumulation_steps %d and gradient_checkpointing %s", f.size, f.accumulation, checkpointing(f.blocks, w.model.Config.Layers))
	stage := ""
	if w.recipe.Name != "" {
		stage = "stage " + w.recipe.Name + ": "
	}
	if need <= limit {
		return usagef("%sthe recipe does not fit into max_memory (%s); it would with %s (%s), or give gradient_checkpointing auto", stage, formatSize(limit), way, formatSize(need))
	}
	base, least, err := w.otherBase(f, limit)
	if err != nil {
		return err
	}
	fixed := need - f.memory.Activations
	advice := "shorter rows (max_length) would need less"
	switch {
	case base != "":
		advice = fmt.Sprintf("base_precision %s would fit (%s)", base, formatSize(least))
	case fixed > limit:
		advice = fmt.Sprintf("%s of this are not for activations, so that only a smaller model, an adapter in place of full tuning, or a lower rank would fit", formatSize(fixed))
	}
	return usagef("%sthe run does not fit into max_memory (%s): the least it needs is %s, with %s; %s", stage, formatSize(limit), formatSize(need), way, advice)
}

// otherBase returns the way to store frozen weights that changes them least, among those
// with which a fit would be within the limit, and what it would need; "" if there is none.
func (w *fitter) otherBase(f fit, limit int64) (base string, need int64, err error) {
	if w.recipe.Full || w.recipe.Pretraining() {
		return "", 0, nil
	}
	for _, base := range model.Bases() {
		outline, err := w.in.outline(w.stage, w.recipe, model.Base(base))
		if err != nil {
			return "", 0, err
		}
		if need := f.memory.Total() - f.memory.Weights + outline.Bytes(); need <= limit {
			return base, need, nil
		}
	}
	return "", 0, nil
}

// split makes a stage's steps of other micro-batches.
func (in *inputs) split(ctx context.Context, r *Recipe, i int, f fit) error {
	s := in.stages[i]
	if f.size == s.recipe.BatchSize && f.accumulation == s.recipe.GradientAccumulationSteps {
		return nil
	}
	stage := &r.Stage
	if len(r.Stages) > 0 {
		stage = &r.Stages[i]
	}
	for _, k := range []*Stage{stage, &s.recipe.Stage} {
		k.BatchSize, k.GradientAccumulationSteps = f.size, f.accumulation
	}
	steps := s.steps
	s.feed.close()
	if err := in.openStage(ctx, s); err != nil {
		return err
	}
	if s.steps != steps {
		return errors.New("other micro-batches gave other steps") // a fault of the program
	}
	return nil
}
