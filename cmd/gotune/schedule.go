package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"gotune/internal/disk"
	"gotune/schedule"
	"gotune/schedule/draw"
	"gotune/train"
)

func newSchedule() *cobra.Command {
	f := &scheduleFlags{}
	c := &cobra.Command{
		Use:   "schedule",
		Short: "Draw the learning rate of every step before anything runs",
		Long: `schedule draws the curve that the learning rate of a run will follow: in the
terminal, and with --svg, --png or --csv into a file ("-" is standard output, and
then nothing else is written there). Nothing is trained and no data is read. With
--config the recipe's keys are the flags' defaults.

The curves are ` + strings.Join(schedule.Names(), ", ") + `.`,
		Example: `  gotune schedule --steps 1000 --schedule cosine --learning-rate 3e-4 --warmup-ratio 0.03
  gotune schedule --steps 1000 --schedule wsd --decay-ratio 0.2 --decay-type sqrt
  gotune schedule --config recipe.yaml --steps 500 --svg curve.svg
  gotune schedule --steps 1000 --csv - > rates.csv`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			chart, err := f.chart(c.Flags())
			if err != nil {
				return err
			}
			return f.write(c.OutOrStdout(), chart)
		},
	}
	f.bind(c.Flags())
	return c
}

// scheduleFlags says what to draw and where to.
type scheduleFlags struct {
	config        string
	curve         schedule.Config
	svg, png, csv string
}

func (f *scheduleFlags) bind(flags *pflag.FlagSet) {
	r, s := train.DefaultRecipe(), &f.curve
	flags.StringVar(&f.config, "config", "", "recipe in YAML; flags override its keys")
	flags.StringVar(&s.Name, "schedule", r.Schedule, "name of the curve")
	flags.IntVar(&s.Steps, "steps", 0, "optimizer steps of the run; max_steps of the recipe if not given")
	flags.Float64Var(&s.Peak, "learning-rate", r.LearningRate, "peak learning rate")
	flags.IntVar(&s.WarmupSteps, "warmup-steps", r.WarmupSteps, "steps from 0 to the peak")
	flags.Float64Var(&s.WarmupRatio, "warmup-ratio", r.WarmupRatio, "the same as a share of all steps")
	flags.Float64Var(&s.WarmupEpochs, "warmup-epochs", 0, "the same in passes over the data")
	flags.IntVar(&s.StepsPerEpoch, "steps-per-epoch", 0, "optimizer steps of a pass over the data, for --warmup-epochs")
	flags.Float64Var(&s.MinRatio, "min-lr-ratio", r.MinLRRatio, "floor of the learning rate as a share of the peak")
	flags.IntVar(&s.Cycles, "num-cycles", 1, "cosine_with_restarts: falls from peak to floor")
	flags.Float64Var(&s.DecayRatio, "decay-ratio", 0.1, "wsd: share of all steps in which the rate falls")
	flags.IntVar(&s.DecaySteps, "decay-steps", 0, "wsd: the same in steps")
	flags.StringVar(&s.DecayType, "decay-type", "sqrt", "wsd: shape of the fall: "+strings.Join(schedule.DecayTypes(), ", "))
	flags.Float64Var(&s.Timescale, "timescale", 0, "inverse_sqrt: steps after the peak until the rate is 0.71 of it; 0 takes the warmup's, or 10000")
	flags.Float64Var(&s.Power, "power", 1, "polynomial: 1 is a straight line")
	flags.StringVar(&f.svg, "svg", "", "write the curve as SVG to a file")
	flags.StringVar(&f.png, "png", "", "write the curve as PNG to a file")
	flags.StringVar(&f.csv, "csv", "", "write the rate of every step to a file")
	flags.SortFlags = false
}

// maxDrawn is how many steps a curve may have here.
const maxDrawn = 10_000_000

// chart works out the rates.
func (f *scheduleFlags) chart(flags *pflag.FlagSet) (draw.Chart, error) {
	if err := f.readRecipe(flags); err != nil {
		return draw.Chart{}, usageError{err}
	}
	c := f.curve
	switch {
	case c.Steps == 0 && !flags.Changed("steps"):
		return draw.Chart{}, usagef("how many steps? Give --steps, or max_steps in the recipe: how many an epoch has is known when the data is read")
	case c.Steps > maxDrawn:
		return draw.Chart{}, usagef("--steps is %d; at most %d can be drawn", c.Steps, maxDrawn)
	}
	if (c.WarmupSteps > 0 || c.WarmupEpochs > 0) && !flags.Changed("warmup-ratio") {
		c.WarmupRatio = 0 // as in training, a warmup in steps or epochs wins over the default
	}
	s, err := schedule.New(c)
	if err != nil {
		return draw.Chart{}, usageError{err}
	}
	rates := make([]float64, c.Steps)
	for i := range rates {
		rates[i] = s.Rate(i)
	}
	title := fmt.Sprintf("%s, %d steps, warmup %d", c.Name, c.Steps, s.WarmupSteps())
	return draw.Chart{Title: title, Rates: rates}, nil
}

// readRecipe gives the flags that were left out the values of the recipe.
func (f *scheduleFlags) readRecipe(flags *pflag.FlagSet) error {
	if f.config == "" {
		return nil
	}
	r := train.DefaultRecipe()
	if err := r.ReadRecipe(f.config); err != nil {
		return err
	}
	s, given := &f.curve, flags.Changed
	if !given("schedule") {
		s.Name = r.Schedule
	}
	if !given("steps") {
		s.Steps = r.MaxSteps
	}
	if !given("learning-rate") {
		s.Peak = r.LearningRate
	}
	if !given("min-lr-ratio") {
		s.MinRatio = r.MinLRRatio
	}
	// One way of saying the warmup by flag puts the recipe's out of force.
	if !given("warmup-steps") && !given("warmup-ratio") && !given("warmup-epochs") {
		s.WarmupSteps, s.WarmupRatio = r.WarmupSteps, r.WarmupRatio
	}
	return nil
}

// write draws the chart in the formats asked for, and in the terminal where
// standard output is not taken by one of them.
func (f *scheduleFlags) write(stdout io.Writer, chart draw.Chart) error {
	var piped func(io.Writer) error
	for _, to := range []struct {
		path string
		draw func(io.Writer) error
	}{{f.svg, chart.SVG}, {f.png, chart.PNG}, {f.csv, chart.CSV}} {
		switch {
		case to.path == "-" && piped != nil:
			return usagef("standard output can take one format, not two")
		case to.path == "-":
			piped = to.draw
		case to.path != "":
			if err := disk.WriteFile(to.path, to.draw); err != nil {
				return err
			}
		}
	}
	if piped != nil {
		return piped(stdout)
	}
	const rows = 12
	return errors.Join(chart.Terminal(stdout, terminalWidth(), rows), chart.Points(stdout))
}

// terminalWidth is the width of standard output's terminal, else what COLUMNS
// says, else 80.
func terminalWidth() int {
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
		return w
	}
	if w, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && w > 0 {
		return min(w, 1000)
	}
	return 80
}
