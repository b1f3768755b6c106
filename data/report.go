package data

import (
	"fmt"
	"slices"
	"strings"
)

// A Location is a line of a file, counted from 1.
type Location struct {
	Path string `json:"path"`
	Line int    `json:"line"`
}

func (l Location) String() string { return fmt.Sprintf("%s:%d", l.Path, l.Line) }

// A FileReport says what a file held.
type FileReport struct {
	Path string `json:"path"`
	Form string `json:"form"` // text, prompt/completion or messages
	Rows int    `json:"rows"`
}

// A Report says what became of the rows: Rows = Kept + Empty + Dropped.
type Report struct {
	Files []FileReport `json:"files"`

	Rows    int `json:"rows"`
	Kept    int `json:"kept"`
	Empty   int `json:"empty"`   // skipped: nothing to learn in them
	Dropped int `json:"dropped"` // longer than the maximum length
	Cut     int `json:"cut"`     // texts cut into pieces; these are kept

	FirstEmpty   []Location `json:"first_empty,omitempty"` // the first few of them
	FirstDropped []Location `json:"first_dropped,omitempty"`

	Examples     int     `json:"examples"` // rows kept, each piece of a text counted
	Tokens       int     `json:"tokens"`
	TargetTokens int     `json:"target_tokens"`
	Lengths      Lengths `json:"lengths"`

	Warnings []string `json:"warnings,omitempty"`
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
func places(first []Location, all int) string {
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
