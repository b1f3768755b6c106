package data

import (
	"errors"
	"fmt"

	"gotune/data/rows"
)

// A tally counts what becomes of rows.
type tally struct {
	Report Report `json:"report"`
	Census census `json:"census"`
}

// unusable reports whether an error is about one row; the others can be used.
func unusable(err error) bool {
	return errors.Is(err, ErrNothingToLearn) || errors.Is(err, ErrTooLong) || errors.Is(err, ErrNoMask)
}

// count enters a row of a corpus with the examples it gave, or the error.
func (t *tally) count(r *rows.Row, c *CorpusReport, e *Encoder, examples []Example, err error) {
	report := &t.Report
	report.Rows++
	c.Rows++
	var long tooLong
	switch {
	case errors.Is(err, ErrNothingToLearn):
		report.Empty++
		note(&report.FirstEmpty, r.At)
	case errors.As(err, &long):
		report.Dropped++
		report.DroppedTokens += long.tokens
		note(&report.FirstDropped, r.At)
	case errors.Is(err, ErrNoMask):
		report.Refused++
		note(&report.FirstRefused, r.At)
		if report.WhyRefused == "" {
			report.WhyRefused = err.Error()
		}
	}
	if err != nil {
		return
	}
	report.Kept++
	c.Kept++
	if len(examples) > 1 {
		report.Cut++
	}
	for _, x := range examples {
		c.Examples++
		c.Tokens += len(x.IDs)
		report.Examples++
		report.Tokens += len(x.IDs)
		report.TargetTokens += x.Targets()
		if x.Seam {
			report.Seams++
			note(&report.FirstSeams, x.At)
		}
	}
	t.Census.count(r, e, examples)
}

// judge finds what is to be said about the rows so far. Findings that stop are
// errors, but for those that are allowed by name.
func (t *tally) judge(room string, heldOut bool, allow []string) error {
	if t.Report.Kept == 0 {
		return t.Report.nothingLeft(room)
	}
	t.Report.Findings = t.Census.findings(&t.Report, room, heldOut)
	return Refuse(t.Report.Findings, allow)
}

// nothingLeft is the error where no row can be used.
func (r *Report) nothingLeft(room string) error {
	why := fmt.Sprintf("no row is left to learn from: of %d, %d have nothing to learn, an empty completion or no assistant turn", r.Rows, r.Empty)
	if r.Empty > 0 {
		why += " (" + places(r.FirstEmpty, r.Empty) + ")"
	}
	why += fmt.Sprintf(" and %d are longer than %s", r.Dropped, room)
	if r.Dropped > 0 {
		why += " (" + places(r.FirstDropped, r.Dropped) + ")"
	}
	if r.Refused > 0 {
		why += fmt.Sprintf(", and of %d it cannot be told what the assistant wrote (%s: %s)", r.Refused, places(r.FirstRefused, r.Refused), r.WhyRefused)
	}
	return errors.New(why)
}

// note keeps the first few places.
func note(list *[]rows.Location, at rows.Location) {
	if len(*list) < named {
		*list = append(*list, at)
	}
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(whole) }
