package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gotune/internal/exec"
	"gotune/internal/kernel"
)

// PlanConfig says what to plan.
type PlanConfig struct {
	Recipe Recipe
	// Shape plans for a model of this shape with random weights, with the tokenizer
	// of Recipe.Model, in place of that model.
	Shape string
	Probe bool // do a few steps and measure their time
}

// A Plan is what a recipe will take. Of several stages Memory is that of the stage
// that needs most.
type Plan struct {
	Memory                Memory      `json:"memory"`
	Total                 int64       `json:"total"`     // bytes
	Available             int64       `json:"available"` // bytes; 0 where that is not known
	GradientCheckpointing string      `json:"gradient_checkpointing"`
	Parameters            int         `json:"parameters"` // of the model
	Trainable             int64       `json:"trainable"`  // of the last stage
	Stages                []PlanStage `json:"stages"`
	Steps                 int         `json:"steps"`
	Seconds               float64     `json:"seconds"` // of all steps, without evaluations and checkpoints; 0 if not probed
	CPULevel              string      `json:"cpu_level"`
	Threads               int         `json:"threads"`
}

// A PlanStage is the plan of one stage. Its time is that of the first stage's
// steps, by tokens.
type PlanStage struct {
	Name                      string  `json:"name,omitempty"`
	Steps                     int     `json:"steps"`
	Rows                      int     `json:"rows"` // kept
	BatchSize                 int     `json:"batch_size"`
	GradientAccumulationSteps int     `json:"gradient_accumulation_steps"`
	Largest                   [2]int  `json:"largest"` // rows and tokens of the largest micro-batch
	Tokens                    float64 `json:"tokens"`  // of all steps, with padding
	StepSeconds               float64 `json:"step_seconds"`
	Seconds                   float64 `json:"seconds"`
	Total                     int64   `json:"total"` // bytes
}

// MakePlan works out what a recipe will take. It reads the data as Run does and
// writes nothing.
func MakePlan(ctx context.Context, c PlanConfig) (Plan, error) {
	in, r, err := c.read(ctx)
	if err != nil {
		return Plan{}, err
	}
	defer in.close()
	if r, err = r.withTargets(in.config.ModelType).withAdapter(); err != nil {
		return Plan{}, err
	}
	available := availableMemory()
	if r, err = in.fit(ctx, r); err != nil {
		return Plan{}, err
	}
	p := Plan{
		Available: available, GradientCheckpointing: r.GradientCheckpointing, Steps: in.steps,
		CPULevel: kernel.Active().String(), Threads: r.threads(),
	}
	for i, one := range r.plan() {
		if err := p.stage(in, in.stages[i], one); err != nil {
			return p, err
		}
	}
	p.Total = p.Memory.Total()
	if c.Probe {
		err = p.probe(ctx, in, r)
	}
	return p, err
}

// read reads the inputs, with the shape asked for in place of the model's.
func (c PlanConfig) read(ctx context.Context) (*inputs, Recipe, error) {
	r := c.Recipe
	if c.Shape == "" {
		in, err := read(ctx, r)
		return in, r, err
	}
	if err := r.Validate(); err != nil {
		return nil, r, usage{err}
	}
	in := &inputs{}
	if err := in.openModel(ctx, r); err != nil {
		return nil, r, err
	}
	config, err := ReadShape(c.Shape)
	if err != nil {
		return nil, r, usage{err}
	}
	in.source, in.config = nil, WithTokenizer(config, in.tokenizer)
	if err := fits(in.config, in.tokenizer); err != nil {
		return nil, r, err
	}
	return in, r, in.read(ctx, r)
}

func (in *inputs) close() {
	for _, s := range in.stages {
		s.feed.close()
	}
}

func (p *Plan) stage(in *inputs, s *stage, r Recipe) error {
	w, err := in.fitter(s, r)
	if err != nil {
		return err
	}
	blocks, err := parseCheckpointing(r.GradientCheckpointing)
	if err != nil {
		return err
	}
	e := s.feed.extent(s.steps, r.BatchSize, r.GradientAccumulationSteps)
	f, err := w.at(r.BatchSize, r.GradientAccumulationSteps, e, min(blocks, in.config.Layers))
	if err != nil {
		return err
	}
	total := f.memory.Total()
	if total > p.Memory.Total() {
		p.Memory = f.memory
	}
	p.Parameters, p.Trainable = w.model.Count(), w.trained()
	p.Stages = append(p.Stages, PlanStage{
		Name: r.Name, Steps: s.steps, Rows: s.feed.report().Kept, BatchSize: r.BatchSize, GradientAccumulationSteps: r.GradientAccumulationSteps,
		Largest: [2]int{e.largest.Rows, e.largest.Length}, Tokens: float64(e.tokens) * float64(s.steps) / float64(e.steps), Total: total,
	})
	return nil
}

// A probe ends after so many steps, or when it has taken so long.
const (
	probeSteps   = 4
	probeSeconds = 20
)

// probe does the first steps of the first stage, the first one twice, since it
// compiles and touches all memory for the first time.
func (p *Plan) probe(ctx context.Context, in *inputs, r Recipe) (err error) {
	j := &job{inputs: in, recipe: r, team: kernel.NewTeam(r.threads())}
	defer j.team.Close()
	j.arena = exec.NewArena(j.team)
	if err := j.prepare(ctx, 0); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.closeModel()) }()
	s, tokens, seconds, all := in.stages[0], 0, 0.0, time.Now()
	if _, ok := s.feed.(*streamed); ok && s.steps < 2 {
		return errors.New("a stream of one step cannot be probed")
	}
	for n := range min(probeSteps, s.steps) {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch, err := s.feed.step(ctx, n)
		if err != nil {
			return err
		}
		size := 0
		for m := range batch.MicroBatches() {
			shape := batch.Shape(m)
			size += shape.Rows * shape.Length
			if _, err := j.stepper.program(shape); err != nil {
				return err
			}
		}
		for warm := n == 0; ; warm = false {
			start := time.Now()
			if _, err := j.stepper.Step(batch, n, 0); err != nil {
				return fmt.Errorf("step %d: %w", n+1, err)
			}
			if !warm {
				tokens, seconds = tokens+size, seconds+time.Since(start).Seconds()
				break
			}
		}
		if time.Since(all).Seconds() > probeSeconds {
			break
		}
	}
	for i := range p.Stages {
		q := &p.Stages[i]
		q.Seconds = q.Tokens * seconds / float64(tokens)
		q.StepSeconds = q.Seconds / float64(max(1, q.Steps))
		p.Seconds += q.Seconds
	}
	return nil
}

// Lines lists the components with the names that people read.
func (m Memory) Lines() []MemoryLine {
	return []MemoryLine{
		{"program, data, tokenizer", m.Inputs}, {"weights", m.Weights}, {"adapter", m.Adapter}, {"gradients", m.Gradients},
		{"optimizer", m.Optimizer}, {"activations", m.Activations}, {"generation", m.Generation}, {"graphs, threads", m.Programs},
	}
}

// A MemoryLine is a component of Memory with its name.
type MemoryLine struct {
	Name  string
	Bytes int64
}
