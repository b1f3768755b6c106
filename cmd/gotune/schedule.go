package main

import (
	"context"
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
	f := &scheduleFlags{run: runFlags{recipe: train.DefaultRecipe()}}
	c := &cobra.Command{
		Use:   "schedule",
		Short: "Draw the learning rate of every step before anything runs",
		Long: `schedule draws the curve that the learning rate of a run will follow: in the
terminal, and with --svg, --png or --csv into a file ("-" is standard output, and
then nothing else is written there). Nothing is trained. With --config it is the
curve of a recipe with all its stages; its data is read to count the steps, unless
--steps or max_steps say how many there are.

The curves are ` + strings.Join(schedule.Names(), ", ") + `.`,
		Example: `  gotune schedule --steps 1000 --schedule cosine --learning-rate 3e-4 --warmup-ratio 0.03
  gotune schedule --steps 1000 --schedule wsd --decay-ratio 0.2 --decay-type sqrt
  gotune schedule --config recipe.yaml --svg curve.svg
  gotune schedule --steps 1000 --csv - > rates.csv`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			chart, err := f.chart(c.Context(), c.Flags())
			if err != nil {
				return err
			}
			return f.write(c.OutOrStdout(), chart)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.run.config, "config", "", "recipe in YAML; flags override its keys")
	flags.StringArrayVar(&f.run.stages, "stage", nil, "set a key of one stage of the recipe, as NAME.key=value; can be given several times")
	flags.IntVar(&f.steps, "steps", 0, "optimizer steps of the run; without it max_steps, else what the data gives")
	flags.IntVar(&f.epoch, "steps-per-epoch", 0, "optimizer steps of a pass over the data, for --warmup-epochs where no data is read")
	flags.StringVar(&f.svg, "svg", "", "write the curve as SVG to a file")
	flags.StringVar(&f.png, "png", "", "write the curve as PNG to a file")
	flags.StringVar(&f.csv, "csv", "", "write the rate of every step to a file")
	bindRecipe(c, "schedule", &f.run.recipe)
	return c
}

// scheduleFlags says what to draw and where to.
type scheduleFlags struct {
	run           runFlags
	steps, epoch  int
	svg, png, csv string
}

// maxDrawn is how many steps a curve may have here.
const maxDrawn = 10_000_000

// chart works out the rates.
func (f *scheduleFlags) chart(ctx context.Context, flags *pflag.FlagSet) (draw.Chart, error) {
	r, err := f.run.resolve(flags, "")
	if err != nil {
		return draw.Chart{}, err
	}
	steps := f.steps
	if !flags.Changed("steps") && len(r.Stages) == 0 && (r.WarmupEpochs == 0 || f.epoch > 0) {
		steps = r.MaxSteps
	}
	switch {
	case steps > maxDrawn:
		return draw.Chart{}, usagef("--steps is %d; at most %d can be drawn", steps, maxDrawn)
	case flags.Changed("steps") && len(r.Stages) > 0:
		return draw.Chart{}, usagef("--steps cannot be given for a recipe of stages; max_steps of a stage can, by --stage NAME.max_steps=%d", steps)
	case steps == 0 && !flags.Changed("steps"):
		return inspected(ctx, r)
	}
	rates, err := r.Rates(steps, f.epoch)
	if err != nil {
		return draw.Chart{}, usageError{err}
	}
	name := r.Schedule
	if r.RelativeStep {
		name = "relative_step"
	}
	return draw.Chart{Title: fmt.Sprintf("%s, %d steps", name, steps), Rates: rates}, nil
}

// inspected works out the rates of a recipe from its data.
func inspected(ctx context.Context, r train.Recipe) (draw.Chart, error) {
	if len(r.Data) == 0 && len(r.Stages) == 0 {
		return draw.Chart{}, usagef("how many steps? Give --steps, or a recipe with data or max_steps by --config")
	}
	p, err := train.Inspect(ctx, r)
	if err != nil {
		return draw.Chart{}, err
	}
	if p.Steps > maxDrawn {
		return draw.Chart{}, usagef("the run has %d steps; at most %d can be drawn", p.Steps, maxDrawn)
	}
	chart := draw.Chart{Title: fmt.Sprintf("%d steps", p.Steps)}
	for _, s := range p.Stages {
		if len(p.Stages) > 1 {
			chart.Marks = append(chart.Marks, draw.Mark{Step: len(chart.Rates), Label: s.Name})
		}
		for n := range s.Steps {
			chart.Rates = append(chart.Rates, s.Rate(n))
		}
	}
	return chart, nil
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
