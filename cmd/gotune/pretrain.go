package main

import (
	"github.com/spf13/cobra"

	"gotune/train"
)

func newPretrain() *cobra.Command {
	var f *runFlags
	c := &cobra.Command{
		Use:   "pretrain",
		Short: "Train a new model from random weights",
		Long: `pretrain makes a model of a shape, trains a tokenizer on the data unless one is
given, and trains all weights on every token.`,
		Example: `  gotune pretrain --config examples/pretrain-base.yaml
  gotune pretrain --shape toy --data book.txt --max-steps 500 --packing`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c, "", func(r *train.Recipe) error {
				if !r.Pretraining() {
					return usagef("shape is missing: name one, such as --shape toy")
				}
				r.Objective = "cpt" // every token is learned
				return nil
			})
		},
	}
	f = newRunFlags(c, "pretrain")
	return c
}
