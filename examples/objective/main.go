// Command objective adds an objective of its own to those of gotune, and compares
// it with supervised fine-tuning on the embedded base.
//
// An answer repeats much of its question: "What does Mira Reed like to eat?" "The
// favourite food of Mira Reed is cake." The objective news learns mostly what the
// question does not say.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"

	"gotune/data"
	"gotune/train"
)

// repeated is what a token weighs that stands in the question too. Above 0, for
// otherwise the model would never learn to write one.
const repeated = 0.2

var news = train.Objective{Name: "news", Weigh: func(x data.Example) []float32 {
	weights := make([]float32, len(x.IDs))
	for i, id := range x.IDs {
		switch {
		case !x.Target[i]: // the question: not learned
		case slices.Contains(x.IDs[:x.Prompt], id):
			weights[i] = repeated
		default:
			weights[i] = 1
		}
	}
	return weights
}}

func main() {
	if err := train.AddObjective(news); err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "objective")
	if err == nil {
		err = compare(context.Background(), os.Stdout, dir, "world:heldout", 40)
		os.RemoveAll(dir)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// compare tunes the base for so many steps by either objective, with runs in dir,
// and asks it held-out questions.
func compare(ctx context.Context, out io.Writer, dir, heldOut string, steps int) error {
	for _, objective := range []string{"sft", news.Name} {
		r := train.DefaultRecipe()
		r.Data, r.EvalData = train.Paths("world:chat"), train.Paths(heldOut)
		r.Objective, r.Output = objective, filepath.Join(dir, objective)
		r.MaxSteps, r.BatchSize, r.LearningRate, r.EvalSteps = steps, 16, 0.002, steps
		done, err := train.Run(ctx, r, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", objective, err)
		}
		fmt.Fprintf(out, "%s: right answers to %.3f of the questions before, %.3f after; loss %.3f before, %.3f after\n",
			objective, *done.Before.ExactMatch, *done.After.ExactMatch, *done.Before.Loss, *done.After.Loss)
	}
	return nil
}
