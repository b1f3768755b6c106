package examples_test

import (
	"flag"
	"io/fs"
	"testing"

	"gotune/examples"
	"gotune/study"
)

// What all studies together may take, in tokens of training: a full run four hours of two
// cores, a quick one twenty minutes.
const (
	fullTokens  = 450e6
	quickTokens = 36e6
)

var plan = flag.Bool("plan", false, "work out what the runs of all studies take, which is some minutes")

// parsed reads every study.
func parsed(t *testing.T) map[string]*study.Study {
	t.Helper()
	names, err := fs.Glob(examples.Claims, "claims/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d studies, %v", len(names), err)
	}
	all := make(map[string]*study.Study)
	for _, name := range names {
		raw, err := fs.ReadFile(examples.Claims, name)
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = study.Parse(name, raw); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Every study can be read, says what it is about, and what all of them may take together
// is about what the suite has.
func TestClaims(t *testing.T) {
	sum := 0.0
	for name, s := range parsed(t) {
		if name != "claims/"+s.ID+".yaml" {
			t.Errorf("%s has the id %s", name, s.ID)
		}
		if s.Title == "" || s.Claim.English == "" || s.Claim.Chinese == "" || len(s.Claims) > 0 && s.Literature == "" {
			t.Errorf("%s: title, claim in English and Chinese, and literature are not all there", name)
		}
		if s.Kind == study.Experiment && s.Budget.Tokens == 0 {
			t.Errorf("%s has no budget", name)
		}
		sum += s.Budget.Tokens
	}
	// Runs that studies share are in the budget of each; TestClaimsPlanned counts them once.
	if sum > 1.3*fullTokens {
		t.Errorf("the budgets come to %.3g tokens, and the suite has %.3g", sum, fullTokens)
	}
}

// Every study names what is there and holds its budget; runs that studies share count once
// in the sum. go test ./examples -run TestClaimsPlanned -plan
func TestClaimsPlanned(t *testing.T) {
	if !*plan {
		return // it reads all corpora for a minute and a half
	}
	studies := parsed(t)
	for quick, most := range map[bool]float64{true: quickTokens, false: fullTokens} {
		runs := make(map[string]float64)
		for name, s := range studies {
			if s.Kind != study.Experiment {
				continue
			}
			o, err := s.Plan(t.Context(), quick, false)
			if err != nil {
				t.Error(err)
				continue
			}
			if o.Tokens > s.Budget.Tokens {
				t.Errorf("%s takes %.3g tokens, and its budget is %.3g", name, o.Tokens, s.Budget.Tokens)
			}
			for key, tokens := range o.Runs {
				runs[key] = tokens
			}
		}
		sum := 0.0
		for _, tokens := range runs {
			sum += tokens
		}
		t.Logf("quick %v: %d runs, %.3g tokens", quick, len(runs), sum)
		if sum > most {
			t.Errorf("quick %v: %.3g tokens, and the suite has %.3g", quick, sum, most)
		}
	}
}
