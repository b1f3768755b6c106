package study

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/study/stats"
)

// judge decides the checks and the tests of a study. A failed check makes the tests
// insensitive, and without one a check that was not run leaves them as not run; P-values
// of tests are corrected by Holm's method, and what is supported before the correction
// alone is inconclusive.
func (b table) judge(checks, tests []Test) (checked, verdicts []Verdict) {
	var failed, open []string
	for _, t := range checks {
		v := b.verdict(t)
		switch {
		case v.Outcome == NotRun:
			open = append(open, v.Name+": "+strings.TrimPrefix(v.Reading, NotRun+": "))
		case !good(v.Outcome):
			failed = append(failed, fmt.Sprintf("%s (%s)", v.Name, v.Outcome))
		}
		checked = append(checked, v)
	}
	for _, t := range tests {
		verdicts = append(verdicts, b.verdict(t))
	}
	if b.study.Kind == Experiment {
		correct(verdicts)
	}
	for i := range verdicts {
		v := &verdicts[i]
		switch {
		case v.Outcome == NotRun:
		case len(failed) > 0:
			v.Outcome = Insensitive
			v.Reading = fmt.Sprintf("insensitive: the set-up does not show what the test needs: check %s; the test alone would say: %s", failed[0], v.Reading)
		case len(open) > 0:
			v.Outcome = NotRun
			v.Reading = fmt.Sprintf("not run: nothing is known of the check %s; the test alone would say: %s", open[0], v.Reading)
		}
	}
	return checked, verdicts
}

// correct sets the corrected P-values and takes back what does not survive.
func correct(verdicts []Verdict) {
	var tested []int
	var p []float64
	for i, v := range verdicts {
		if v.Outcome != NotRun {
			tested, p = append(tested, i), append(p, v.P)
		}
	}
	for i, x := range stats.Holm(p) {
		v := &verdicts[tested[i]]
		v.PHolm = x
		if v.Outcome == Supported && x >= stats.Level {
			v.Outcome = Inconclusive
			v.Reading = Inconclusive + strings.TrimPrefix(v.Reading, Supported) + fmt.Sprintf("; alone it would be supported, but of %d tests Holm's correction leaves P = %.2g", len(p), x)
		}
	}
}

// verdict decides one test.
func (b table) verdict(t Test) Verdict {
	if t.All != nil {
		return b.conjunction(t)
	}
	v := Verdict{Name: t.Name, Claim: t.Claim, Metric: t.Metric, Contrast: b.study.words(t), Expect: t.Expect, Margin: t.Margin, P: 1, PHolm: 1}
	if t.Expect == "contains" {
		v.Expect = fmt.Sprintf("contains %g, excludes %v", t.Contains, t.Excludes)
	}
	values, missing := b.values(t)
	v.Values, v.Seeds = values, len(values)
	if b.study.Kind != Experiment {
		return v.account(t, missing)
	}
	effect, err := stats.Of(values)
	if err != nil || !effect.Known() {
		v.Outcome = NotRun
		v.Effect = effect.Mean
		if err == nil {
			err = missing
		}
		v.Reading = fmt.Sprintf("not run: %d of %d seeds can be compared, and an interval needs two", len(values), len(b.seeds))
		if err != nil {
			v.Reading += fmt.Sprintf(" (%v)", err)
		}
		return v
	}
	v.Effect = effect.Mean
	v.Low, v.High = effect.Interval(0.95)
	v.Low90, v.High90 = effect.Interval(0.90)
	decision := t.rule().Decide(effect)
	v.Outcome, v.P = string(decision.Outcome), decision.P
	needs := 0
	if v.Outcome == Inconclusive {
		if needs = t.rule().Needs(effect.Mean, effect.SD, stats.Power); needs > effect.N {
			v.Needs = needs
		}
	}
	v.Reading = b.reading(t, v, needs)
	if unmet, all := b.unmet(t); unmet > 0 {
		v.Reading += fmt.Sprintf("; %d of %d runs did not meet the threshold, and the times of a seed count up to where the first of its own ended", unmet, all)
	}
	if t.Exponent != nil {
		if edges, all := b.edges(t); edges > 0 {
			v.Reading += fmt.Sprintf("; %d of %d best values are the first or last that was tried, and the true ones may lie beyond", edges, all)
		}
	}
	if ends := b.ends(t); ends != "" {
		v.Reading += "; chosen at an end of what was tried, and better ones may lie beyond: " + ends
	}
	if missing != nil {
		v.Reading += fmt.Sprintf("; %d of %d seeds are missing (%v)", len(b.seeds)-len(values), len(b.seeds), missing)
	}
	return v
}

