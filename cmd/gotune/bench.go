package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/model"
	"gotune/train"
)

func newBench() *cobra.Command {
	b := train.BenchConfig{LoRA: lora.Config{Rank: 8, Alpha: 16}}
	var shape, mode, precision, base, checkpointing string
	var asJSON bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure training steps on random weights and made-up rows",
		Long: `bench runs the trainer's own step on random weights and rows. The share of the peak
is that of a loop of multiply-adds on registers, measured in the same run.`,
		Example: `  gotune bench --shape smollm2-135m --rows 4 --length 512 --masked 0.5
  gotune bench --shape toy --mode full --rows 16 --length 128 --json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"lora", "full"}, mode) {
				return usagef("--mode is %q; it must be lora or full", mode)
			}
			var err error
			if b.Arithmetic, err = kernel.ParseArithmetic(precision); err != nil {
				return usagef("--%w", err)
			}
			if b.Base, err = model.ParseBase(base); err != nil {
				return usagef("--%w", err)
			}
			if b.Recompute, err = train.ParseCheckpointing(checkpointing); err != nil {
				return usageError{err}
			}
			if b.Config, err = train.ReadShape(shape); err != nil {
				return usageError{err}
			}
			b.Full = mode == "full"
			b.Config.MaxPositions = max(b.Config.MaxPositions, b.Length)
			r, err := train.Bench(c.Context(), b)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(r)
			}
			fmt.Fprintf(c.OutOrStdout(), "%.1f tokens/s, %.4f s a step, %.1f GFLOP/s (%.0f %% of %.0f), %.0f MiB resident, %.0f MiB planned, %s, %d threads\n",
				r.TokensPerSecond, r.StepSeconds, r.GFLOPS, 100*r.PeakShare, r.PeakGFLOPS, r.PeakRSSMiB, r.PlannedMiB, r.CPULevel, r.Threads)
			if b.Profile {
				profile(c, r.Profile, b.Steps)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&shape, "shape", "smollm2-135m", "name of a shape, or a config.json")
	f.StringVar(&mode, "mode", "lora", "lora or full")
	f.IntVar(&b.Rows, "rows", 4, "rows of a batch")
	f.IntVar(&b.Length, "length", 512, "tokens of a row")
	f.Float64Var(&b.Masked, "masked", 0.5, "share of each row, from its start, that is prompt")
	f.IntVar(&b.Steps, "steps", 6, "optimizer steps; the first is not counted")
	f.IntVar(&b.Threads, "threads", 0, "threads; 0 uses all cores")
	f.StringVar(&precision, "precision", "fp32", "arithmetic of the products: fp32 or bf16")
	f.StringVar(&base, "base-precision", "fp32", "how the frozen weights of --mode lora are stored: fp32, bf16, int8 or nf4")
	f.StringVar(&checkpointing, "gradient-checkpointing", "none", "none, blocks, or blocks:N for the first N blocks")
	f.BoolVar(&b.Profile, "profile", false, "print time by operator")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// profile prints a table of operators, the dearest first.
func profile(c *cobra.Command, usage []exec.Usage, steps int) {
	var total float64
	for _, u := range usage {
		total += u.Time.Seconds()
	}
	slices.SortFunc(usage, func(a, b exec.Usage) int { return int(b.Time - a.Time) })
	fmt.Fprintf(c.OutOrStdout(), "%-24s %8s %12s %7s\n", "operator", "calls", "ms a step", "share")
	for _, u := range usage {
		fmt.Fprintf(c.OutOrStdout(), "%-24s %8d %12.2f %6.1f%%\n", u.Name, u.Calls/int64(steps), 1000*u.Time.Seconds()/float64(steps), 100*u.Time.Seconds()/total)
	}
}
