package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"gotune/data"
	"gotune/internal/disk"
	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/model"
	"gotune/optim"
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
	recipe := sha256.New()
	if err := hashFile(recipe, os.DirFS(j.folder.path), recipeName); err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	j.record = runRecord{
		Format: runFormat, Status: statusRunning, Arithmetic: Arithmetic(), Model: hash,
		Tokenizer: j.tokenizer.SHA256(), Data: j.data.Fingerprint(), HeldOut: j.heldOutHash(),
		Recipe: hex.EncodeToString(recipe.Sum(nil)), Steps: j.steps,
	}
	return nil
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
		j.adapter, err = lora.Load(os.DirFS(r.Adapter), r.Adapter, j.model)
	default:
		if j.adapter, err = lora.New(r.lora(), j.model, r.Seed); err != nil {
			err = usage{err}
		}
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
