package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gotune/lora"
	"gotune/train"
)

func newBench() *cobra.Command {
	b := train.BenchConfig{LoRA: lora.Config{Rank: 8, Alpha: 16}}
	var shape, mode, precision, checkpointing string
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
			if precision != "fp32" {
				return usagef("--precision is %q, which is not supported (supported: fp32)", precision)
			}
			if !slices.Contains([]string{"none", "blocks"}, checkpointing) {
				return usagef("--gradient-checkpointing is %q; it must be none or blocks", checkpointing)
			}
			var err error
			if b.Config, err = train.ReadShape(shape); err != nil {
				return usageError{err}
			}
			b.Full, b.Recompute = mode == "full", checkpointing == "blocks"
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
				printProfile(c.OutOrStdout(), r.Profile)
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
	f.StringVar(&precision, "precision", "fp32", "arithmetic of the products: fp32")
	f.StringVar(&checkpointing, "gradient-checkpointing", "none", "none or blocks")
	f.BoolVar(&b.Profile, "profile", false, "print time by operator")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printProfile prints a table of operators, the dearest first.
func printProfile(w io.Writer, p *train.BenchProfile) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "operator\tpass\tcalls\tms\tin products\tGFLOP/s\tGB/s\tshare\t")
	for _, u := range p.Operators {
		flops := "–"
		if u.GFLOPS > 0 {
			flops = fmt.Sprintf("%.1f", u.GFLOPS)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.2f\t%s\t%.1f\t%.1f %%\t\n",
			u.Name, u.Pass, u.Calls, 1000*u.Seconds, 1000*u.Products, flops, u.GBs, 100*u.Share)
	}
	t.Flush()
	fmt.Fprintf(w, "products of matrices %.1f %%, attention %.1f %%, all else %.1f %% of the fastest step\n",
		100*p.Products, 100*p.Attention, 100*p.Rest)
}
