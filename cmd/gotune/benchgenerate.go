package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"gotune/train"
)

// benchGenerate measures generation.
func benchGenerate(c *cobra.Command, b train.BenchConfig, asJSON bool) error {
	r, err := train.BenchGenerate(c.Context(), b)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(r)
	}
	fmt.Fprintf(c.OutOrStdout(), "prefill %.1f tokens/s (%d tokens), decode %.1f tokens/s: %.1f MB of %s weights a token, %.1f GB/s (%.0f %% of %.1f that memory is read at), %s, %d threads\n",
		r.PrefillTokensPerSecond, r.Prompt, r.TokensPerSecond, float64(r.WeightBytes)/1e6, r.Stored, r.GBs, 100*r.ReadShare, r.ReadGBs, r.CPULevel, r.Threads)
	return nil
}
