package suite

import (
	"slices"

	"gotune/internal/disk"
	"gotune/study"
)

// A Table holds the verdicts of a suite, as verdicts.json has them.
type Table struct {
	Command string  `json:"command"` // that repeats it
	Tests   int     `json:"tests"`   // that the correction over the suite is for
	Level   float64 `json:"level"`
	Rows    []Row   `json:"verdicts"`

	results []kept
}

// A Row is a verdict about a claim.
type Row struct {
	ID          string     `json:"id"` // of the claim, such as K5
	Study       string     `json:"study"`
	Test        string     `json:"test,omitempty"`
	Primary     bool       `json:"primary"` // the first of the claim in its study
	Verdict     string     `json:"verdict"`
	Effect      float64    `json:"effect"`
	Interval    [2]float64 `json:"interval"` // of 95 %
	Margin      float64    `json:"margin"`
	Expect      string     `json:"expect,omitempty"`
	P           float64    `json:"p"`
	PHolm       float64    `json:"p_holm"`
	PSuite      float64    `json:"p_suite,omitempty"`
	Seeds       int        `json:"seeds"`
	Needs       int        `json:"needs,omitempty"`
	Runs        int        `json:"runs"` // of the study that are finished, without those of its search
	Provisional bool       `json:"provisional,omitempty"`
	Reading     string     `json:"reading"`
	Commit      string     `json:"commit"`
	CPULevel    string     `json:"cpu_level"`

	verdict study.Verdict
	result  study.Result
}

// rowsOf are the rows of a study: of its verdicts, and of claims that it has none of.
func rowsOf(r study.Result) []Row {
	var rows []Row
	var told []string
	first := primaries(r)
	for i, v := range r.Verdicts {
		rows = append(rows, newRow(r, v, first[i]))
		told = append(told, claimOf(r, v))
	}
	for _, claim := range r.Claims {
		if slices.Contains(told, claim) {
			continue
		}
		v := study.Verdict{Claim: claim, Outcome: study.NotRun, Reading: study.NotRun + ": the study has no test of it", P: 1, PHolm: 1}
		if r.Kind == study.NotBuilt {
			v.Outcome, v.Reading = study.NotBuiltYet, study.NotBuiltYet+": "+r.Note
		}
		rows = append(rows, newRow(r, v, true))
	}
	return rows
}

func newRow(r study.Result, v study.Verdict, primary bool) Row {
	row := Row{
		ID: claimOf(r, v), Study: r.ID, Test: v.Name, Primary: primary, Verdict: v.Outcome, Effect: v.Effect, Interval: [2]float64{v.Low, v.High},
		Margin: v.Margin, Expect: v.Expect, P: v.P, PHolm: v.PHolm, PSuite: v.PSuite, Seeds: v.Seeds, Needs: v.Needs, Provisional: v.Provisional,
		Reading: v.Reading, Commit: r.Environment.Commit, CPULevel: r.Environment.CPULevel, verdict: v, result: r,
	}
	for _, a := range r.Arms {
		for _, run := range a.Runs {
			if run.Status == "finished" {
				row.Runs++
			}
		}
	}
	return row
}

// Primary are the rows of primary tests, in the order of the claims: the suite's own.
func (t Table) Primary() []Row {
	return slices.DeleteFunc(slices.Clone(t.Rows), func(r Row) bool { return !r.Primary })
}

// Write writes the table as JSON.
func (t Table) Write(path string) error {
	return disk.WriteJSON(path, t)
}

// Runs are the run folders of the results, each once.
func (t Table) Runs() int {
	seen := make(map[string]bool)
	for _, r := range t.results {
		for _, a := range r.Arms {
			for _, run := range a.Runs {
				if run.Status == "finished" && run.Run != "" {
					seen[run.Run] = true
				}
			}
		}
	}
	return len(seen)
}
