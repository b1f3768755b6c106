package main

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/train"
)

// evalResult is what eval --json prints at the end.
type evalResult struct {
	Loss         float64  `json:"loss"`
	Perplexity   float64  `json:"perplexity"`
	TargetTokens int      `json:"target_tokens"`
	Rows         int      `json:"rows"`
	ExactMatch   *float64 `json:"exact_match,omitempty"`
}

// tokenResult is a line of eval --per-token.
type tokenResult struct {
	Row int       `json:"row"`
	IDs []int32   `json:"ids"`
	NLL []float32 `json:"nll"`
}

func newEval() *cobra.Command {
	var s source
	var held heldOut
	var asJSON, perToken, learnPrompt, ignoreEOS bool
	c := &cobra.Command{
		Use:   "eval [RUN]",
		Short: "Compute the loss of a model on data",
		Long:  `eval prints the mean loss over target tokens, in nats, and what follows from it.`,
		Example: `  gotune eval --data world:heldout
  gotune eval RUN --data rows.jsonl
  gotune eval --model DIR --adapter RUN/adapter --data rows.jsonl --json`,
		Args: between(0, 1, "at most a run folder"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(held.paths) == 0 {
				return usagef("--data is missing: name a file, or a corpus such as world:heldout")
			}
			if err := held.check(); err != nil {
				return err
			}
			if err := s.loadRun(c, args); err != nil {
				return err
			}
			d, err := held.open(c, &s, train.Objective{LearnPrompt: learnPrompt})
			if err != nil {
				return err
			}
			return evaluate(c, &s, d, asJSON, perToken, ignoreEOS)
		},
	}
	s.flags(c)
	held.flags(c)
	c.Flags().StringVar(&s.templateName, "chat-template", "", "chat template: a built-in name or a Jinja file; without one the model's own, else chatml")
	c.Flags().BoolVar(&learnPrompt, "all-tokens", false, "count prompts too, as continued pre-training does")
	c.Flags().BoolVar(&ignoreEOS, "ignore-eos", false, "leave the end token out of loss and matches")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&perToken, "per-token", false, "print a JSON line with the loss of every target token for each row first")
	return c
}

func evaluate(c *cobra.Command, s *source, d *data.Dataset, asJSON, perToken, ignoreEOS bool) error {
	team := s.team()
	defer team.Close()
	e := train.NewEvaluator(s.model, s.project, exec.NewArena(team))
	if id, ok := s.tokenizer.EOS(); ok && ignoreEOS {
		e.IgnoreEOS(id)
	}
	enc := json.NewEncoder(c.OutOrStdout())
	r := evalResult{Rows: d.Report().Kept}
	var sum float64
	asked, right := 0, 0
	err := e.Each(c.Context(), d, func(row train.RowScore) error {
		x := d.Example(row.Example)
		r.TargetTokens += len(row.NLL)
		for _, v := range row.NLL {
			sum += float64(v)
		}
		if x.Prompt > 0 {
			asked++
			if row.Exact {
				right++
			}
		}
		if perToken {
			return enc.Encode(tokenResult{Row: x.Row, IDs: x.IDs[x.Virtual:], NLL: row.NLL})
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Loss = sum / float64(r.TargetTokens)
	r.Perplexity = math.Exp(r.Loss)
	if asked > 0 {
		share := float64(right) / float64(asked)
		r.ExactMatch = &share
	}
	if asJSON {
		return enc.Encode(r)
	}
	fmt.Fprintf(c.OutOrStdout(), "loss %.5f, perplexity %.3f, over %d target tokens of %d rows\n", r.Loss, r.Perplexity, r.TargetTokens, r.Rows)
	if r.ExactMatch != nil {
		fmt.Fprintf(c.OutOrStdout(), "exact match %.1f %%\n", 100**r.ExactMatch)
	}
	return nil
}
