package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"gotune/data"
	"gotune/internal/disk"
	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/model"
	"gotune/optim"
)

// open makes what all stages share, and the record of what the run starts from.
func (j *job) open() error {
	var err error
	if j.metrics, err = openMetrics(j.folder.join(metricsName)); err != nil {
		return err
	}
	if err := j.openBoard(); err != nil {
		return err
	}
	j.team = kernel.NewTeam(j.recipe.threads())
	j.arena = exec.NewArena(j.team)
	hash, err := j.modelHash(j.recipe)
	if err != nil {
		return fmt.Errorf("model %s: %w", j.recipe.Model, err)
	}
	data, err := j.dataHash()
	if err != nil {
		return err
	}
	recipe := sha256.New()
	if err := hashFile(recipe, os.DirFS(j.folder.path), recipeName); err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	j.record = runRecord{
		Format: runFormat, Status: statusRunning, Arithmetic: j.recipe.bits(), Model: hash,
		Tokenizer: j.tokenizer.SHA256(), Data: data, HeldOut: j.heldOutHash(),
		Recipe: hex.EncodeToString(recipe.Sum(nil)), Steps: j.steps,
	}
	return nil
}

// dataHash names the data of all stages.
func (in *inputs) dataHash() (string, error) {
	var names []string
	for _, s := range in.stages {
		name, err := s.feed.identity()
		if err != nil {
			return "", fmt.Errorf("data: %w", err)
		}
		names = append(names, name)
	}
	return strings.Join(names, " "), nil
}

// heldOutHash names the data that is evaluated on.
func (in *inputs) heldOutHash() string {
	var names []string
	for _, d := range []*data.Dataset{in.eval, in.retain} {
		if d != nil {
			names = append(names, d.Fingerprint())
		}
	}
	return strings.Join(names, " ")
}

// enter prepares a stage and checks the space on the disk.
func (j *job) enter(ctx context.Context, index int) error {
	if err := j.prepare(ctx, index); err != nil {
		return err
	}
	return j.checkSpace()
}

// prepare brings the model, the adapter, the optimizer and the programs of a stage
// into memory, as they are before its first step.
func (j *job) prepare(ctx context.Context, index int) error {
	j.stage, j.first, j.best, j.watch = j.stages[index], 0, bestState{}, watch{}
	j.owed, j.unjudged = false, false
	if err := j.loadModel(ctx); err != nil {
		return err
	}
	r := j.stage.recipe
	parameters, err := r.parameters(j.model, j.adapter)
	if err != nil {
		return err
	}
	blocks, err := parseCheckpointing(r.GradientCheckpointing)
	if err != nil {
		return err
	}
	c := StepperConfig{
		Model: j.model, Parameters: parameters, Recompute: blocks, Noise: r.NEFTuneNoiseAlpha,
		Seed: DropoutSeed(r.Seed), Team: j.team, Arena: j.arena, Optimizer: r.optimizer(j.model.Config.Layers),
	}
	if j.adapter != nil {
		c.Project = j.adapter.Project
	}
	if j.stepper, err = NewStepper(c); err != nil {
		return err
	}
	j.evaluator = NewEvaluator(j.model, c.Project, j.arena)
	if err := j.startAverage(); err != nil {
		return err
	}
	return j.takeOptimizer()
}

func (j *job) loadModel(ctx context.Context) error {
	r := j.stage.recipe
	if err := j.closeModel(); err != nil {
		return err
	}
	name, adapter := j.folder.start(j.recipe, j.stage.index)
	source := j.source
	var err error
	if name != r.Model {
		source = os.DirFS(name)
	}
	switch {
	case source == nil:
		j.model, err = model.New(j.config, r.Seed)
	case r.Full:
		j.model, err = model.Load(ctx, source, name)
	default:
		j.model, err = model.LoadFrozen(ctx, source, name, model.Base(r.BasePrecision))
	}
	if err != nil {
		return err
	}
	j.model.Arithmetic = r.arithmetic()
	j.adapter = nil
	switch {
	case r.Full || r.Pretraining():
	case adapter != "":
		j.adapter, err = LoadAdapter(os.DirFS(adapter), adapter, j.model)
	default:
		if j.adapter, err = j.newAdapter(r); err != nil {
			err = usage{err}
		}
	}
	return err
}

