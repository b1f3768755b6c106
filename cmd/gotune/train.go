package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gotune/examples"
	"gotune/train"
)

// mainJob is the recipe that train does when it is given no data.
const mainJob = "tune-base.yaml"

func newTrain() *cobra.Command {
	flagged := train.DefaultRecipe()
	var config, resume, format string
	c := &cobra.Command{
		Use:   "train",
		Short: "Tune a model by LoRA or in full",
		Long: `train tunes a model on rows of text, of prompt and completion, or of messages. With
no data it tunes the embedded base on the toy world, which takes about a minute.

The run folder holds the recipe, metrics, checkpoints and the result: an adapter
in PEFT's files, or with --full a model folder.`,
		Example: `  gotune train --lora-rank 8
  gotune train --data rows.jsonl --columns prompt=question,completion=answer
  gotune train --model smollm2-135m --data chat.jsonl --full --learning-rate 2e-5
  gotune train --config recipe.yaml --seed 7
  gotune train --resume runs/2026-01-31-1`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := newObserver(c, format)
			if err != nil {
				return err
			}
			if resume != "" {
				return resumeRun(c, resume, flagged.Threads, o)
			}
			r, err := resolve(c.Flags(), &flagged, config, mainJob)
			if err != nil {
				return err
			}
			if err := checkAdapterFlags(c.Flags(), r); err != nil {
				return err
			}
			if r.Pretraining() {
				return usagef("the recipe has a shape, so it makes a new model: use gotune pretrain")
			}
			_, err = train.Run(c.Context(), r, o)
			return err
		},
	}
	c.Flags().StringVar(&config, "config", "", "recipe in YAML; flags override its keys")
	c.Flags().StringVar(&resume, "resume", "", "run folder to go on with, from its newest checkpoint")
	c.Flags().StringVar(&format, "log-format", "text", "text for people, json for programs")
	bindRecipe(c, "train", &flagged)
	return c
}

// checkAdapterFlags refuses flags that an adapter has values of its own for.
func checkAdapterFlags(flags *pflag.FlagSet, r train.Recipe) error {
	if r.Adapter == "" {
		return nil
	}
	for _, name := range []string{"lora-rank", "lora-alpha", "lora-targets", "lora-dropout"} {
		if flags.Changed(name) {
			return usagef("--%s cannot be given with --adapter: the adapter in %s has its own; leave the flag out", name, r.Adapter)
		}
	}
	return nil
}

// resolve puts defaults, the recipe file and flags together. Without a file and
// without data the embedded recipe of the name preset is the file.
func resolve(flags *pflag.FlagSet, flagged *train.Recipe, config, preset string) (train.Recipe, error) {
	r := train.DefaultRecipe()
	switch {
	case config != "":
		if err := r.ReadRecipe(config); err != nil {
			return r, usageError{err}
		}
	case preset != "" && !flags.Changed("data"):
		raw, err := examples.Recipes.ReadFile(preset)
		if err != nil {
			return r, err
		}
		if err := r.Parse(preset, raw); err != nil {
			return r, err
		}
	}
	override(flags, &r, flagged)
	return r, nil
}

// resumeRun goes on with a run. The recipe of the run stands, so no flag that
// would change it is taken.
func resumeRun(c *cobra.Command, path string, threads int, o train.Observer) error {
	var wrong error
	c.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"resume", "threads", "log-format"}, f.Name) {
			wrong = usagef("--%s cannot be given with --resume: the recipe of the run stands", f.Name)
		}
	})
	if wrong != nil {
		return wrong
	}
	_, err := train.Resume(c.Context(), path, threads, o)
	return err
}
