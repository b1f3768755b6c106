package schedule

import (
	"fmt"
	"math"
)

// polynomial falls as a power of what is left of the run: c = (1 − i/n)^k.
func polynomial(c Config, i, n int) float64 {
	return math.Pow(float64(n-i)/float64(n), c.Power)
}

func checkPolynomial(c Config, _ int) error {
	if !(c.Power > 0) || math.IsInf(c.Power, 1) {
		return fmt.Errorf("power %v: it must be a number above 0", c.Power)
	}
	return nil
}
