package train

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// BenchJobs compares runs at once, each on one thread, with one run alone.
type BenchJobs struct {
	Jobs     int     `json:"jobs"`
	Alone    float64 `json:"alone_tokens_per_second"`
	Together float64 `json:"together_tokens_per_second"` // of all runs
	Scaling  float64 `json:"scaling"`                    // median of the rounds' quotients
	Low      float64 `json:"scaling_low"`                // the lowest quotient
	High     float64 `json:"scaling_high"`
	Rounds   int     `json:"rounds"`
}

// roundTime is how long a run works in each half of a round, at least.
const roundTime = 400 * time.Millisecond

// BenchTogether measures what several runs in one process do at once, each on
// one thread. Rounds alternate between one run alone and all together, so that
// both meet the same machine.
func BenchTogether(ctx context.Context, c BenchConfig, jobs, rounds int) (BenchJobs, error) {
	r := BenchJobs{Jobs: jobs, Rounds: rounds}
	if jobs < 1 || rounds < 1 {
		return r, usagef("%d jobs in %d rounds: there must be at least 1 of each", jobs, rounds)
	}
	c.Threads = 1
	var all []*bench
	for range jobs {
		b, err := newBench(c)
		if err != nil {
			return r, err
		}
		defer b.team.Close()
		all = append(all, b)
	}
	// A first step each to grow the buffers, a second to know how long one takes.
	if _, err := together(ctx, all, 1); err != nil {
		return r, err
	}
	took, err := together(ctx, all[:1], 1)
	if err != nil {
		return r, err
	}
	steps := int(math.Ceil(roundTime.Seconds() / took))
	tokens := float64(c.Rows * c.Length * steps)
	var alone, whole, scaling BenchRounds
	for range rounds {
		one, err := together(ctx, all[:1], steps)
		if err != nil {
			return r, err
		}
		many, err := together(ctx, all, steps)
		if err != nil {
			return r, err
		}
		alone, whole = append(alone, tokens/one), append(whole, tokens*float64(jobs)/many)
		scaling = append(scaling, float64(jobs)*one/many)
	}
	r.Alone, r.Together, r.Scaling = alone.Median(), whole.Median(), scaling.Median()
	r.Low, r.High = slices.Min(scaling), slices.Max(scaling)
	return r, nil
}

// together lets runs take some steps each at the same time and returns the
// seconds until the last is done.
func together(ctx context.Context, all []*bench, steps int) (seconds float64, err error) {
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	start := time.Now()
	for i, b := range all {
		wait.Go(func() {
			for n := 0; n < steps && errs[i] == nil; n++ {
				_, errs[i] = b.step(ctx)
			}
		})
	}
	wait.Wait()
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	return time.Since(start).Seconds(), err
}
