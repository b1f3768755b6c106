package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// An Outcome is what a rule says of an effect.
type Outcome string

// The outcomes of a rule.
const (
	Supported    Outcome = "supported"
	Contradicted Outcome = "contradicted"
	Inconclusive Outcome = "inconclusive"
)

// An Expect is what a claim says of an effect.
type Expect string

// What can be expected of an effect; the package comment has the rule of each.
const (
	Above     Expect = "above"
	Below     Expect = "below"
	Different Expect = "different" // of manipulation checks: the lever moved something
	Equal     Expect = "equal"
	NotBelow  Expect = "not-below" // not inferior where higher is better
	NotAbove  Expect = "not-above"
	Contains  Expect = "contains" // of exponents
)

// Level is the chance of a false answer that every rule allows, both sides together.
const Level = 0.05

// A Rule decides a claim from an effect. It is fixed before the effect is seen.
type Rule struct {
	Expect   Expect
	Margin   float64   // the smallest effect that matters, at or above 0; unused by Contains
	Contains float64   // of Contains alone: the value claimed
	Excludes []float64 // of Contains alone: the values that are to be told from it
}

// Check returns an error if the rule could not come out either way.
func (r Rule) Check() error {
	switch r.Expect {
	case Above, Below, Different:
		if !(r.Margin >= 0) || math.IsInf(r.Margin, 0) {
			return fmt.Errorf("margin %v of %q: want a number from 0 on", r.Margin, r.Expect)
		}
	case Equal, NotBelow, NotAbove:
		if !(r.Margin > 0) || math.IsInf(r.Margin, 0) {
			return fmt.Errorf("margin %v of %q: want a number above 0", r.Margin, r.Expect)
		}
	case Contains:
		if len(r.Excludes) == 0 {
			return errors.New("contains a value and excludes none: any interval that is wide enough would do")
		}
		if slices.Contains(r.Excludes, r.Contains) {
			return fmt.Errorf("%v is to be both contained and excluded", r.Contains)
		}
	default:
		return fmt.Errorf("expect %q: want above, below, different, equal, not-below, not-above or contains", r.Expect)
	}
	return nil
}

// A Decision is what a rule says of an effect, and the p-value of the hypothesis that
// has to fall for the claim to be supported. P < [Level] is necessary for Supported.
type Decision struct {
	Outcome Outcome
	P       float64
}

// Decide applies the rule. An effect that is not [Effect.Known] is inconclusive with
// P 1. A rule of an unknown expectation, and one that contains without excluding,
// cannot support.
func (r Rule) Decide(e Effect) Decision {
	d := Decision{Outcome: Inconclusive, P: r.p(e)}
	supported, contradicted := r.regions(halfWidth(e.SE(), e.N, 1-Level), halfWidth(e.SE(), e.N, 1-2*Level))
	holds := func(s span) bool { return s.holds(e.Mean) }
	switch {
	case slices.ContainsFunc(supported, holds):
		d.Outcome = Supported
	case slices.ContainsFunc(contradicted, holds):
		d.Outcome = Contradicted
	}
	return d
}

// All returns the decision about a claim that is true if all its parts are: supported
// if every part is, contradicted if one is, with the largest P, which needs no
// adjustment for the number of parts (Berger 1982, "Multiparameter hypothesis testing
// and acceptance sampling"). No parts are inconclusive with P 1.
func All(parts ...Decision) Decision {
	if len(parts) == 0 {
		return Decision{Outcome: Inconclusive, P: 1}
	}
	all := Decision{Outcome: Supported}
	for _, d := range parts {
		all.P = math.Max(all.P, d.P)
		switch {
		case d.Outcome == Contradicted:
			all.Outcome = Contradicted
		case d.Outcome != Supported && all.Outcome == Supported:
			all.Outcome = Inconclusive
		}
	}
	return all
}

func (r Rule) p(e Effect) float64 {
	bothSides := func(p float64) float64 { return math.Min(1, 2*p) }
	switch r.Expect {
	case Above:
		return bothSides(e.PAbove(0))
	case Below:
		return bothSides(e.PBelow(0))
	case Different:
		return e.PDifferent(0)
	case Equal:
		return math.Max(e.PAbove(-r.Margin), e.PBelow(r.Margin))
	case NotBelow:
		return bothSides(e.PAbove(-r.Margin))
	case NotAbove:
		return bothSides(e.PBelow(r.Margin))
	case Contains:
		if len(r.Excludes) == 0 {
			return 1
		}
		p := 0.0
		for _, x := range r.Excludes {
			p = math.Max(p, e.PDifferent(x))
		}
		return p
	}
	return 1
}

// A span is an interval of means. A closed one holds its ends, which matters only
// where seeds agree to the bit.
type span struct {
	low, high float64
	closed    bool
}

func (s span) holds(x float64) bool {
	return s.low < x && x < s.high || s.closed && s.low <= x && x <= s.high
}

// regions returns the means that support and contradict the claim, given half the
// width of the 95 % and of the 90 % interval around the mean. Decisions and powers
// both come from here.
func (r Rule) regions(wide, narrow float64) (supported, contradicted []span) {
	inf, m := math.Inf(1), r.Margin
	// 0.85 − 0.80 is to meet a margin of 0.05.
	reach := math.Max(wide, m-1e-9*m)
	switch r.Expect {
	case Above:
		return []span{{low: reach, high: inf}}, []span{{low: -inf, high: m - wide}}
	case Below:
		return []span{{low: -inf, high: -reach}}, []span{{low: wide - m, high: inf}}
	case Different:
		return []span{{low: -inf, high: -reach}, {low: reach, high: inf}}, []span{{low: wide - m, high: m - wide}}
	case Equal:
		return []span{{low: narrow - m, high: m - narrow}}, []span{{low: -inf, high: -m - wide}, {low: m + wide, high: inf}}
	case NotBelow:
		return []span{{low: wide - m, high: inf}}, []span{{low: -inf, high: -m - wide}}
	case NotAbove:
		return []span{{low: -inf, high: m - wide}}, []span{{low: m + wide, high: inf}}
	case Contains:
		c := r.Contains
		contradicted = []span{{low: -inf, high: c - wide}, {low: c + wide, high: inf}}
		if len(r.Excludes) > 0 {
			supported = []span{{low: c - wide, high: c + wide, closed: true}}
		}
		for _, x := range r.Excludes {
			supported = cut(supported, x-wide, x+wide)
		}
	}
	return supported, contradicted
}

// cut returns what is left of spans outside low to high.
func cut(spans []span, low, high float64) (left []span) {
	for _, s := range spans {
		if s.low < low {
			left = append(left, span{s.low, math.Min(s.high, low), s.closed})
		}
		if s.high > high {
			left = append(left, span{math.Max(s.low, high), s.high, s.closed})
		}
	}
	return left
}
