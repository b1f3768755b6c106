package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gotune/train"
)

func newPlan() *cobra.Command {
	var f *runFlags
	var p train.PlanConfig
	var noProbe, asJSON bool
	c := &cobra.Command{
		Use:   "plan",
		Short: "Say what a run will take, in memory and time",
		Long: `plan takes the flags of train and says how much memory the run will take by component,
how gradient checkpointing and --max-memory split its steps, and after a short probe how
long its steps take. Evaluations and checkpoints are not in the time. Nothing is written.`,
		Example: `  gotune plan --model smollm2-135m --data chat.jsonl --batch-size 4
  gotune plan --shape smollm2-360m --data chat.jsonl --max-memory 4GiB`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if p.Recipe, err = f.resolve(c.Flags(), mainJob); err != nil {
				return err
			}
			p.Probe = !noProbe
			plan, err := train.MakePlan(c.Context(), p)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(plan)
			}
			printPlan(c.OutOrStdout(), plan)
			return nil
		},
	}
	f = newRunFlags(c, "train")
	c.Flags().StringVar(&p.Shape, "shape", "", "plan for a model of this shape, with the tokenizer of --model")
	c.Flags().BoolVar(&noProbe, "no-probe", false, "do no steps, and say nothing of time")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printPlan(w io.Writer, p train.Plan) {
	fmt.Fprintf(w, "%-26s %9s\n", "memory", "MiB")
	for _, l := range append(p.Memory.Lines(), train.MemoryLine{Name: "in all", Bytes: p.Total}) {
		fmt.Fprintf(w, "  %-24s %9.1f\n", l.Name, mib(l.Bytes))
	}
	if p.Available > 0 {
		fmt.Fprintf(w, "  %-24s %9.1f\n", "(available)", mib(p.Available))
	}
	fmt.Fprintf(w, "gradient checkpointing     %s\n", p.GradientCheckpointing)
	fmt.Fprintf(w, "trained                    %d of %d values\n", p.Trainable, p.Parameters)
	for _, s := range p.Stages {
		name := "steps"
		if s.Name != "" {
			name = "stage " + s.Name
		}
		fmt.Fprintf(w, "%-26s %d of %d×%d rows, at most %d×%d tokens at a time; %.0f tokens in all", name, s.Steps,
			s.GradientAccumulationSteps, s.BatchSize, s.Largest[0], s.Largest[1], s.Tokens)
		if s.Seconds > 0 {
			fmt.Fprintf(w, "; %.3g s a step, %s", s.StepSeconds, time.Duration(s.Seconds*float64(time.Second)).Round(time.Second))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "on                         %s, %d threads\n", p.CPULevel, p.Threads)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
