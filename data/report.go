package data

import (
	"slices"
	"strings"

	"gotune/data/rows"
)

// A CorpusReport says what a corpus held and how much of it an epoch takes.
type CorpusReport struct {
	Path     string `json:"path"`
	Rows     int    `json:"rows"`
	Kept     int    `json:"kept"`
	Examples int    `json:"examples"`
	Tokens   int    `json:"tokens"`
	Taken    int    `json:"taken"` // rows of an epoch; Taken/Kept times the corpus is seen
}

// A Report says what became of the rows: Rows = Kept + Empty + Dropped +
// Refused.
type Report struct {
	Files   []rows.File    `json:"files"`
	Corpora []CorpusReport `json:"corpora"`

	Rows    int `json:"rows"`
	Kept    int `json:"kept"`
	Empty   int `json:"empty"`   // skipped: nothing to learn in them
	Dropped int `json:"dropped"` // longer than the maximum length
	Cut     int `json:"cut"`     // texts cut into pieces; these are kept

	DroppedTokens int `json:"dropped_tokens"` // of the rows that are too long
	Duplicates    int `json:"duplicates"`     // rows that stand there before, token for token; these are kept

	Refused int `json:"refused"` // it cannot be told what the assistant wrote
	Seams   int `json:"seams"`   // prompt and completion tokenise differently joined than apart; these are kept

	FirstEmpty   []rows.Location `json:"first_empty,omitempty"` // the first few of them
	FirstDropped []rows.Location `json:"first_dropped,omitempty"`
	FirstRefused []rows.Location `json:"first_refused,omitempty"`
	FirstSeams   []rows.Location `json:"first_seams,omitempty"`
	WhyRefused   string          `json:"why_refused,omitempty"` // the first of them

	FirstDuplicates []rows.Location `json:"first_duplicates,omitempty"`

	Examples     int     `json:"examples"` // rows kept, each piece of a text counted
	Tokens       int     `json:"tokens"`
	TargetTokens int     `json:"target_tokens"`
	Lengths      Lengths `json:"lengths"`

	Findings []Finding `json:"findings,omitempty"`
}

// TargetShare returns the share of the tokens that is learned.
func (r Report) TargetShare() float64 {
	if r.Tokens == 0 {
		return 0
	}
	return float64(r.TargetTokens) / float64(r.Tokens)
}

// Lengths describes the numbers of tokens of the examples.
type Lengths struct {
	Min    int     `json:"min"`
	Median int     `json:"median"`
	P95    int     `json:"p95"` // 95 % are no longer
	Max    int     `json:"max"`
	Mean   float64 `json:"mean"`
}

func lengthsOf(spans []span) Lengths {
	if len(spans) == 0 {
		return Lengths{}
	}
	n := len(spans)
	sorted := make([]int, n)
	sum := 0
	for i, s := range spans {
		sorted[i] = s.end - s.start
		sum += sorted[i]
	}
	slices.Sort(sorted)
	return Lengths{
		Min:    sorted[0],
		Median: sorted[(n-1)/2],
		P95:    sorted[(n*95+99)/100-1],
		Max:    sorted[n-1],
		Mean:   float64(sum) / float64(n),
	}
}

// named is how many places a message or report names.
const named = 5

// places lists where rows stand, for a message about all of them.
func places(first []rows.Location, all int) string {
	list := make([]string, len(first))
	for i, l := range first {
		list[i] = l.String()
	}
	s := strings.Join(list, ", ")
	if all > len(first) {
		s += ", …"
	}
	return s
}
