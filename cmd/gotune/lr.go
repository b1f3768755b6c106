package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"gotune/train"
)

func newLR() *cobra.Command {
	var probe train.ProbeConfig
	var asJSON bool
	f := &runFlags{recipe: train.DefaultRecipe()}
	c := &cobra.Command{
		Use:   "lr",
		Short: "Try learning rates by short runs on your model and data",
		Long: `lr trains a few steps with each of several learning rates, from the same start and
on the same rows, with several seeds, and compares the loss of held-out rows. It says
which rate is best, which cannot be told apart from it, and when it cannot tell.

The held-out rows are eval_data, or rows drawn from the training data that are then
not trained on. A rate counts as diverged if its loss is no number or ends above that
of the untrained model. What is best for a short run may be too high for a long one.`,
		Example: `  gotune lr
  gotune lr --data rows.jsonl --model DIR
  gotune lr --config recipe.yaml --learning-rates 3e-5,1e-4,3e-4,1e-3 --steps 100 --seeds 5`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := f.resolve(c.Flags(), mainJob)
			if err != nil {
				return err
			}
			result, err := train.Probe(c.Context(), r, probe, func(run train.ProbeRun) {
				outcome := fmt.Sprintf("loss %.4f", run.Loss)
				if run.Diverged {
					outcome = "diverged"
				}
				fmt.Fprintf(c.ErrOrStderr(), "  learning rate %-8.3g seed %d  %s\n", run.Rate, run.Seed, outcome)
			})
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(result)
			}
			return writeProbed(c.OutOrStdout(), result, probe)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.config, "config", "", "recipe in YAML; flags override its keys")
	flags.Float64SliceVar(&probe.Rates, "learning-rates", nil, "`rates` to try, such as 1e-4,1e-3; without them five around the recipe's, each √10 times the one before")
	flags.Lookup("learning-rates").DefValue = "" // an empty list is not shown
	flags.IntVar(&probe.Steps, "steps", 40, "optimizer steps of each run")
	flags.IntVar(&probe.Seeds, "seeds", 3, "runs of each rate, from the recipe's seed on")
	flags.IntVar(&probe.HeldOut, "held-out", 100, "rows of the training data to judge by, where there is no eval_data")
	flags.BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	bindRecipe(c, "lr", &f.recipe)
	return c
}

func writeProbed(w io.Writer, p train.Probed, c train.ProbeConfig) error {
	_, err := fmt.Fprintf(w, "held-out loss of %d rows before training: %.4f; after %d steps, %d seeds a rate:\n\n  %-14s%-22s%s\n",
		p.Rows, p.Start, c.Steps, c.Seeds, "learning rate", "loss ± spread", "worse than the best (95 %)")
	for _, r := range p.Rates {
		loss, worse := fmt.Sprintf("%.4f ± %.4f", r.Loss, r.Spread), fmt.Sprintf("%+.4f (%+.4f … %+.4f)", r.Worse, r.Low, r.High)
		switch {
		case r.Diverged > 0:
			loss, worse = fmt.Sprintf("diverged %d of %d times", r.Diverged, c.Seeds), ""
		case r.Rate == p.Best:
			worse = "best"
		case r.LikeBest:
			worse += "  not told apart"
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "  %-14.3g%-22s%s\n", r.Rate, loss, worse)
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "\n%s\n", p.Verdict)
	}
	return err
}
