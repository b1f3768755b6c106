package schedule

import "fmt"

// restarts is cosine in several cycles of equal length, as far as steps can be
// shared out: each begins at the peak and ends at the floor (Loshchilov and
// Hutter, SGDR, 2017, with hard restarts and T_mult = 1). Of the N = n+1 steps from
// the peak on, cycle k = 0…C−1 has those from ⌊k·N/C⌋ on; with L steps its step j has
//
//	c = ½(1 + cos(π·j/(L−1)))
//
// Differs from transformers' get_cosine_with_hard_restarts_schedule_with_warmup,
// whose cycles are cut off a step before the floor.
func restarts(c Config, i, n int) float64 {
	k := (i*c.Cycles + c.Cycles - 1) / (n + 1) // the last k with ⌊k·N/C⌋ ≤ i
	first, next := k*(n+1)/c.Cycles, (k+1)*(n+1)/c.Cycles
	if i == first {
		return 1
	}
	return cosine(c, i-first, next-1-first)
}

func checkRestarts(c Config, n int) error {
	switch {
	case c.Cycles < 1:
		return fmt.Errorf("%d cycles: there must be at least one", c.Cycles)
	case c.Cycles > 1 && c.Cycles > (n+1)/2:
		return fmt.Errorf("%d cycles in %d steps from the peak on: each needs at least 2, one at the peak and one at the floor", c.Cycles, n+1)
	}
	return nil
}
