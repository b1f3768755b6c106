package schedule

import (
	"fmt"
	"math"
)

// inverseSqrt falls as one over the root of the steps, with time scale T: the
// rate is p·√(T/(T+i)), but not below the floor. It depends on the step alone and not
// on how long the run is, and so meets the floor only in a run that is long enough
// (Zhai et al., Scaling Vision Transformers, 2022; get_inverse_sqrt_schedule of
// transformers, whose T is the same and which has no floor).
func inverseSqrt(c Config, i, _ int) float64 {
	t := c.timescale()
	ratio := math.Sqrt(t / (t + float64(i)))
	if ratio <= c.MinRatio {
		return 0
	}
	return (ratio - c.MinRatio) / (1 - c.MinRatio) // so that floor + (peak−floor)·c is ratio·peak
}

func checkInverseSqrt(c Config, _ int) error {
	if !(c.Timescale >= 0) || math.IsInf(c.Timescale, 1) {
		return fmt.Errorf("time scale %v: it must be a number of steps", c.Timescale)
	}
	return nil
}

// timescale returns T: W where none is given, as in transformers.
func (c Config) timescale() float64 {
	if c.Timescale > 0 {
		return c.Timescale
	}
	if w := c.warmup(); w > 0 {
		return float64(w)
	}
	return 10_000
}
