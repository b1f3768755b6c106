// Package data turns files into batches of tokens: readers of rows, the chat
// template, masks that say which tokens are learned, packing, and the order of
// an epoch.
//
// A row is one of three things, found by its keys:
//
//	text                 a document; every token is learned
//	prompt, completion   raw text and its continuation, which is learned
//	messages             a conversation; every assistant turn is learned
//
// Text, prompt and completion are raw: nothing stands between prompt and
// completion, BOS comes first only where the tokenizer's own files ask for it,
// and EOS is appended and learned. Prompt and completion are tokenised apart
// and joined, as generation will meet them. Messages go through [ChatML].
//
// [Open] reads and tokenises everything once; [Dataset.Batches] lays the rows
// out; a [Plan] is the order of one epoch and fills a [Batch] at any place of
// it, so that a resumed run reads nothing twice.
package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// A Tokenizer turns text into ids. *tokenizer.Tokenizer is one.
type Tokenizer interface {
	Encode(text string) []int32     // special tokens inside the text are recognised, none is added
	EncodeText(text string) []int32 // marks inside the text are text
	BOS() (id int32, ok bool)
	EOS() (id int32, ok bool)
	Pad() (id int32, ok bool)
	AddsBOS() bool // the tokenizer's files ask for BOS before a text
}

// Config says what to read and how.
type Config struct {
	// Paths names files, or corpora of the toy world as "world:chat". JSON lines
	// (.jsonl, .json, .ndjson) have a row a line; a plain text file is one text
	// row. Rows are numbered from 0 through all paths in their order.
	Paths []string
	// Columns names the columns of JSON lines where they have other names than
	// the known ones.
	Columns Columns
	// MaxLength is the largest number of tokens of a row, at least 3. A longer
	// text is cut into pieces, any other row that is longer is dropped.
	MaxLength int
	// LearnPrompt makes every token a target, prompts and user turns too, as
	// continued pre-training does.
	LearnPrompt bool

	Tokenizer Tokenizer
}

// An Example is one tokenised row, or one piece of a text that was cut. Its
// slices are views of the dataset and must not be changed.
type Example struct {
	IDs    []int32 // with BOS and EOS where due
	Target []bool  // Target[i]: token i is to be learned. The first never is: nothing stands before it
	Prompt int     // tokens before the first of the completion or of the first assistant turn; 0 for text
	Row    int     // the row it came from, counted from 0 through all paths

	// Wording is the row's column of that name, "" where there is none: questions
	// of the toy world are asked in a wording that is seen or unseen in tuning.
	Wording string
}

// Targets returns the number of tokens to be learned.
func (e Example) Targets() int {
	n := 0
	for _, t := range e.Target {
		if t {
			n++
		}
	}
	return n
}

// A Dataset holds the tokenised rows of some files, in file order.
type Dataset struct {
	ids         []int32
	target      []bool
	spans       []span
	pad         int32
	maxLength   int
	report      Report
	fingerprint string
}

// span is where an example lies in ids and target.
type span struct {
	start, end int
	targets    int
	prompt     int
	row        int
	wording    string
}

// Len returns the number of examples.
func (d *Dataset) Len() int { return len(d.spans) }

// Example returns example i, 0 ≤ i < Len.
func (d *Dataset) Example(i int) Example {
	s := d.spans[i]
	return Example{
		IDs:    d.ids[s.start:s.end:s.end],
		Target: d.target[s.start:s.end:s.end],
		Prompt: s.prompt,
		Row:    s.row,

		Wording: s.wording,
	}
}

// Report returns what became of the rows.
func (d *Dataset) Report() Report { return d.report }

// MaxLength returns the largest number of tokens that an example may have.
func (d *Dataset) MaxLength() int { return d.maxLength }

// Fingerprint returns the SHA-256 of everything read, in hexadecimal. A resumed
// run compares it to refuse data that has changed.
func (d *Dataset) Fingerprint() string { return d.fingerprint }

// Open reads and tokenises all rows of c.Paths. Errors name the file and line.
// It is an error if no row is left, or if more than a tenth of the rows has
// nothing to learn.
func Open(ctx context.Context, c Config) (*Dataset, error) {
	switch {
	case len(c.Paths) == 0:
		return nil, errors.New("no data: name at least one file")
	case c.MaxLength < 3:
		return nil, fmt.Errorf("a maximum length of %d tokens: at least 3 are needed, for a prompt, an answer and its end", c.MaxLength)
	case c.Tokenizer == nil:
		return nil, errors.New("data needs a tokenizer")
	}
	if _, err := c.Columns.form(); err != nil {
		return nil, err
	}
	b := newBuilder(c)
	h := sha256.New()
	for _, path := range c.Paths {
		f := FileReport{Path: path}
		err := read(ctx, path, c.Columns, h, func(r *row) error {
			r.index = b.report.Rows
			f.Rows++
			f.Form = r.form.String()
			b.add(r)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading data: %w", err)
		}
		if f.Rows == 0 {
			return nil, fmt.Errorf("reading data: %s has no rows: the file is empty", path)
		}
		b.report.Files = append(b.report.Files, f)
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	b.data.fingerprint = hex.EncodeToString(h.Sum(nil))
	return b.data, nil
}
