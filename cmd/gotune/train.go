package main

import (
	"github.com/spf13/cobra"

	"gotune/train"
)

// mainJob is the recipe that train does when it is given no data.
const mainJob = "tune-base.yaml"

func newTrain() *cobra.Command {
	var f *runFlags
	c := &cobra.Command{
		Use:   "train",
		Short: "Tune a model by LoRA or in full",
		Long: `train tunes a model on rows of text, of prompt and completion, or of messages. With
no data it tunes the embedded base on the toy world, which takes less than a minute.

The run folder holds the recipe, metrics, checkpoints and the result: an adapter
in PEFT's files, or with --full a model folder.`,
		Example: `  gotune train --lora-rank 8
  gotune train --data rows.jsonl --columns prompt=question,completion=answer
  gotune train --model smollm2-135m --data chat.jsonl --full --learning-rate 2e-5
  gotune train --config recipe.yaml --seed 7
  gotune train --resume runs/2026-01-31-1`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("gotune train takes flags alone: if %s is data, --data %[1]s; if it is a recipe, --config %[1]s", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c, mainJob, func(r *train.Recipe) error {
				if r.Pretraining() {
					return usagef("the recipe has a shape, so it makes a new model: use gotune pretrain")
				}
				return nil
			})
		},
	}
	f = newRunFlags(c, "train")
	return c
}
