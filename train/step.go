package train

import (
	"fmt"
	"math"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/rng"
	"gotune/model"
	"gotune/optim"
)

// Batches gives the micro-batches of optimizer steps: a plan of data, or made-up
// rows in a benchmark.
type Batches interface {
	MicroBatches(step int) int
	TargetTokens(step int) int
	Shape(step, micro int) (rows, length int)
	Fill(b *data.Batch, step, micro int)
}

// A Stepper does optimizer steps: micro-batches through the model, gradients
// summed, clipped, and one step of AdamW. After its first step of each shape it
// allocates nothing.
type Stepper struct {
	model      *model.Model
	project    model.ProjectFunc
	parameters []model.Parameter
	optimizer  *optim.AdamW
	arena      *exec.Arena
	recompute  bool
	seed       uint64
	programs   map[[2]int]*model.Program
	batch      data.Batch
}

// StepperConfig says what is trained and how.
type StepperConfig struct {
	Model      *model.Model
	Project    model.ProjectFunc // of an adapter, or nil
	Parameters []model.Parameter
	AdamW      optim.AdamWConfig
	Recompute  bool
	Seed       uint64
	Team       *kernel.Team
	Arena      *exec.Arena
}

// NewStepper returns a stepper that has taken no step.
func NewStepper(c StepperConfig) (*Stepper, error) {
	ps := make([]optim.Parameter, len(c.Parameters))
	for i, p := range c.Parameters {
		ps[i] = optim.Parameter(p)
	}
	o, err := optim.NewAdamW(c.Team, ps, c.AdamW)
	if err != nil {
		return nil, err
	}
	return &Stepper{
		model: c.Model, project: c.Project, parameters: c.Parameters, optimizer: o, arena: c.Arena,
		recompute: c.Recompute, seed: c.Seed, programs: make(map[[2]int]*model.Program),
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
// through the whole run, names the dropout masks; the step of the batches is
// counted in their epoch. On an error nothing has changed but gradients.
func (s *Stepper) Step(b Batches, step, n int, rate float64) (StepResult, error) {
	r := StepResult{TargetTokens: b.TargetTokens(step)}
	for _, p := range s.parameters {
		clear(p.Grad)
	}
	for micro := range b.MicroBatches(step) {
		b.Fill(&s.batch, step, micro)
		p, err := s.Program(s.batch.Rows, s.batch.Length)
		if err != nil {
			return r, err
		}
		copy(p.IDs, s.batch.IDs)
		copy(p.Targets, s.batch.Targets)
		copy(p.Positions, s.batch.Positions)
		p.Scale[0] = 1 / float32(r.TargetTokens)
		key := mix(s.seed, n, micro)
		p.Key[0], p.Key[1] = int32(uint32(key)), int32(uint32(key>>32))
		if err := p.Run(); err != nil {
			return r, err
		}
		r.Loss += float64(p.Loss())
		r.Tokens += s.batch.Tokens
	}
	if math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0) {
		return r, fmt.Errorf("the loss is %g", r.Loss)
	}
	var err error
	r.Norm, err = s.optimizer.Step(rate)
	return r, err
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
		Rows: rows, Length: length, Parameters: s.parameters, Project: s.project, Recompute: s.recompute,
	})
	if err == nil {
		s.programs[at] = p
	}
	return p, err
}
