package study

import (
	"fmt"

	"gotune/study/stats"
)

// A Resolution says what a metric of an arm can tell, given how it spread over the seeds
// of a pilot.
type Resolution struct {
	Arm, Metric string
	Runs        int
	Mean, SD    float64
	// Least is, for each number of seeds asked about, the smallest difference between two
	// arms that so many seeds tell from none with the chance [stats.Power].
	Least []float64
}

// Resolutions are those of all arms and metrics that have at least two runs.
func (r Result) Resolutions(seeds ...int) ([]Resolution, error) {
	var all []Resolution
	for _, a := range r.Arms {
		for _, m := range r.Metrics {
			var values []float64
			for _, run := range a.Runs {
				if x, ok := run.Metrics[m.Name]; ok {
					values = append(values, x)
				}
			}
			e, err := stats.Of(values)
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", m.Name, a.Name, err)
			}
			if !e.Known() {
				continue
			}
			one := Resolution{Arm: a.Name, Metric: m.Name, Runs: e.N, Mean: e.Mean, SD: e.SD}
			for _, n := range seeds {
				least, err := stats.Resolves(values, n)
				if err != nil {
					return nil, err
				}
				one.Least = append(one.Least, least)
			}
			all = append(all, one)
		}
	}
	return all, nil
}
