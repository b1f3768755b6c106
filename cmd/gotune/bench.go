package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gotune/internal/disk"
	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/model"
	"gotune/train"
)

// benchFlags say what to measure and how to show it.
type benchFlags struct {
	train.BenchConfig
	shape, mode, precision, base, checkpointing string
	layers, jobs, rounds                        int
	growth, all, json                           bool
	svg, peer                                   string
}

func newBench() *cobra.Command {
	f := &benchFlags{BenchConfig: train.BenchConfig{LoRA: lora.Config{Rank: 8, Alpha: 16}}}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure training steps on random weights and made-up rows",
		Long: `bench runs the trainer's own step on random weights and rows. The share of the peak
is that of a loop of multiply-adds on registers, measured in the same run.

With --profile it prints where the time of the fastest step went, by operator, and with
--svg the operators below the roofs of arithmetic and memory. With --jobs it
compares so many runs at once, each on one thread, with one alone. With --growth
it lets length, rows, rank, layers and threads grow, one at a time, and prints CSV.
With --all it measures every shape of docs/performance.md. --peer names a program that
does the same work and is measured in turn, in as many rounds as --rounds says.`,
		Example: `  gotune bench --shape smollm2-135m --rows 4 --length 512 --masked 0.5 --profile
  gotune bench --shape toy --mode full --rows 16 --length 128 --json
  gotune bench --shape toy --rows 16 --length 128 --jobs 2
  gotune bench --shape smollm2-135m --layers 3 --rows 4 --length 256 --growth --svg docs/growth
  gotune bench --all --peer "python peer.py"`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.resolve(); err != nil {
				return err
			}
			switch {
			case f.all:
				return f.benchAll(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), benchWorks)
			case f.peer != "":
				return f.benchAll(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), []benchWork{f.work()})
			case f.growth:
				return f.benchGrowth(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
			case f.jobs > 0:
				return f.benchJobs(c.Context(), c.OutOrStdout())
			}
			return f.bench(c.Context(), c.OutOrStdout())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.shape, "shape", "smollm2-135m", "name of a shape, or a config.json")
	flags.StringVar(&f.mode, "mode", "lora", "lora or full")
	flags.IntVar(&f.LoRA.Rank, "lora-rank", 8, "rank of the adapter in the mode lora")
	flags.IntVar(&f.layers, "layers", 0, "layers instead of the shape's own; 0 keeps those")
	flags.IntVar(&f.Rows, "rows", 4, "rows of a batch")
	flags.IntVar(&f.Length, "length", 512, "tokens of a row")
	flags.Float64Var(&f.Masked, "masked", 0.5, "share of each row, from its start, that is prompt")
	flags.IntVar(&f.Steps, "steps", 6, "optimizer steps; the first is not counted")
	flags.IntVar(&f.rounds, "rounds", 3, "with --jobs, --all and --peer: how often to measure in turn")
	flags.IntVar(&f.Threads, "threads", 0, "threads; 0 uses all cores")
	flags.StringVar(&f.precision, "precision", "fp32", "arithmetic of the products: fp32 or bf16")
	flags.StringVar(&f.base, "base-precision", "fp32", "how the frozen weights of --mode lora are stored: fp32, bf16, int8 or nf4")
	flags.StringVar(&f.checkpointing, "gradient-checkpointing", "none", "none, blocks, or blocks:N for the first N blocks")
	flags.BoolVar(&f.Profile, "profile", false, "print time by operator")
	flags.IntVar(&f.jobs, "jobs", 0, "measure so many runs at once, each on one thread")
	flags.BoolVar(&f.growth, "growth", false, "let one size after the other grow")
	flags.BoolVar(&f.all, "all", false, "measure all shapes of docs/performance.md")
	flags.StringVar(&f.peer, "peer", "", "a command to measure beside, which takes --shape, --mode, --rows, --length, --masked, --steps, --threads, --dtype and --checkpointing and prints a line of JSON with tokens_per_second and peak_rss_mib")
	flags.StringVar(&f.svg, "svg", "", "with --profile write the roofline to this file; with --growth write figures into this folder")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// resolve checks the flags and reads the shape.
func (f *benchFlags) resolve() error {
	if !slices.Contains([]string{"lora", "full"}, f.mode) {
		return usagef("--mode is %q; it must be lora or full", f.mode)
	}
	if f.svg != "" && !f.Profile && !f.growth {
		return usagef("--svg draws a profile or growth; give --profile or --growth")
	}
	kinds := 0
	for _, asked := range []bool{f.Profile, f.jobs > 0, f.growth, f.all || f.peer != ""} {
		if asked {
			kinds++
		}
	}
	if kinds > 1 {
		return usagef("--profile, --jobs, --growth and --all or --peer are different measurements; give one of them")
	}
	if f.peer != "" && (f.layers != 0 || f.LoRA.Rank != 8 || f.base != "fp32") {
		return usagef("--peer measures whole shapes at rank 8, without --layers, --lora-rank and --base-precision")
	}
	if f.layers < 0 || f.jobs < 0 || f.rounds < 1 {
		return usagef("--layers and --jobs must not be negative, and there must be at least one of --rounds")
	}
	var err error
	if f.Arithmetic, err = kernel.ParseArithmetic(f.precision); err != nil {
		return usagef("--%w", err)
	}
	if f.Base, err = model.ParseBase(f.base); err != nil {
		return usagef("--%w", err)
	}
	if f.Recompute, err = train.ParseCheckpointing(f.checkpointing); err != nil {
		return usageError{err}
	}
	if f.Config, err = train.ReadShape(f.shape); err != nil {
		return usageError{err}
	}
	if f.layers > 0 {
		f.Config.Layers = f.layers
	}
	f.Full = f.mode == "full"
	f.Config.MaxPositions = max(f.Config.MaxPositions, f.Length)
	return nil
}

// bench measures one shape.
func (f *benchFlags) bench(ctx context.Context, w io.Writer) error {
	r, err := train.Bench(ctx, f.BenchConfig)
	if err != nil {
		return err
	}
	bandwidth := 0.0
	if f.Profile {
		team := kernel.NewTeam(r.Threads)
		bandwidth = kernel.ReadGBs(team)
		team.Close()
	}
	if f.svg != "" {
		if err := disk.WriteFile(f.svg, roofline(r, bandwidth).SVG); err != nil {
			return err
		}
	}
	if f.json {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%.1f tokens/s, %.4f s a step, %.1f GFLOP/s (%.0f %% of %.0f), %.0f MiB resident, %.0f MiB planned, %s, %d threads\n",
		r.TokensPerSecond, r.StepSeconds, r.GFLOPS, 100*r.PeakShare, r.PeakGFLOPS, r.PeakRSSMiB, r.PlannedMiB, r.CPULevel, r.Threads)
	if f.Profile {
		printProfile(w, r.Profile)
		fmt.Fprintf(w, "memory is read at %.1f GB/s\n", bandwidth)
	}
	return nil
}

// benchJobs compares runs at once with one alone.
func (f *benchFlags) benchJobs(ctx context.Context, w io.Writer) error {
	r, err := train.BenchTogether(ctx, f.BenchConfig, f.jobs, f.rounds)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "one run alone %.1f tokens/s, %d at once %.1f: %.2f× (%.2f…%.2f in %d rounds)\n",
		r.Alone, r.Jobs, r.Together, r.Scaling, r.Low, r.High, r.Rounds)
	return nil
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
