package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"gotune/study"
	"gotune/study/stats"
)

// Correct sets the P-values of primary tests over the whole suite, by Benjamini and
// Hochberg, and takes back what is supported in its study but not among so many. The
// primary test of a claim in a study is the first that names it. Those that were
// decided count: not what was not run, nor what a failed check made insensitive, nor
// identities and accountings. It may be called again when there are more results.
// It returns the number of tests, and whether each result has changed.
func Correct(results []study.Result) (tests int, changed []bool) {
	changed = make([]bool, len(results))
	var primary []*study.Verdict
	var of []int
	var p []float64
	for i := range results {
		first := primaries(results[i])
		for j := range results[i].Verdicts {
			v := &results[i].Verdicts[j]
			changed[i] = changed[i] || v.PSuite != 0
			restore(v)
			decided := v.Outcome == study.Supported || v.Outcome == study.Contradicted || v.Outcome == study.Inconclusive
			if first[j] && decided && results[i].Kind == study.Experiment {
				primary, of, p = append(primary, v), append(of, i), append(p, v.P)
			}
		}
	}
	for i, x := range stats.BenjaminiHochberg(p) {
		v := primary[i]
		v.PSuite, changed[of[i]] = x, true
		if v.Outcome == study.Supported && x >= stats.Level {
			v.Alone, v.Outcome = v.Outcome, study.Inconclusive
			v.Reading = study.Inconclusive + strings.TrimPrefix(v.Reading, study.Supported) + fmt.Sprintf("%s of %d tests the correction by Benjamini and Hochberg leaves P = %.2g", overSuite, len(p), x)
		}
	}
	return len(p), changed
}

// overSuite begins what Correct adds to a reading.
const overSuite = "; in its study it is supported, but over the suite"

// restore takes back what an earlier correction has done.
func restore(v *study.Verdict) {
	v.PSuite = 0
	if v.Alone == "" {
		return
	}
	reading, _, _ := strings.Cut(v.Reading, overSuite)
	v.Reading = v.Alone + strings.TrimPrefix(reading, v.Outcome)
	v.Outcome, v.Alone = v.Alone, ""
}

// primaries says which verdicts are the first of their claim.
func primaries(r study.Result) []bool {
	var seen []string
	first := make([]bool, len(r.Verdicts))
	for i, v := range r.Verdicts {
		claim := claimOf(r, v)
		if !slices.Contains(seen, claim) {
			seen, first[i] = append(seen, claim), true
		}
	}
	return first
}

// claimOf is the claim of a verdict; the study's first where it names none.
func claimOf(r study.Result, v study.Verdict) string {
	switch {
	case v.Claim != "":
		return v.Claim
	case len(r.Claims) > 0:
		return r.Claims[0]
	}
	return r.ID
}

// decidesNothing reports whether a study is of no claim and has no test, as a pilot of the
// noise: the differences of its arms, which its result tells, are no tests of the suite.
func decidesNothing(s *study.Study) bool { return len(s.Claims) == 0 && len(s.Tests) == 0 }

// Judge reads the results of studies in a laboratory, corrects them over the suite,
// writes back what that has changed, and returns the table of verdicts. Studies without
// a result are not run; why says the reason of those where it is known.
func Judge(lab string, studies []*study.Study, why map[string]string) (Table, error) {
	var results []kept
	for _, s := range studies {
		r, err := readOwn(lab, s)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Table{}, fmt.Errorf("suite: %w", err)
		}
		results = append(results, r)
	}
	tests, changed := correct(results)
	for i, r := range results {
		if !changed[i] {
			continue
		}
		if err := r.Write(lab); err != nil {
			return Table{}, fmt.Errorf("suite: %w", err)
		}
	}
	return newTable(studies, results, tests, why), nil
}

// newTable is the table of results that were corrected together.
func newTable(studies []*study.Study, results []kept, tests int, why map[string]string) Table {
	t := Table{Tests: tests, Level: stats.Level, results: results}
	for _, s := range studies {
		if i := slices.IndexFunc(results, func(r kept) bool { return r.ID == s.ID }); i >= 0 {
			t.Rows = append(t.Rows, rowsOf(results[i].Result)...)
			continue
		}
		r := study.Result{ID: s.ID, Claims: s.Claims, Title: s.Title, Claim: s.Claim, Literature: s.Literature, Kind: s.Kind, Note: s.Note}
		reason := why[s.ID]
		if reason == "" {
			reason = "it has not been run yet"
		}
		if decidesNothing(s) {
			continue
		}
		for _, claim := range claims(s) {
			v := study.Verdict{Claim: claim, Outcome: study.NotRun, Reading: study.NotRun + ": " + reason, P: 1, PHolm: 1}
			if s.Kind == study.NotBuilt {
				v.Outcome, v.Reading = study.NotBuiltYet, study.NotBuiltYet+": "+s.Note
			}
			t.Rows = append(t.Rows, newRow(r, v, true))
		}
	}
	return t
}
