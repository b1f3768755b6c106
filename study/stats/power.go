package stats

import (
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	// Power is the chance of an answer that plans ask for.
	Power = 0.8
	// MaxSeeds is where [Rule.Needs] gives up.
	MaxSeeds = 1000
)

// nodes are those of a Gauss–Legendre rule from −1 to 1. They are many because the
// integrand has kinks where a region begins to exist; between them few would do.
var nodes = sync.OnceValue(func() (n struct{ at, weight [128]float64 }) {
	quad.Legendre{}.FixedLocations(n.at[:], n.weight[:], -1, 1)
	return n
})

// Power returns the chances that the rule will say Supported and Contradicted with a
// number of seeds, if effect is the true one and sd the deviation between seeds. Both
// are 0 with fewer than two seeds.
func (r Rule) Power(seeds int, effect, sd float64) (supported, contradicted float64) {
	if seeds < 2 {
		return 0, 0
	}
	if sd == 0 {
		switch r.Decide(Effect{N: seeds, Mean: effect}).Outcome {
		case Supported:
			return 1, 0
		case Contradicted:
			return 0, 1
		}
		return 0, 0
	}
	se := sd / math.Sqrt(float64(seeds))
	wide, narrow := quantile(seeds, 1-Level), quantile(seeds, 1-2*Level)
	chance := func(spans []span) (p float64) {
		for _, s := range spans {
			if s.high > s.low {
				p += distuv.UnitNormal.CDF((s.high-effect)/se) - distuv.UnitNormal.CDF((s.low-effect)/se)
			}
		}
		return p
	}

	nu := float64(seeds - 1)
	lgamma, _ := math.Lgamma(nu / 2)
	scale := math.Ln2 + nu/2*math.Log(nu/2) - lgamma
	// Eight deviations of s around σ hold all but 1e-14 of its density.
	reach := 8 / math.Sqrt(2*nu)
	low, high := math.Max(0, 1-reach), 1+reach
	n := nodes()
	for i, at := range n.at {
		x := (low + high + at*(high-low)) / 2
		density := math.Exp(scale+(nu-1)*math.Log(x)-nu*x*x/2) * n.weight[i] * (high - low) / 2
		yes, no := r.regions(wide*se*x, narrow*se*x)
		supported += density * chance(yes)
		contradicted += density * chance(no)
	}
	return supported, contradicted
}

// Needs returns the smallest number of seeds with which the rule gives one of its two
// answers with the chance power, if effect is the true one and sd the deviation between
// seeds. It is 0 if [MaxSeeds] would not do, as where the effect is just the margin.
//
// With the effect and deviation that some seeds showed, it says how many would decide;
// with an effect that one would not like to miss, how many to plan for.
func (r Rule) Needs(effect, sd, power float64) int {
	for n := 2; n <= MaxSeeds; n++ {
		if s, c := r.Power(n, effect, sd); math.Max(s, c) >= power {
			return n
		}
	}
	return 0
}

// Resolves returns the smallest difference between two arms that a number of seeds
// tells from 0 with the chance [Power], given what one arm measured on the seeds of a
// pilot. Two arms that differ as the seeds do have √2 of the deviation of one between
// them; arms that share data and order mostly have less, so this is on the safe side.
// It is +Inf with fewer than two seeds, of the pilot or of the study.
func Resolves(values []float64, seeds int) (float64, error) {
	e, err := Of(values)
	if err != nil {
		return 0, fmt.Errorf("pilot: %w", err)
	}
	if !e.Known() || seeds < 2 {
		return math.Inf(1), nil
	}
	enough := func(effect float64) bool {
		p, _ := Rule{Expect: Above}.Power(seeds, effect, 1)
		return p >= Power
	}
	low, high := 0.0, 1.0
	for !enough(high) {
		low, high = high, 2*high
	}
	for high-low > 1e-9*high {
		if mid := (low + high) / 2; enough(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high * math.Sqrt2 * e.SD, nil
}
