package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"gotune/data"
	"gotune/internal/exec"
	"gotune/lora"
	"gotune/train"
)

// shrinkResult is what shrink --json prints.
type shrinkResult struct {
	Layers []shrunkLayer `json:"layers"`
	Kept   float64       `json:"kept"` // the mean over layers
	Before *float64      `json:"loss_before,omitempty"`
	After  *float64      `json:"loss_after,omitempty"`
}

type shrunkLayer struct {
	Module string  `json:"module"`
	From   int     `json:"rank_before"`
	To     int     `json:"rank"`
	Kept   float64 `json:"kept"` // share of the squared norm of the update
}

func newShrink() *cobra.Command {
	var s source
	var held heldOut
	var rank int
	var asJSON bool
	c := &cobra.Command{
		Use:   "shrink [RUN] OUT",
		Short: "Write an adapter of a lower rank",
		Long: `shrink writes an adapter whose updates are as near to those of another as any of a
lower rank, by the singular values of each update, and says what share of an update's
squared norm is left. With --data it computes the loss before and after.`,
		Example: `  gotune shrink --rank 4 RUN OUT
  gotune shrink --model DIR --adapter RUN/adapter --rank 4 --data rows.jsonl OUT
  gotune shrink --model DIR --adapter A --adapter B --rank 8 OUT`,
		Args: between(1, 2, "perhaps a run folder, and the folder to make"),
		RunE: func(c *cobra.Command, args []string) error {
			if rank < 1 {
				return usagef("--rank is %d; it must be at least 1", rank)
			}
			if err := held.check(); err != nil {
				return err
			}
			out := args[len(args)-1]
			if err := s.loadForAdapter(c, args[:len(args)-1], out); err != nil {
				return err
			}
			var d *data.Dataset
			if len(held.paths) > 0 {
				var err error
				if d, err = held.open(c, &s, train.Objective{}); err != nil {
					return err
				}
			}
			r, err := shrink(c, &s, rank, d, out)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(r)
			}
			r.print(c)
			return nil
		},
	}
	s.flags(c)
	held.flags(c)
	c.Flags().IntVar(&rank, "rank", 0, "rank of the new adapter")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// shrink writes the smaller adapter. The data may be nil.
func shrink(c *cobra.Command, s *source, rank int, d *data.Dataset, out string) (shrinkResult, error) {
	var r shrinkResult
	ad, err := s.updates("adapters can have a lower rank")
	if err != nil {
		return r, err
	}
	before, err := s.loss(c, ad, d)
	if err != nil {
		return r, err
	}
	small, layers, err := ad.Shrink(rank)
	if err != nil {
		return r, err
	}
	for _, l := range layers {
		r.Layers = append(r.Layers, shrunkLayer(l))
		r.Kept += l.Kept / float64(len(layers))
	}
	r.Before = before
	if r.After, err = s.loss(c, small, d); err != nil {
		return r, err
	}
	return r, s.writeAdapter(out, small)
}

// loss is the mean over the target tokens of data with an adapter, nil without data.
func (s *source) loss(c *cobra.Command, ad *lora.Adapter, d *data.Dataset) (*float64, error) {
	if d == nil {
		return nil, nil
	}
	team := s.team()
	defer team.Close()
	scores, err := train.NewEvaluator(s.model, ad.Project, exec.NewArena(team)).Score(c.Context(), d)
	return scores.Loss, err
}

func (r shrinkResult) print(c *cobra.Command) {
	out := c.OutOrStdout()
	for _, l := range r.Layers {
		fmt.Fprintf(out, "%-48s rank %3d → %3d, %6.2f %% of the squared norm kept\n", l.Module, l.From, l.To, 100*l.Kept)
	}
	fmt.Fprintf(out, "mean over layers %.2f %% kept\n", 100*r.Kept)
	if r.Before != nil && r.After != nil {
		fmt.Fprintf(out, "loss %.5f before, %.5f after (%+.5f)\n", *r.Before, *r.After, *r.After-*r.Before)
	}
}
