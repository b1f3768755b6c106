// Package study puts rules of thumb to the test: arms that differ in one thing, run on
// the same seeds, a metric of each run, and a decision rule that was fixed beforehand.
package study

import (
	"time"

	"gotune/study/stats"
)

// A Result is the outcome of a study or an ablation, as studies/ID/result.json holds
// it. Reports and the registry are made from it and from the run folders it names.
type Result struct {
	ID         string   `json:"id"`
	Claims     []string `json:"claims,omitempty"` // rows of the table of claims, such as K5
	Title      string   `json:"title"`
	Claim      Text     `json:"claim"`
	Literature string   `json:"literature,omitempty"`
	Kind       Kind     `json:"kind"`
	Note       string   `json:"note,omitempty"`

	Seeds       []uint64    `json:"seeds"`
	Metrics     []Metric    `json:"metrics"`
	Arms        []ArmResult `json:"arms"`
	Checks      []Verdict   `json:"checks,omitempty"`
	Verdicts    []Verdict   `json:"verdicts"` // the first is the primary one
	Dropped     []Dropped   `json:"dropped,omitempty"`
	Environment Environment `json:"environment"`
	Command     string      `json:"command"` // that repeats it
	Finished    time.Time   `json:"finished"`
}

// A Text is in English and in Chinese.
type Text struct {
	English string `json:"en" yaml:"en"`
	Chinese string `json:"zh,omitempty" yaml:"zh,omitempty"`
}

// A Kind says what sort of answer a study gives.
type Kind string

const (
	Experiment Kind = "experiment" // arms, seeds and a test
	Identity   Kind = "identity"   // holds by construction; checked to the bit
	Accounting Kind = "accounting" // bookkeeping with figures, no p-value
	NotBuilt   Kind = "not-built"  // needs a method that is not there yet
)

// A Metric is what is known of a number that runs are compared by.
type Metric struct {
	Name   string `json:"name"`
	Spec   string `json:"spec"` // how it is measured, in one line
	Unit   string `json:"unit,omitempty"`
	Better string `json:"better,omitempty"` // "higher", "lower" or "" where neither is
}

// An ArmResult is an arm with its runs, one for each seed.
type ArmResult struct {
	Name       string             `json:"name"`
	Differs    map[string]string  `json:"differs"`          // keys of its recipe that other arms have otherwise
	Attributes map[string]float64 `json:"attributes"`       // those of them that are numbers
	Tuned      map[string]float64 `json:"tuned,omitempty"`  // values chosen on tuning seeds
	Search     []SearchPoint      `json:"search,omitempty"` // what they were chosen from
	From       string             `json:"from,omitempty"`   // the prepared run it begins with
	Reuses     bool               `json:"reuses,omitempty"` // all its runs were there before
	Runs       []RunResult        `json:"runs"`
}

// A SearchPoint is a value tried on tuning seeds.
type SearchPoint struct {
	Values map[string]float64 `json:"values"`
	Metric float64            `json:"metric"` // mean over tuning seeds
	Runs   []string           `json:"runs"`
}

// A RunResult is a run of an arm.
type RunResult struct {
	Seed      uint64             `json:"seed"`
	Run       string             `json:"run"`    // folder, relative to that of the laboratory
	Status    string             `json:"status"` // finished, failed or missing
	Error     string             `json:"error,omitempty"`
	Metrics   map[string]float64 `json:"metrics,omitempty"`
	Censored  []string           `json:"censored,omitempty"` // metrics whose threshold was not met; the value is the end
	Steps     int                `json:"steps"`
	Tokens    int64              `json:"tokens"` // trained on, with padding
	Seconds   float64            `json:"seconds"`
	Exposures []Exposure         `json:"exposures,omitempty"`
}

// Mean returns the mean of a metric over the runs that have it, and their number.
func (a ArmResult) Mean(metric string) (mean float64, runs int) {
	for _, r := range a.Runs {
		if x, ok := r.Metrics[metric]; ok {
			mean, runs = mean+x, runs+1
		}
	}
	return mean / float64(max(runs, 1)), runs
}

// An Exposure says how often each row of a corpus was seen by a run.
type Exposure struct {
	Corpus  string  `json:"corpus"`
	Times   float64 `json:"times"`
	PerFact float64 `json:"per_fact,omitempty"` // where the corpus tells facts
}

// The outcomes of a test.
const (
	Supported    = string(stats.Supported)
	Contradicted = string(stats.Contradicted)
	Inconclusive = string(stats.Inconclusive)
	Insensitive  = "insensitive"   // the lever moved nothing: a check failed
	Holds        = "holds"         // of an identity or an accounting
	Fails        = "fails"         //
	NotRun       = "not run"       // did not fit into the budget, or its runs failed
	NotBuiltYet  = "not built yet" //
)

// A Verdict is the outcome of one test of a study.
type Verdict struct {
	Name        string    `json:"name"`
	Claim       string    `json:"claim,omitempty"`
	Metric      string    `json:"metric"`
	Contrast    string    `json:"contrast"` // in words, such as full − lora-8
	Expect      string    `json:"expect"`
	Margin      float64   `json:"margin"`
	Values      []float64 `json:"values,omitempty"` // the contrast of each seed
	Effect      float64   `json:"effect"`           // their mean
	Low         float64   `json:"low"`              // of the 95 % interval
	High        float64   `json:"high"`
	Low90       float64   `json:"low90"`
	High90      float64   `json:"high90"`
	P           float64   `json:"p"`                 // of the test's null hypothesis
	PHolm       float64   `json:"p_holm"`            // inside the study
	PSuite      float64   `json:"p_suite,omitempty"` // Benjamini–Hochberg over the suite
	Seeds       int       `json:"seeds"`
	Needs       int       `json:"needs,omitempty"` // seeds that would decide, where these do not
	Outcome     string    `json:"outcome"`
	Reading     string    `json:"reading"`               // one line in words
	Parts       []Verdict `json:"parts,omitempty"`       // of a conjunction
	Shown       string    `json:"shown,omitempty"`       // the part of a conjunction whose figures are shown
	Provisional bool      `json:"provisional,omitempty"` // from a quick run
	Alone       string    `json:"alone,omitempty"`       // the outcome before the correction over the suite, where that is another
}

// A Dropped is an arm or a value that a search gave up, and why.
type Dropped struct {
	Name   string  `json:"name"`
	Rung   int     `json:"rung"`
	Metric float64 `json:"metric"`
	Reason string  `json:"reason"`
}

// An Environment is what a result was computed with.
type Environment struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Arithmetic string `json:"arithmetic"`
	CPULevel   string `json:"cpu_level"`
	Go         string `json:"go"`
	Jobs       int    `json:"jobs"`
}
