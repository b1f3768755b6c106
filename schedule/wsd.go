package schedule

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// decays are the shapes of the fall at the end of wsd: what is left after the
// share x of it, from 1 at 0 to 0 at 1.
var decays = map[string]func(x float64) float64{
	"linear": func(x float64) float64 { return 1 - x },
	"cosine": func(x float64) float64 { return (1 + math.Cos(math.Pi*x)) / 2 },
	"sqrt":   func(x float64) float64 { return 1 - math.Sqrt(x) },
	"1-sqrt": func(x float64) float64 { return 1 - math.Sqrt(x) }, // its name in transformers
}

// DecayTypes returns the shapes of wsd's fall, sorted: 1-sqrt is another name of sqrt.
func DecayTypes() []string { return slices.Sorted(maps.Keys(decays)) }

// wsd warms up, stays at the peak, and falls in the last D steps (Hu et al.,
// MiniCPM, 2024, arXiv:2404.06395; the fall by 1−√x is that of Hägele et al., 2024,
// arXiv:2405.18392): with x = (i−(n−D))/D,
//
//	c = 1                                    x ≤ 0
//	c = 1−x, ½(1+cos(π·x)) or 1−√x           x > 0
func wsd(c Config, i, n int) float64 {
	d := min(c.decay(), n)
	if j := i - (n - d); j > 0 {
		return decays[c.DecayType](float64(j) / float64(d))
	}
	return 1
}

func checkWSD(c Config, n int) error {
	_, known := decays[c.DecayType]
	// Written so that NaN fails each test.
	switch {
	case !known:
		return fmt.Errorf("unknown decay type %q: there are %s", c.DecayType, strings.Join(DecayTypes(), ", "))
	case c.DecaySteps < 0:
		return fmt.Errorf("decay of %d steps: it must not be negative", c.DecaySteps)
	case !(c.DecayRatio >= 0 && c.DecayRatio <= 1):
		return fmt.Errorf("decay ratio %v: it must lie between 0 and 1", c.DecayRatio)
	case c.DecaySteps == 0 && c.DecayRatio == 0:
		return fmt.Errorf("wsd without a decay would never fall: give its steps or its ratio, or take constant")
	case c.decay() > n+1: // one more than there are: both shares of a run were rounded up
		return fmt.Errorf("decay of %d steps is longer than the %d that are left after the peak", c.decay(), n)
	}
	return nil
}

// decay returns D.
func (c Config) decay() int {
	if c.DecaySteps > 0 {
		return c.DecaySteps
	}
	return share(c.DecayRatio, c.Steps)
}
