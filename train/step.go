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
	Shape(micro int) (rows, length int)
	Fill(b *data.Batch, micro int)
}

// A Stepper does optimizer steps: micro-batches through the model, gradients
// summed, clipped, and one step of the optimizer. After its first step of each shape it
// allocates nothing.
type Stepper struct {
	model      *model.Model
	project    model.ProjectFunc
	parameters []model.Parameter
	optimizer  optim.Optimizer
	arena      *model.Arena
	recompute  bool
	noise      float64
	seed       uint64
	programs   map[[2]int]*model.Program
	batch      data.Batch
}

// StepperConfig says what is trained and how.
type StepperConfig struct {
	Model      *model.Model
	Project    model.ProjectFunc // of an adapter, or nil
	Parameters []model.Parameter // of the adapter or the model: what is trained
	Optimizer  optim.Config
	Recompute  bool         // see [model.ProgramOptions]
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
	ps := make([]optim.Parameter, len(c.Parameters))
	for i, p := range c.Parameters {
		ps[i] = optim.Parameter(p)
	}
	o, err := optim.New(c.Team, ps, c.Optimizer)
	if err != nil {
		return nil, err
	}
	return &Stepper{
		model: c.Model, project: c.Project, parameters: c.Parameters, optimizer: o, arena: c.Arena,
		recompute: c.Recompute, noise: c.Noise, seed: c.Seed, programs: make(map[[2]int]*model.Program),
	}, nil
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
	for _, p := range s.parameters {
		clear(p.Grad)
	}
	for micro := range step.MicroBatches() {
		step.Fill(&s.batch, micro)
		p, err := s.Program(s.batch.Rows, s.batch.Length)
		if err != nil {
			return r, err
		}
		copy(p.IDs, s.batch.IDs)
		copy(p.Targets, s.batch.Targets)
		copy(p.Positions, s.batch.Positions)
		copy(p.Weights, s.batch.Weights)
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

// Program returns the training program for a batch of a shape.
func (s *Stepper) Program(rows, length int) (*model.Program, error) {
	at := [2]int{rows, length}
	if p := s.programs[at]; p != nil {
		return p, nil
	}
	p, err := s.model.Program(s.arena, model.ProgramOptions{
		Rows: rows, Length: length, Parameters: s.parameters, Project: s.project, Recompute: s.recompute, Noise: s.noise,
	})
	if err == nil {
		s.programs[at] = p
	}
	return p, err
}