// parameters lists what a stage trains: of the adapter or else of the model, what
// belongs to the last layers.
func (r Recipe) parameters(m *model.Model, adapter Adapter) ([]model.Parameter, error) {
	all := m.Parameters
	if adapter != nil {
		all = adapter.Parameters
	}
	last, layers := r.LastLayers, m.Config.Layers
	if last == 0 {
		return all(), nil
	}
	var whole []string // which the recipe names itself
	if adapter != nil {
		whole = adapter.Whole()
	}
	some := slices.DeleteFunc(all(), func(p model.Parameter) bool {
		if slices.Contains(whole, p.Name) {
			return false
		}
		layer, ok := optim.Layer(p.Name)
		return !ok || layer < layers-last
	})
	if len(some) == 0 {
		return nil, usagef("last_layers is %d, but the adapter has none of these layers", last)
	}
	return some, nil
}

// trainable returns the number of trained values.
func (j *job) trainable() int {
	n := 0
	for _, p := range j.stepper.options.Parameters {
		n += len(p.Value)
	}
	return n
}

// checkSpace refuses to begin what the disk cannot hold: checkpoints, of values and their
// averages, the best state, the result, and where stages follow each other
// the weights that one leaves for the next.
func (j *job) checkSpace() error {
	free, err := disk.Free(j.folder.path)
	if err != nil {
		return err
	}
	trained := uint64(j.trainable())
	count, bytes, err := j.folder.sizeOfCheckpoints()
	if err != nil {
		return err
	}
	state, _, err := optim.Memory(optimizable(j.stepper.options.Parameters), j.stage.recipe.optimizer(j.model.Config.Layers))
	if err != nil {
		return err
	}
	kept := trained*4 + uint64(state)
	if j.average != nil {
		kept += trained * 4
	}
	need := roomForCheckpoints(kept, uint64(j.recipe.SaveTotalLimit), count, bytes) + trained*8 + 1<<20
	if !j.lastStage() {
		need += uint64(j.model.Count()) * 4
	}
	if j.recipe.keepsOptimizer(j.stage.index + 1) {
		need += uint64(state)
	}
	if free < need {
		return noSpace{fmt.Errorf("the run needs about %.1f MiB under %s and %.1f MiB are free: make room, or lower save_total_limit",
			float64(need)/(1<<20), j.folder.path, float64(free)/(1<<20))}
	}
	return nil
}

// noSpace marks an error as syscall.ENOSPC, which is what writing would have ended
// with.
type noSpace struct{ error }

func (noSpace) Is(target error) bool { return target == syscall.ENOSPC }

// roomForCheckpoints returns the bytes that checkpoints will take beyond those that
// are there already: count of them, in so many bytes, which are removed one by one as
// new ones are written. The limit of them are kept and one more is being written.
func roomForCheckpoints(size, limit, count, bytes uint64) uint64 {
	all := size * (limit + 1)
	before := size * (limit + 1 - min(count, limit)) // none is removed yet
	if all < bytes {
		return before
	}
	return max(before, all-bytes)
}

// closeModel gives the memory of a stage's model back.
func (j *job) closeModel() error {
	m := j.model
	if j.model = nil; m == nil {
		return nil
	}
	return m.Close()
}

func (j *job) close() error {
	err := j.closeModel()
	if j.metrics != nil {
		err = errors.Join(err, j.metrics.close())
		j.metrics = nil
	}
	if j.board != nil {
		err = errors.Join(err, j.board.close())
		j.board = nil
	}
	if j.inputs != nil {
		for _, s := range j.stages {
			s.feed.close()
		}
	}
	if j.team != nil {
		j.team.Close()
	}
	return err
}
