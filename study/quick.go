package study

import "slices"

// InQuick reports whether there is a quick run of the study.
func (s *Study) InQuick() bool { return s.Quick == nil || len(s.Quick) > 0 }

// quickly is the study of a quick run: with fewer arms where the file says so, and
// without the checks and tests that need others.
func (s *Study) quickly() *Study {
	if s.Quick == nil {
		return s
	}
	q := *s
	q.numbers = nil
	q.Arms = slices.DeleteFunc(slices.Clone(s.Arms), func(a Arm) bool { return !slices.Contains(s.Quick, a.Name) })
	q.Checks, _ = s.split(s.Checks)
	q.Tests, q.left = s.split(s.Tests)
	return &q
}

// split parts tests into those of arms of a quick run, and others.
func (s *Study) split(tests []Test) (these, others []Test) {
	for _, t := range tests {
		if slices.ContainsFunc(s.armsOf(t), func(arm string) bool { return !slices.Contains(s.Quick, arm) }) {
			others = append(others, t)
		} else {
			these = append(these, t)
		}
	}
	return these, others
}

// leftOut are the verdicts of tests that a quick run leaves out.
func (s *Study) leftOut() []Verdict {
	var all []Verdict
	for _, t := range s.left {
		all = append(all, Verdict{
			Name: t.Name, Claim: t.Claim, Metric: t.Metric, Contrast: s.words(t), Expect: t.Expect, Margin: t.Margin, P: 1, PHolm: 1,
			Outcome: NotRun, Reading: "not run: a quick run leaves it out",
		})
	}
	return all
}
