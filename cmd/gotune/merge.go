package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gotune/internal/hf"
)

func newMerge() *cobra.Command {
	var s source
	var dtype string
	var undo bool
	c := &cobra.Command{
		Use:   "merge [RUN] OUT",
		Short: "Write a model folder with adapters merged into its weights",
		Long: `merge writes a model folder with one or several adapters merged into its weights.

With --undo the model is one that the adapter was merged into, and it is taken out
again. Both sums are rounded to the type that weights are stored in, so that an
element comes back to within one unit in the last place of the larger of the two.
What DoRA, modules trained whole and PiSSA replaced cannot be brought back.`,
		Example: `  gotune merge RUN OUT
  gotune merge --model DIR --adapter RUN/adapter OUT
  gotune merge --adapter runs/2026-01-31-1/adapter --dtype bfloat16 OUT
  gotune merge --model DIR --adapter A=0.7 --adapter B=0.3 OUT
  gotune merge --undo --model MERGED --adapter RUN/adapter OUT`,
		Args: between(1, 2, "perhaps a run folder, and the folder to make"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := hf.ParseDType(dtype)
			if err != nil {
				return usageError{err}
			}
			run, out := args[:len(args)-1], args[len(args)-1]
			if undo && len(run) > 0 {
				return usagef("--undo cannot be given with a run, whose model was never merged: give the merged model by --model and %s by --adapter", filepath.Join(run[0], "adapter"))
			}
			if err := s.loadForAdapter(c, run, out); err != nil {
				return err
			}
			ad, err := s.updates("adapters can be merged, or taken out,")
			if err != nil {
				return err
			}
			change, what := ad.Merge, "merged"
			if undo {
				change, what = ad.Unmerge, "taken out"
			}
			merged, err := change(s.model)
			if err != nil {
				return err
			}
			template := s.adapterTemplate
			if undo {
				template = nil
			}
			if err := writeModel(out, merged, d, s.tokenizer, template, nil); err != nil {
				return err
			}
			c.PrintErrf("%s: %s with %s %s\n", out, s.modelName, strings.Join(s.adapters, ", "), what)
			return nil
		},
	}
	s.flags(c)
	c.Flags().StringVar(&dtype, "dtype", "float32", "how weights are stored: float32, float16 or bfloat16")
	c.Flags().BoolVar(&undo, "undo", false, "take the adapter out of a model that it was merged into")
	return c
}
