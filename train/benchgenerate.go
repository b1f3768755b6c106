package train

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"gotune/internal/kernel"
	"gotune/internal/pages"
	"gotune/internal/rng"
	"gotune/model"
)

// A GenerateBench is what BenchGenerate measured.
type GenerateBench struct {
	PrefillTokensPerSecond float64 `json:"prefill_tokens_per_second"` // of a prompt, up to the first new token
	Prompt                 int     `json:"prompt_tokens"`
	TokensPerSecond        float64 `json:"tokens_per_second"` // new tokens, by the median
	WeightBytes            int64   `json:"weight_bytes"`      // read for each new token
	GBs                    float64 `json:"gbs"`               // of weights, while decoding
	// ReadGBs is how fast the same threads read as many bytes of memory and sum their
	// squares, measured after each token.
	ReadGBs   float64 `json:"read_gbs"`
	ReadShare float64 `json:"read_share"`
	// BestShare is that of the fastest token and the fastest pass over memory, which other
	// programs disturbed least.
	BestShare float64 `json:"best_share"`
	Stored    string  `json:"stored"` // how most weights are
	CPULevel  string  `json:"cpu_level"`
	Threads   int     `json:"threads"`
}

// BenchGenerate measures greedy generation with random weights: a prompt of c.Length
// made-up tokens, which are followed by c.Steps new ones. Every weight is read once for
// each new token, except a table of embeddings that is not the head as well.
func BenchGenerate(ctx context.Context, c BenchConfig) (GenerateBench, error) {
	var r GenerateBench
	if c.Length < 1 || c.Steps < 1 {
		return r, usagef("bench of generation needs length ≥ 1 and steps ≥ 1, not %d, %d", c.Length, c.Steps)
	}
	c.Config.MaxPositions = max(c.Config.MaxPositions, c.Length+c.Steps+2)
	m, err := model.NewFrozen(c.Config, 1, c.Base)
	if err != nil {
		return r, err
	}
	m.Arithmetic = c.Arithmetic
	team := kernel.NewTeam(Recipe{Threads: c.Threads}.threads())
	defer team.Close()
	m.LayOutForGeneration(team)
	debug.FreeOSMemory()
	random := rng.New(0, "bench")
	text := func() []int32 {
		ids := make([]int32, c.Length)
		for i := range ids {
			ids[i] = int32(random.IntN(c.Config.VocabSize))
		}
		return ids
	}
	g := model.NewGenerator(m, team, nil)
	// The first text compiles the programs.
	if _, err := g.Generate(ctx, text(), model.Sampling{Greedy: true, MaxNewTokens: 2}, nil); err != nil {
		return r, err
	}
	ids := text()
	start := time.Now()
	first, err := g.Generate(ctx, ids, model.Sampling{Greedy: true, MaxNewTokens: 1}, nil)
	if err != nil {
		return r, err
	}
	r.Prompt, r.PrefillTokensPerSecond = c.Length, float64(c.Length)/time.Since(start).Seconds()

	r.WeightBytes = m.ReadBytes()
	tokens, reads, err := c.decode(ctx, g, team, append(ids, first...), r.WeightBytes)
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	token, read := tokens.Median(), reads.Median()
	r.TokensPerSecond = 1 / token
	r.GBs, r.ReadGBs = float64(r.WeightBytes)/token/1e9, float64(r.WeightBytes)/read/1e9
	r.ReadShare, r.BestShare = read/token, slices.Min(reads)/slices.Min(tokens)
	r.Stored, r.CPULevel, r.Threads = m.Stored()[0].Storage, kernel.Active().String(), team.Threads()
	return r, nil
}

// decode returns the times in seconds of new tokens and of reading so many bytes of
// memory, which no cache holds, after each of them.
func (c BenchConfig) decode(ctx context.Context, g *model.Generator, team *kernel.Team, ids []int32, bytes int64) (tokens, reads BenchRounds, err error) {
	memory := pages.Make[float32](int(bytes / 4))
	kernel.Fill(memory, 1) // so that each page has memory of its own
	var last time.Time
	_, err = g.Generate(ctx, ids, model.Sampling{Greedy: true, MaxNewTokens: c.Steps + 1}, func(int32) error {
		now := time.Now()
		if !last.IsZero() {
			tokens = append(tokens, now.Sub(last).Seconds())
			kernel.SumSquares(team, memory)
			reads = append(reads, time.Since(now).Seconds())
		}
		last = time.Now()
		return nil
	})
	return tokens, reads, err
}
