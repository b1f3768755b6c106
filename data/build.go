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
	sawRaw  bool
	sawMsg  bool
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
	b.sawRaw = b.sawRaw || r.Form != rows.Messages
	b.sawMsg = b.sawMsg || r.Form == rows.Messages
	examples, err := b.encoder.Encode(r)
	switch {
	case errors.Is(err, ErrNothingToLearn):
		b.report.Empty++
		note(&b.report.FirstEmpty, r.At)
		return nil
	case errors.Is(err, ErrTooLong):
		b.report.Dropped++
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

// finish completes the report and refuses data from which nothing sensible can
// be learned.
func (b *builder) finish() error {
	r := b.report
	r.Examples, r.Tokens, r.Lengths = len(b.data.spans), len(b.data.ids), lengthsOf(b.data.spans)
	if r.Kept == 0 {
		return b.nothingLeft()
	}
	if 10*r.Empty > r.Rows {
		return fmt.Errorf("%d of %d rows (%.1f %%) have an empty completion and would be skipped, more than a tenth: %s",
			r.Empty, r.Rows, percent(r.Empty, r.Rows), places(r.FirstEmpty, r.Empty))
	}
	if 10*r.Refused > r.Rows {
		return fmt.Errorf("of %d of %d rows (%.1f %%) it cannot be told what the assistant wrote, more than a tenth: %s: %s",
			r.Refused, r.Rows, percent(r.Refused, r.Rows), places(r.FirstRefused, r.Refused), r.WhyRefused)
	}
	if r.Refused > 0 {
		b.warn("%d of %d rows are left out because it cannot be told what the assistant wrote: %s: %s",
			r.Refused, r.Rows, places(r.FirstRefused, r.Refused), r.WhyRefused)
	}
	if 10*r.Dropped > r.Rows {
		b.warn("%d of %d rows (%.1f %%) are longer than %d tokens and are left out: %s",
			r.Dropped, r.Rows, percent(r.Dropped, r.Rows), b.encoder.MaxLength, places(r.FirstDropped, r.Dropped))
	}
	if b.sawRaw && len(b.encoder.eos) == 0 {
		b.warn("the tokenizer's files name no EOS token: what is learned has no end, and generation will not stop by itself")
	}
	if b.sawMsg && len(b.encoder.Template.Stops(b.encoder.Tokenizer)) == 0 {
		b.warn("no single token of the tokenizer ends an assistant turn of the chat template %s: generation will not stop by itself", b.encoder.Template.Name())
	}
	return nil
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

func (b *builder) warn(format string, args ...any) {
	b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(format, args...))
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(whole) }
