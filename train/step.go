package train

import (
	"fmt"
	"math"

	"gotune/data"
	"gotune/internal/rng"
	"gotune/model"
	"gotune/optim"
)

// A Step gives the micro-batches of an optimizer step: a step of data, or
// made-up rows in a benchmark.
type Step interface {
	MicroBatches() int
	Weight() float64 // of all targets
	Fill(b *data.Batch, micro int)
}

// A Stepper does optimizer steps: micro-batches through the model, gradients
// summed, clipped, and one step of the optimizer. After its first step of each shape it
// allocates nothing.
type Stepper struct {
	programs
	optimizer optim.Optimizer
	seed      uint64
	batch     data.Batch
}

// StepperConfig says what is trained and how.
type StepperConfig struct {
	Model      *model.Model
	Project    model.ProjectFunc // of an adapter, or nil
	Parameters []model.Parameter // of the adapter or the model: what is trained
	Optimizer  optim.Config
	Recompute  int          // blocks that are computed twice; see [model.ProgramOptions]
	Noise      float64      // alpha of NEFTune; 0 is none
	Seed       uint64       // of the dropout masks
	Team       *model.Team  // of the optimizer; nil is one thread
	Arena      *model.Arena // of the programs; nil is one of its own on the team
}

// NewStepper returns a stepper that has taken no step.
func NewStepper(c StepperConfig) (*Stepper, error) {
	if c.Arena == nil {
		c.Arena = model.NewArena(c.Team)
	}
	o, err := optim.New(c.Team, optimizable(c.Parameters), c.Optimizer)
	if err != nil {
		return nil, err
	}
	return &Stepper{
		programs:  newPrograms(c.Model, c.Arena, c.programs()),
		optimizer: o, seed: c.Seed,
	}, nil
}

func (c StepperConfig) programs() model.ProgramOptions {
	return model.ProgramOptions{Parameters: c.Parameters, Project: c.Project, Recompute: c.Recompute, Noise: c.Noise}
}

// StepResult is what a step computed.
type StepResult struct {
	Loss         float64 // mean over target tokens
	Norm         float64 // of the gradients before clipping
	Tokens       int     // that are not padding
	TargetTokens int
}

// Step does one step with a learning rate. The number n of the step, from 0
// through the whole run, names the dropout masks. On an error nothing has changed
// but gradients.
func (s *Stepper) Step(step Step, n int, rate float64) (StepResult, error) {
	var r StepResult
	weight := step.Weight()
	for _, p := range s.options.Parameters {
		clear(p.Grad)
	}
	for micro := range step.MicroBatches() {
		step.Fill(&s.batch, micro)
		p, err := s.load(&s.batch)
		if err != nil {
			return r, err
		}
		p.Noise[0] = s.model.NoiseSize(s.options.Noise, s.batch.Padded)
		p.Scale[0] = 1 / float32(weight)
		key := mix(s.seed, n, micro)
		p.Key[0], p.Key[1] = int32(uint32(key)), int32(uint32(key>>32))
		if err := p.Run(); err != nil {
			return r, err
		}
		r.Loss += float64(p.Loss())
		r.Tokens += s.batch.Tokens
		r.TargetTokens += s.batch.TargetTokens
		if math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0) {
			return r, fmt.Errorf("the loss is %g%s", r.Loss, s.where(p))
		}
	}
	var err error
	r.Norm, err = s.optimizer.Step(rate)
	return r, err
}

// where names the first row of the batch at hand whose loss is no number.
func (s *Stepper) where(p *model.Program) string {
	nll := p.NLL()
	for _, seg := range s.batch.Segments {
		from := seg.Row*s.batch.Length + seg.Start
		for _, v := range nll[from : from+seg.Length] {
			if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Sprintf(", first in %s", seg.At)
			}
		}
	}
	return ""
}

// mix makes the key of a micro-batch's dropout masks from the seed of all masks
// (the finaliser of SplitMix64).
func mix(seed uint64, step, micro int) uint64 {
	x := seed + (uint64(step)<<20|uint64(micro))*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// DropoutSeed is the seed of a run's dropout masks.
func DropoutSeed(seed uint64) uint64 { return rng.Key(seed, "dropout") }
