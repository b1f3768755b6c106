package train

import (
	"context"

	"gotune/data"
	"gotune/optim"
	"gotune/schedule"
)

// A Preview is what a run would do.
type Preview struct {
	Steps  int // of the whole run
	Stages []StagePreview
}

// A StagePreview is what a stage would do.
type StagePreview struct {
	Name    string // "" in a recipe without stages
	Steps   int
	Corpora []Exposure
	Report  data.Report
	Rate    func(step int) float64 // the learning rate, of steps from 0
}

// Inspect reads and checks everything that a run of the recipe would read, but
// for weights, and trains nothing.
func Inspect(ctx context.Context, r Recipe) (Preview, error) {
	in, err := read(ctx, r)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{Steps: in.steps}
	for _, s := range in.stages {
		p.Stages = append(p.Stages, StagePreview{Name: s.recipe.Name, Steps: s.steps, Rate: s.rate, Corpora: s.exposures(), Report: s.feed.report()})
	}
	return p, in.check(r)
}

// on returns the learning rate of a step: that of the curve, or the one that Adafactor
// makes of the number of the step.
func (s Stage) on(curve *schedule.Schedule, n int) float64 {
	if s.RelativeStep {
		return optim.RelativeStep(n+1, s.WarmupInit)
	}
	return curve.Rate(n)
}

// Rates returns the learning rate of each of so many steps of the stage, without a
// look at data. The steps of an epoch are asked for where the warmup is in epochs.
func (s Stage) Rates(steps, epoch int) ([]float64, error) {
	curve, err := s.schedule(steps, epoch)
	if err != nil {
		return nil, err
	}
	rates := make([]float64, steps)
	for i := range rates {
		rates[i] = s.on(curve, i)
	}
	return rates, nil
}
