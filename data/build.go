package data

import (
	"errors"
	"fmt"

	"gotune/data/rows"
)

// A builder puts the rows of corpora into a dataset.
type builder struct {
	data    *Dataset
	report  *Report
	encoder *Encoder
	corpus  CorpusReport
	ends    []int // examples after each corpus
	census  census
}

func newBuilder(d *Dataset) *builder { return &builder{data: d, report: &d.report} }

// begin starts a corpus.
func (b *builder) begin(c Corpus, e *Encoder) {
	b.encoder = e
	b.corpus = CorpusReport{Path: c.Path}
}

// add tokenises a row and keeps, cuts, skips or drops it.
func (b *builder) add(r *rows.Row) error {
	r.Index = b.report.Rows
	b.report.Rows++
	b.corpus.Rows++
	examples, err := b.encoder.Encode(r)
	var long tooLong
	switch {
	case errors.Is(err, ErrNothingToLearn):
		b.report.Empty++
		note(&b.report.FirstEmpty, r.At)
		return nil
	case errors.As(err, &long):
		b.report.Dropped++
		b.report.DroppedTokens += long.tokens
		note(&b.report.FirstDropped, r.At)
		return nil
	case errors.Is(err, ErrNoMask):
		b.report.Refused++
		note(&b.report.FirstRefused, r.At)
		if b.report.WhyRefused == "" {
			b.report.WhyRefused = err.Error()
		}
		return nil
	case err != nil:
		return fmt.Errorf("reading data: %s: %w", r.At, err)
	}
	b.report.Kept++
	b.corpus.Kept++
	if len(examples) > 1 {
		b.report.Cut++
	}
	for _, x := range examples {
		b.keep(x)
	}
	b.census.count(r, b.encoder, examples)
	return nil
}

// keep copies an example into the dataset.
func (b *builder) keep(x Example) {
	d := b.data
	s := span{start: len(d.ids), prompt: x.Prompt, row: x.Row, at: x.At, wording: x.Wording, targets: x.Targets(), weight: x.weight()}
	d.ids = append(d.ids, x.IDs...)
	d.target = append(d.target, x.Target...)
	s.end = len(d.ids)
	if x.Weights != nil {
		d.weights[int32(len(d.spans))] = x.Weights
	}
	d.spans = append(d.spans, s)
	if x.Seam {
		b.report.Seams++
		note(&b.report.FirstSeams, x.At)
	}
	b.report.TargetTokens += s.targets
	b.corpus.Examples++
	b.corpus.Tokens += len(x.IDs)
}

// end closes a corpus.
func (b *builder) end(files []rows.File) error {
	if b.corpus.Rows == 0 {
		return fmt.Errorf("%s has no rows: it is empty", b.corpus.Path)
	}
	b.report.Files = append(b.report.Files, files...)
	b.report.Corpora = append(b.report.Corpora, b.corpus)
	b.ends = append(b.ends, len(b.data.spans))
	return nil
}

// note keeps the first few places.
func note(list *[]rows.Location, at rows.Location) {
	if len(*list) < named {
		*list = append(*list, at)
	}
}

// finish completes the report. Findings that stop are errors, but for those that
// are allowed by name.
func (b *builder) finish(heldOut bool, allow []string) error {
	r := b.report
	r.Examples, r.Tokens, r.Lengths = len(b.data.spans), len(b.data.ids), lengthsOf(b.data.spans)
	if r.Kept == 0 {
		return b.nothingLeft()
	}
	b.data.duplicates(r)
	r.Findings = b.census.findings(r, b.encoder.MaxLength, heldOut)
	return Refuse(r.Findings, allow)
}

func (b *builder) nothingLeft() error {
	r := b.report
	why := fmt.Sprintf("no row is left to learn from: of %d, %d have an empty completion", r.Rows, r.Empty)
	if r.Empty > 0 {
		why += " (" + places(r.FirstEmpty, r.Empty) + ")"
	}
	why += fmt.Sprintf(" and %d are longer than %d tokens", r.Dropped, b.encoder.MaxLength)
	if r.Dropped > 0 {
		why += " (" + places(r.FirstDropped, r.Dropped) + ")"
	}
	if r.Refused > 0 {
		why += fmt.Sprintf(", and of %d it cannot be told what the assistant wrote (%s: %s)", r.Refused, places(r.FirstRefused, r.Refused), r.WhyRefused)
	}
	return errors.New(why)
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(whole) }
