package train

import "slices"

// BenchRounds are what a benchmark has measured, a figure for each of its rounds or steps.
type BenchRounds []float64

// Median is the figure in the middle, of an even number the upper of the two.
func (r BenchRounds) Median() float64 {
	return slices.Sorted(slices.Values(r))[len(r)/2]
}
