package suite

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/study"
)

// planted is a result with verdicts that were given as claim, outcome and P.
func planted(id string, verdicts ...study.Verdict) study.Result {
	r := study.Result{ID: id, Kind: study.Experiment, Title: "Study " + id, Seeds: []uint64{1, 2, 3}}
	for _, v := range verdicts {
		v.Reading = v.Outcome + ": as planted"
		v.PHolm, v.Seeds = v.P, 3
		if v.Claim != "" && !slices.Contains(r.Claims, v.Claim) {
			r.Claims = append(r.Claims, v.Claim)
		}
		r.Verdicts = append(r.Verdicts, v)
	}
	return r
}

// The first test of each claim in a study is corrected over the suite. By hand, of P =
// 0.01, 0.02, 0.045 and 0.9: 4·0.01 = 0.04, 4/2·0.02 = 0.04, 4/3·0.045 = 0.06 and 0.9. What was
// not decided does not count.
func TestCorrect(t *testing.T) {
	results := []study.Result{
		planted("a", study.Verdict{Claim: "K1", Outcome: study.Supported, P: 0.01}, study.Verdict{Claim: "K1", Outcome: study.Supported, P: 0.04},
			study.Verdict{Claim: "L3", Outcome: study.Supported, P: 0.045}),
		planted("b", study.Verdict{Claim: "K5", Outcome: study.Contradicted, P: 0.9}, study.Verdict{Claim: "K6", Outcome: study.Insensitive, P: 0.001}),
		planted("c", study.Verdict{Claim: "K7", Outcome: study.NotRun, P: 1}, study.Verdict{Claim: "K8", Outcome: study.Supported, P: 0.02}),
	}
	identity := planted("d", study.Verdict{Claim: "R9", Outcome: study.Holds})
	identity.Kind = study.Identity
	results = append(results, identity)

	for again := range 2 { // the second time from what the first has left
		tests, _ := Correct(results)
		if tests != 4 {
			t.Fatalf("%d tests were corrected, want 4", tests)
		}
		for _, want := range []struct {
			study, test int
			p           float64
			outcome     string
		}{
			{0, 0, 0.04, study.Supported}, {0, 1, 0, study.Supported}, {0, 2, 0.06, study.Inconclusive},
			{1, 0, 0.9, study.Contradicted}, {1, 1, 0, study.Insensitive}, {2, 0, 0, study.NotRun}, {2, 1, 0.04, study.Supported}, {3, 0, 0, study.Holds},
		} {
			v := results[want.study].Verdicts[want.test]
			if math.Abs(v.PSuite-want.p) > 1e-12 || v.Outcome != want.outcome {
				t.Errorf("pass %d: %s has P = %g over the suite and is %s; want %g, %s", again, v.Claim, v.PSuite, v.Outcome, want.p, want.outcome)
			}
		}
		v := results[0].Verdicts[2]
		if want := "inconclusive: as planted; in its study it is supported, but over the suite of 4 tests the correction by Benjamini and Hochberg leaves P = 0.06"; v.Reading != want {
			t.Errorf("the reading is %q, want %q", v.Reading, want)
		}
		if v.Alone != study.Supported {
			t.Errorf("alone it is %q", v.Alone)
		}
	}

	// With one test fewer it survives: 3/3·0.045.
	tests, changed := Correct([]study.Result{results[0], results[2]})
	if v := results[0].Verdicts[2]; tests != 3 || v.Outcome != study.Supported || v.Reading != "supported: as planted" || v.Alone != "" || math.Abs(v.PSuite-0.045) > 1e-12 || !changed[0] {
		t.Errorf("of %d tests it is %s with P = %g: %q", tests, v.Outcome, v.PSuite, v.Reading)
	}
}

// Judge corrects what lies in a laboratory, keeps it there, and has a row for studies
// without a result.
func TestJudge(t *testing.T) {
	lab := t.TempDir()
	studies := []*study.Study{
		{ID: "a", Claims: []string{"K1"}, Kind: study.Experiment}, {ID: "b", Claims: []string{"K2", "K3"}, Kind: study.Experiment},
		{ID: "c", Claims: []string{"P1"}, Kind: study.NotBuilt, Note: "needs PPO"}, {ID: "d", Kind: study.Experiment, Tests: []study.Test{{Name: "x"}}}, {ID: "noise", Kind: study.Experiment},
	}
	r := planted("a", study.Verdict{Claim: "K1", Outcome: study.Supported, P: 0.01}, study.Verdict{Claim: "K9", Outcome: study.Supported, P: 0.06})
	if err := r.Write(lab); err == nil {
		t.Fatal("a result was written into a folder that there is not")
	}
	writeResult(t, lab, r)
	pilot := planted("noise", study.Verdict{Outcome: study.Supported, P: 0.001}) // arms compared for want of a test
	writeResult(t, lab, pilot)
	table, err := Judge(lab, studies, map[string]string{"b": "it did not fit into the budget of 1h"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, row := range table.Primary() {
		lines = append(lines, row.ID+" "+row.Reading)
	}
	want := []string{
		"K1 supported: as planted",
		"K9 inconclusive: as planted; in its study it is supported, but over the suite of 2 tests the correction by Benjamini and Hochberg leaves P = 0.06",
		"K2 not run: it did not fit into the budget of 1h", "K3 not run: it did not fit into the budget of 1h",
		"P1 not built yet: needs PPO", "d not run: it has not been run yet",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the rows are\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	kept, err := study.ReadResult(lab, "a")
	if err != nil || kept.Verdicts[1].Alone != study.Supported || kept.Verdicts[0].PSuite != 0.02 {
		t.Errorf("kept is %+v: %v", kept.Verdicts, err)
	}
	if err := table.Write(filepath.Join(lab, "verdicts.json")); err != nil {
		t.Error(err)
	}
}
