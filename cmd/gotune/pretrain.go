package main

import (
	"github.com/spf13/cobra"

	"gotune/train"
)

func newPretrain() *cobra.Command {
	flagged := train.DefaultRecipe()
	var config, resume, format string
	c := &cobra.Command{
		Use:   "pretrain",
		Short: "Train a new model from random weights",
		Long: `pretrain makes a model of a shape, trains a tokenizer on the data unless one is
given, and trains all weights on every token.`,
		Example: `  gotune pretrain --config examples/pretrain-base.yaml
  gotune pretrain --shape toy --data book.txt --max-steps 500 --packing`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := newObserver(c, format)
			if err != nil {
				return err
			}
			if resume != "" {
				return resumeRun(c, resume, flagged.Threads, o)
			}
			r, err := resolve(c.Flags(), &flagged, config, "")
			if err != nil {
				return err
			}
			if !r.Pretraining() {
				return usagef("shape is missing: name one, such as --shape toy")
			}
			r.Objective = "cpt" // every token is learned
			_, err = train.Run(c.Context(), r, o)
			return err
		},
	}
	c.Flags().StringVar(&config, "config", "", "recipe in YAML; flags override its keys")
	c.Flags().StringVar(&resume, "resume", "", "run folder to go on with, from its newest checkpoint")
	c.Flags().StringVar(&format, "log-format", "text", "text for people, json for programs")
	bindRecipe(c, "pretrain", &flagged)
	return c
}