// ends names the arms of a test with tuned values that are the first or last of what was
// tried for them.
func (b table) ends(t Test) string {
	var all []string
	for _, arm := range b.study.armsOf(t) {
		if b.chosen == nil {
			break
		}
		if at := b.chosen(arm); at != "" {
			all = append(all, at+" of "+arm)
		}
	}
	return strings.Join(all, ", ")
}

// reading puts a verdict into one line. As many seeds as needs would decide mostly, if the
// effect is as it looks; 0 is that none would.
func (b table) reading(t Test, v Verdict, needs int) string {
	number := func(x float64) string { return fmt.Sprintf("%+.3g", x) }
	text := fmt.Sprintf("%s of %s is %s", v.Contrast, v.Metric, number(v.Effect))
	if t.Ratio != nil {
		text = fmt.Sprintf("%s of %s is %.3g times that of %s", v.Metric, t.Ratio[0], math.Exp(v.Effect), t.Ratio[1])
		number = func(x float64) string { return fmt.Sprintf("%.3g", math.Exp(x)) }
	}
	text += fmt.Sprintf(" (95 %% from %s to %s, %d seeds); expected %s", number(v.Low), number(v.High), v.Seeds, v.Expect)
	if v.Margin > 0 {
		text += fmt.Sprintf(" by a margin of %g", v.Margin)
	}
	text = v.Outcome + ": " + text
	switch {
	case v.Needs > 0:
		text += fmt.Sprintf("; needs %d seeds", v.Needs)
	case v.Outcome == Inconclusive && needs > 0:
		text += "; so many seeds mostly decide such an effect, and these did not"
	case v.Outcome == Inconclusive:
		text += "; no number of seeds that can be run would decide an effect so near the margin"
	}
	return text
}

// account decides a test of an identity or of an accounting, which holds for every
// seed or fails.
func (v Verdict) account(t Test, missing error) Verdict {
	if missing != nil || len(v.Values) == 0 {
		v.Outcome, v.Reading = NotRun, fmt.Sprintf("not run: %v", missing)
		return v
	}
	effect, err := stats.Of(v.Values)
	if err != nil {
		v.Outcome, v.Reading = NotRun, fmt.Sprintf("not run: %v", err)
		return v
	}
	v.Effect, v.Low, v.High = effect.Mean, slices.Min(v.Values), slices.Max(v.Values)
	v.Low90, v.High90, v.P, v.PHolm = v.Low, v.High, 0, 0
	holds := map[string]bool{
		"above": v.Low >= t.Margin && v.Low > 0, "below": v.High <= -t.Margin && v.High < 0,
		"equal": v.Low >= -t.Margin && v.High <= t.Margin, "different": v.Low > t.Margin || v.High < -t.Margin,
		"not-below": v.Low >= -t.Margin, "not-above": v.High <= t.Margin,
		"contains": v.Low <= t.Contains && t.Contains <= v.High,
	}[t.Expect]
	v.Outcome = Fails
	if holds {
		v.Outcome = Holds
	}
	v.Reading = fmt.Sprintf("%s: %s of %s is %g", v.Outcome, v.Contrast, v.Metric, v.Effect)
	if v.Low != v.High {
		v.Reading += fmt.Sprintf(" (from %g to %g)", v.Low, v.High)
	}
	return v
}

// conjunction decides a test whose parts all have to hold, by [stats.All]. Its figures
// are those of the part that decides: of what contradicts it or fails, else of what has
// not come out, else of the largest P.
func (b table) conjunction(t Test) Verdict {
	var parts []Verdict
	var decisions []stats.Decision
	came, needs, decides := 0, 0, 0
	for i, part := range t.All {
		p := b.verdict(part)
		p.PHolm = p.P // the conjunction is what is corrected
		parts = append(parts, p)
		decisions = append(decisions, stats.Decision{Outcome: stats.Outcome(p.Outcome), P: p.P})
		needs = max(needs, p.Needs)
		if good(p.Outcome) {
			came++
		}
		if p.weight() > parts[decides].weight() || p.weight() == 0 && parts[decides].weight() == 0 && p.P > parts[decides].P {
			decides = i
		}
	}
	v := parts[decides]
	v.Shown, v.P = v.Name, stats.All(decisions...).P
	v.Name, v.Claim, v.Contrast, v.Parts, v.Needs, v.PHolm = t.Name, t.Claim, b.study.words(t), parts, needs, v.P
	v.Reading = fmt.Sprintf("%s: %d of %d parts came out; the figures are of %s: %s", v.Outcome, came, len(parts), v.Shown, v.Reading)
	return v
}

// weight orders the outcomes of parts: that of the heaviest is the whole's.
func (v Verdict) weight() int {
	return slices.Index([]string{Inconclusive, NotRun, Contradicted, Fails}, v.Outcome) + 1
}

func good(outcome string) bool { return outcome == Supported || outcome == Holds }
