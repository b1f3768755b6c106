package main

import (
	"github.com/spf13/cobra"

	"gotune/internal/hf"
)

func newMerge() *cobra.Command {
	var s source
	var dtype string
	c := &cobra.Command{
		Use:   "merge OUT",
		Short: "Write a model folder with an adapter merged into its weights",
		Example: `  gotune merge --model DIR --adapter RUN/adapter OUT
  gotune merge --adapter runs/2026-01-31-1/adapter --dtype bfloat16 OUT`,
		Args: exactly(1, "the folder to make"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := hf.ParseDType(dtype)
			if err != nil {
				return usageError{err}
			}
			if s.adapterName == "" {
				return usagef("--adapter is missing")
			}
			if err := checkNewFolder(args[0]); err != nil {
				return err
			}
			if err := s.load(c.Context()); err != nil {
				return err
			}
			merged, err := s.adapter.Merge(s.model)
			if err != nil {
				return err
			}
			if err := writeModel(args[0], merged, d, s.tokenizer, s.adapterTemplate, nil); err != nil {
				return err
			}
			c.PrintErrf("%s: %s with %s merged\n", args[0], s.modelName, s.adapterName)
			return nil
		},
	}
	s.flags(c)
	c.Flags().StringVar(&dtype, "dtype", "float32", "how weights are stored: float32, float16 or bfloat16")
	return c
}
