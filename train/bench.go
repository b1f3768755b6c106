package train

import (
	"context"
	"time"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/rng"
	"gotune/lora"
	"gotune/model"
	"gotune/optim"
)

// A BenchConfig says what work to measure: optimizer steps on random weights and
// made-up rows.
type BenchConfig struct {
	Config    model.Config
	LoRA      lora.Config // of the mode "lora"; without targets those of the family
	Full      bool
	Rows      int
	Length    int
	Masked    float64 // share of each row, from its start, that is prompt
	Steps     int     // at least 2; the first is not counted
	Threads   int
	Recompute int // blocks that are computed twice
	Profile   bool

	Base       model.Base // how frozen weights are stored; float32 by auto
	Arithmetic kernel.Arithmetic
}

// A BenchResult is one line of gotune bench --json.
type BenchResult struct {
	TokensPerSecond float64 `json:"tokens_per_second"` // all tokens of the rows
	StepSeconds     float64 `json:"step_seconds"`      // median without the first step
	GFLOPS          float64 `json:"gflops"`            // of the work needed; recompute is not counted
	PeakShare       float64 `json:"peak_share"`        // of the multiply-add peak of a loop on registers
	PeakGFLOPS      float64 `json:"peak_gflops"`
	PeakRSSMiB      float64 `json:"peak_rss_mib"`
	PlannedMiB      float64 `json:"planned_mib"`
	Planned         Memory  `json:"planned"` // by component, in bytes
	CPULevel        string  `json:"cpu_level"`
	Threads         int     `json:"threads"`
	Trainable       int     `json:"trainable"`
	Loss            float64 `json:"loss"` // of the last step

	Profile *BenchProfile `json:"profile,omitempty"`
}

// madeUp are the batches of a benchmark: one micro-batch of random ids.
type madeUp struct{ batch data.Batch }

func (m *madeUp) MicroBatches() int         { return 1 }
func (m *madeUp) Weight() float64           { return float64(m.batch.TargetTokens) }
func (m *madeUp) Fill(b *data.Batch, _ int) { *b = m.batch }

func newMadeUp(c BenchConfig) *madeUp {
	n := c.Rows * c.Length
	b := data.Batch{Rows: c.Rows, Length: c.Length, IDs: make([]int32, n), Targets: make([]int32, n), Positions: make([]int32, n), Padded: c.Length, Tokens: n}
	r := rng.New(0, "bench")
	for i := range b.IDs {
		b.IDs[i] = int32(r.IntN(c.Config.VocabSize))
		b.Positions[i] = int32(i % c.Length)
	}
	first := int(float64(c.Length) * c.Masked)
	for i := range b.Targets {
		// Token t predicts token t+1, which is a target from the end of the prompt on.
		t := i % c.Length
		b.Targets[i] = data.Ignore
		if t+1 < c.Length && t+1 >= first {
			b.Targets[i] = b.IDs[i+1]
			b.TargetTokens++
		}
	}
	return &madeUp{b}
}

// newModel makes the model that is trained or the one that an adapter is for.
func (c BenchConfig) newModel() (*model.Model, error) {
	if c.Full {
		return model.New(c.Config, 1)
	}
	return model.NewFrozen(c.Config, 1, c.Base)
}

// bench is a trainer ready to be measured.
type bench struct {
	BenchConfig
	inputs    int64 // bytes resident before the model was there
	model     *model.Model
	config    StepperConfig
	team      *kernel.Team
	stepper   *Stepper
	program   *exec.Program
	batches   *madeUp
	optimizer *timedOptimizer
	trainable int
	steps     int // taken
	loss      float64
}

// timedOptimizer notes what the steps of an optimizer took.
type timedOptimizer struct {
	optim.Optimizer
	took time.Duration
}

func (o *timedOptimizer) Step(rate float64) (float64, error) {
	start := time.Now()
	defer func() { o.took += time.Since(start) }()
	return o.Optimizer.Step(rate)
}

func newBench(c BenchConfig) (*bench, error) {
	if c.Rows < 1 || c.Length < 2 || c.Steps < 2 || !(c.Masked >= 0 && c.Masked < 1) {
		return nil, usagef("bench needs rows ≥ 1, length ≥ 2, steps ≥ 2 and 0 ≤ masked < 1, not %d, %d, %d, %g", c.Rows, c.Length, c.Steps, c.Masked)
	}
	inputs := resident()
	m, err := c.newModel()
	if err != nil {
		return nil, err
	}
	m.Arithmetic = c.Arithmetic
	team := kernel.NewTeam(Recipe{Threads: c.Threads}.threads())
	b := &bench{BenchConfig: c, inputs: inputs, model: m, team: team, batches: newMadeUp(c)}
	if err := b.prepare(); err != nil {
		team.Close()
		return nil, err
	}
	return b, nil
}

