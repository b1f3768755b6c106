package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"gotune/model"
	"gotune/train"
)

// generation gives flags that were not set the values of --mode generate.
func (f *benchFlags) generation(set func(flag string) bool) {
	if !set("base-precision") {
		f.base = string(model.BaseBF16)
	}
	if !set("steps") {
		f.Steps = 50
	}
}

// benchGenerate measures generation.
func (f *benchFlags) benchGenerate(ctx context.Context, w io.Writer) error {
	r, err := train.BenchGenerate(ctx, f.BenchConfig)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "prefill %.1f tokens/s (%d tokens), decode %.1f tokens/s: %.1f MB of %s weights a token, %.1f GB/s (%.0f %% of the %.1f that memory is read at, at best %.0f %%), %s, %d threads\n",
		r.PrefillTokensPerSecond, r.Prompt, r.TokensPerSecond, float64(r.WeightBytes)/1e6, r.Stored, r.GBs, 100*r.ReadShare, r.ReadGBs, 100*r.BestShare, r.CPULevel, r.Threads)
	return nil
}
