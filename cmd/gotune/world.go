package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gotune/data/world"
)

func newWorld() *cobra.Command {
	var out string
	var seed uint64
	c := &cobra.Command{
		Use:     "world",
		Short:   "Write the toy world's corpora as JSON lines",
		Long:    `world writes every corpus of the toy world as a file of JSON lines.`,
		Example: `  gotune world --out DIR`,
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return usagef("--out is missing: name the folder to write to")
			}
			w := world.Generate(world.Config{Seed: seed})
			if err := w.Write(c.Context(), out); err != nil {
				return err
			}
			for _, name := range w.Names() {
				fmt.Fprintf(c.OutOrStdout(), "%s/%s.jsonl\n", out, name)
			}
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder to write to")
	c.Flags().Uint64Var(&seed, "seed", world.DefaultSeed, "names the world; the embedded base knows that of the default")
	return c
}