func (b *bench) prepare() error {
	s := StepperConfig{
		Model: b.model, Recompute: b.Recompute, Team: b.team, Arena: exec.NewArena(b.team),
		Optimizer: optim.Config{Name: "adamw", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01, MaxGradNorm: 1},
	}
	if b.Full {
		s.Parameters = b.model.Parameters()
	} else {
		if b.LoRA.Targets == nil {
			b.LoRA.Targets = lora.TargetsFor(b.Config.ModelType)
		}
		ad, err := lora.New(b.LoRA, b.model, 1)
		if err != nil {
			return err
		}
		s.Parameters, s.Project = ad.Parameters(), ad.Project
	}
	for _, q := range s.Parameters {
		b.trainable += len(q.Value)
	}
	b.config = s
	var err error
	if b.stepper, err = NewStepper(s); err != nil {
		return err
	}
	b.optimizer = &timedOptimizer{Optimizer: b.stepper.optimizer}
	b.stepper.optimizer = b.optimizer
	p, err := b.stepper.load(&b.batches.batch)
	if err == nil {
		b.program = p.Exec()
	}
	return err
}

// step takes a step and returns its seconds.
func (b *bench) step(ctx context.Context) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	start := time.Now()
	s, err := b.stepper.Step(b.batches, b.steps, 1e-4)
	b.steps++
	b.loss = s.Loss
	return time.Since(start).Seconds(), err
}

// Bench measures optimizer steps by the trainer's own code.
func Bench(ctx context.Context, c BenchConfig) (BenchResult, error) {
	var r BenchResult
	b, err := newBench(c)
	if err != nil {
		return r, err
	}
	defer b.team.Close()
	if _, err := b.step(ctx); err != nil {
		return r, err
	}
	var seconds BenchRounds
	for range c.Steps - 1 {
		b.program.SetProfiling(c.Profile)
		b.optimizer.took = 0
		took, err := b.step(ctx)
		if err != nil {
			return r, err
		}
		if c.Profile && (r.Profile == nil || took < r.Profile.StepSeconds) {
			r.Profile = b.profile(took)
		}
		seconds = append(seconds, took)
	}
	b.program.SetProfiling(false)
	r.StepSeconds, r.Loss, r.Trainable = seconds.Median(), b.loss, b.trainable
	r.TokensPerSecond = float64(c.Rows*c.Length) / r.StepSeconds
	r.GFLOPS = b.work(b.model, b.batches.batch.TargetTokens, r.Trainable) / r.StepSeconds / 1e9
	r.PeakGFLOPS = kernel.PeakGFLOPS(b.team)
	r.PeakShare = r.GFLOPS / r.PeakGFLOPS
	plan := footprint{inputs: b.inputs, model: b.model, parameters: b.config.Parameters, project: b.config.Project, optimizer: b.config.Optimizer, threads: b.team.Threads()}
	if r.Planned, err = plan.memory(1, data.Shape{Rows: c.Rows, Length: c.Length, Targets: b.batches.batch.TargetTokens}); err != nil {
		return r, err
	}
	r.Planned.Activations = b.program.PlannedBytes()
	r.PlannedMiB = float64(r.Planned.Total()) / (1 << 20)
	r.CPULevel, r.Threads = kernel.Active().String(), b.team.Threads()
	r.PeakRSSMiB, err = peakRSS()
	return r, err
}

// work returns the floating-point operations of a step: products of the linear
// layers and of the adapter, of attention under the causal mask, and of the head on
// target rows, each forward, towards the inputs, and towards the weights that are
// trained.
func (c BenchConfig) work(m *model.Model, targets, trainable int) float64 {
	n := float64(c.Rows * c.Length)
	passes, layers := 4.0, 0.0
	if c.Full {
		passes = 6
	} else {
		layers = 6 * n * float64(trainable)
	}
	for _, module := range m.Projections() {
		p := m.Projection(module)
		layers += passes * n * float64(p.In) * float64(p.Out)
	}
	pairs := float64(c.Rows) * float64(c.Length) * float64(c.Length+1) / 2
	width := float64(m.Config.Heads * m.Config.HeadDim)
	layers += 12 * pairs * width * float64(m.Config.Layers) // 4 forward, 8 backward
	return layers + passes*float64(targets)*float64(m.Config.HiddenSize)*float64(m.Config.VocabSize)
}
