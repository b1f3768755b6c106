package data

import (
	"fmt"

	"gotune/data/rows"
)

// A builder puts the rows of corpora into a dataset.
type builder struct {
	data    *Dataset
	tally   tally
	encoder *Encoder
	corpus  CorpusReport
	ends    []int // examples after each corpus
}

// begin starts a corpus.
func (b *builder) begin(c Corpus, e *Encoder) {
	b.encoder = e
	b.corpus = CorpusReport{Path: c.Path}
}

// add tokenises a row and keeps, cuts, skips or drops it.
func (b *builder) add(r *rows.Row) error {
	r.Index = b.tally.Report.Rows
	examples, err := b.encoder.Encode(r)
	if err != nil && !unusable(err) {
		return fmt.Errorf("reading data: %s: %w", r.At, err)
	}
	b.tally.count(r, &b.corpus, b.encoder, examples, err)
	for _, x := range examples {
		b.keep(b.encoder.lead(x))
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
}

// end closes a corpus.
func (b *builder) end(files []rows.File) error {
	if b.corpus.Rows == 0 {
		return fmt.Errorf("%s has no rows: it is empty", b.corpus.Path)
	}
	r := &b.tally.Report
	r.Files = append(r.Files, files...)
	r.Corpora = append(r.Corpora, b.corpus)
	b.ends = append(b.ends, len(b.data.spans))
	return nil
}

// finish completes the report of the dataset.
func (b *builder) finish(heldOut bool, allow []string) error {
	r := &b.tally.Report
	r.Lengths = lengthsOf(b.data.spans)
	b.data.duplicates(r)
	err := b.tally.judge(b.encoder.limit(), heldOut, allow)
	b.data.report = *r
	return err
}
