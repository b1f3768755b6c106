package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/internal/kernel"
)

// ProbeConfig says how learning rates are tried.
type ProbeConfig struct {
	Rates   []float64 // nil tries five around the recipe's, each √10 times the one before
	Steps   int       // of each run; its whole schedule is in them
	Seeds   int       // runs of each rate; of a seed all rates have the same start and the same rows
	HeldOut int       // rows of the training data to judge by, where the recipe names no eval_data
}

// A ProbeRun is one short run.
type ProbeRun struct {
	Rate float64 `json:"learning_rate"`
	Seed uint64  `json:"seed"`
	Loss float64 `json:"loss"` // of the held-out rows at the end
	// Diverged says that the loss was no number, or grew beyond that of the start.
	Diverged bool `json:"diverged"`
}

// A ProbeRate is what the runs of a rate say together.
type ProbeRate struct {
	Rate     float64 `json:"learning_rate"`
	Loss     float64 `json:"loss"`   // mean over the seeds; of no use if one diverged
	Spread   float64 `json:"spread"` // standard deviation over the seeds
	Diverged int     `json:"diverged"`
	Worse    float64 `json:"worse"`      // mean difference to the best, seed by seed
	Low      float64 `json:"worse_low"`  // its interval of 95 %, by Student's t
	High     float64 `json:"worse_high"` //
	LikeBest bool    `json:"like_best"`  // the interval holds 0, so it cannot be told from the best
}

// A Probed is the outcome of a probe.
type Probed struct {
	Start   float64     `json:"start"` // held-out loss before training
	Rows    int         `json:"held_out_rows"`
	Rates   []ProbeRate `json:"rates"`
	Best    float64     `json:"best"`    // 0 if every rate diverged or none is better than the start
	Verdict string      `json:"verdict"` // in words
}

// Probe tries learning rates on a recipe's model and data by short runs, and judges
// them by the loss of held-out rows. Of a recipe of stages it is the first stage.
// Nothing is written. Each run is told as it ends.
func Probe(ctx context.Context, r Recipe, c ProbeConfig, told func(ProbeRun)) (Probed, error) {
	if err := c.fill(r); err != nil {
		return Probed{}, usage{err}
	}
	one := r.plan()[0]
	one.Stages, one.MaxSteps, one.SaveSteps = nil, c.Steps, 0
	if one.Streaming {
		return Probed{}, usagef("a probe holds its data in memory; leave streaming out and name a part of the data")
	}
	in, err := read(ctx, one)
	if err != nil {
		return Probed{}, err
	}
	if err := in.check(one); err != nil {
		return Probed{}, err
	}
	p := &prober{config: c, recipe: one, inputs: in, training: in.stages[0].feed.(*inMemory).data, judged: in.eval}
	if p.judged == nil {
		if p.training, p.judged, err = p.training.HoldOut(c.HeldOut, one.Seed); err != nil {
			return Probed{}, fmt.Errorf("data: %w; hold out fewer by --held-out, or give eval_data", err)
		}
	}
	p.team = kernel.NewTeam(one.threads())
	defer p.team.Close()
	p.arena = exec.NewArena(p.team)
	result := Probed{Rows: p.judged.Len()}
	if result.Start, err = p.start(ctx); err != nil {
		return result, err
	}
	var runs []ProbeRun
	for seed := range c.Seeds {
		for _, rate := range c.Rates {
			run, err := p.run(ctx, rate, one.Seed+uint64(seed), result.Start)
			if err != nil {
				return result, err
			}
			told(run)
			runs = append(runs, run)
		}
	}
	result.judge(c.Rates, runs)
	return result, nil
}

// fill puts defaults in and checks.
func (c *ProbeConfig) fill(r Recipe) error {
	if c.Rates == nil {
		for i := range 5 {
			rate := r.plan()[0].LearningRate * math.Pow(10, float64(i-2)/2)
			c.Rates = append(c.Rates, shortNumber(rate))
		}
	}
	slices.Sort(c.Rates)
	switch {
	case len(c.Rates) < 2:
		return errors.New("a probe compares at least two learning rates")
	case c.Rates[0] <= 0 || math.IsInf(c.Rates[len(c.Rates)-1], 0):
		return errors.New("a learning rate to try is above 0")
	case len(slices.Compact(slices.Clone(c.Rates))) < len(c.Rates):
		return errors.New("a learning rate is given twice")
	case c.Steps < 1:
		return errors.New("the runs of a probe have at least one step")
	case c.Seeds < 2:
		return errors.New("a spread needs at least two seeds")
	}
	return nil
}

// shortNumber rounds to two digits.
func shortNumber(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return math.Round(x/unit) * unit
}

// A prober holds what all runs of a probe share.
type prober struct {
	*inputs
	config   ProbeConfig
	recipe   Recipe
	training *data.Dataset
	judged   *data.Dataset
	team     *kernel.Team
	arena    *exec.Arena
}

// job makes a run's model, adapter and optimizer.
func (p *prober) job(ctx context.Context, r Recipe) (*job, error) {
	in := *p.inputs
	in.stages = []*stage{{recipe: r, length: p.stages[0].length, feed: p.stages[0].feed, steps: r.MaxSteps}}
	j := &job{inputs: &in, recipe: r, team: p.team, arena: p.arena}
	return j, j.prepare(ctx, 0)
}

// start returns the loss before training.
func (p *prober) start(ctx context.Context) (float64, error) {
	j, err := p.job(ctx, p.recipe)
	if err != nil {
		return 0, err
	}
	loss, err := p.loss(ctx, j)
	return loss, errors.Join(err, j.closeModel())
}

func (p *prober) loss(ctx context.Context, j *job) (float64, error) {
	s, err := j.evaluator.Score(ctx, p.judged)
	switch {
	case err != nil:
		return 0, err
	case s.Loss == nil:
		return 0, errors.New("the held-out rows have no target")
	}
	return *s.Loss, nil
}

// run trains with one rate and one seed.
func (p *prober) run(ctx context.Context, rate float64, seed uint64, start float64) (run ProbeRun, err error) {
	r := p.recipe
	r.LearningRate, r.Seed = rate, seed
	run = ProbeRun{Rate: rate, Seed: seed}
	batches, err := p.training.Batches(data.BatchConfig{
		BatchSize: r.BatchSize, AccumulationSteps: r.GradientAccumulationSteps, Packing: r.Packing, Shuffle: r.Shuffle, Seed: seed,
	})
	if err != nil {
		return run, err
	}
	feed := &inMemory{data: p.training, batches: batches, at: -1}
	rates, err := r.Rates(r.MaxSteps, feed.epoch())
	if err != nil {
		return run, usage{err}
	}
	j, err := p.job(ctx, r)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, j.closeModel()) }()
	for n, rate := range rates {
		if err := ctx.Err(); err != nil {
			return run, err
		}
		step, err := feed.step(ctx, n)
		if err != nil {
			return run, err
		}
		if _, err := j.stepper.Step(step, n, rate); err != nil {
			run.Diverged = true // the loss is no number
			return run, nil
		}
	}
	run.Loss, err = p.loss(ctx, j)
	if errors.Is(err, errNoNumber) {
		run.Diverged = true
		return run, nil
	}
	run.Diverged = run.Loss > start
	return run, err
}

// judge compares the rates seed by seed.
func (p *Probed) judge(rates []float64, runs []ProbeRun) {
	losses := make(map[float64][]float64)
	for _, rate := range rates {
		one := ProbeRate{Rate: rate}
		for _, run := range runs {
			if run.Rate == rate {
				losses[rate] = append(losses[rate], run.Loss)
				if run.Diverged {
					one.Diverged++
				}
			}
		}
		one.Loss, one.Spread = stat.MeanStdDev(losses[rate], nil)
		p.Rates = append(p.Rates, one)
	}
	best := -1
	for i, one := range p.Rates {
		if one.Diverged == 0 && (best < 0 || one.Loss < p.Rates[best].Loss) {
			best = i
		}
	}
	if best < 0 {
		p.Verdict = "no learning rate made the held-out loss smaller: try lower ones, or more steps"
		return
	}
	p.Best = p.Rates[best].Rate
	for i := range p.Rates {
		if p.Rates[i].Diverged == 0 && i != best {
			p.Rates[i].against(losses[p.Rates[i].Rate], losses[p.Best])
		}
	}
	p.Verdict = p.say(best)
}

// against sets the interval of the difference to the best, by Student's t of the
// differences seed by seed.
func (r *ProbeRate) against(losses, best []float64) {
	differences := make([]float64, len(losses))
	for i := range losses {
		differences[i] = losses[i] - best[i]
	}
	n := float64(len(differences))
	mean, deviation := stat.MeanStdDev(differences, nil)
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * deviation / math.Sqrt(n)
	r.Worse, r.Low, r.High = mean, mean-half, mean+half
	r.LikeBest = r.Low <= 0
}

// say puts the outcome into words.
func (p *Probed) say(best int) string {
	var alike, told int
	for i, r := range p.Rates {
		switch {
		case i == best:
		case r.LikeBest:
			alike++
		default:
			told++
		}
	}
	text := fmt.Sprintf("best: %g", p.Best)
	switch {
	case told == 0:
		text = fmt.Sprintf("cannot tell: no rate differs from %g by more than the spread of the seeds; use more --steps or --seeds, or rates that lie further apart", p.Best)
	case alike > 0:
		text += "; it cannot be told apart from"
		sep := " "
		for i, r := range p.Rates {
			if i != best && r.LikeBest {
				text += fmt.Sprintf("%s%g", sep, r.Rate)
				sep = ", "
			}
		}
	}
	switch {
	case best == 0:
		text += ". It is the lowest that was tried: try lower ones"
	case best == len(p.Rates)-1:
		text += ". It is the highest that was tried: try higher ones"
	}
	return text
}
