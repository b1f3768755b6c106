// Package data turns rows into batches of tokens: which tokens of a row are
// learned, mixtures of corpora, packing, and the order of an epoch. Rows are
// read by [gotune/data/rows], conversations written by the chat templates of
// [gotune/data/chat].
//
// A row is a text, of which every token is learned; a prompt and its completion,
// which is learned; or a conversation, of which the assistant's turns are.
// Text, prompt and completion are raw: nothing stands between prompt and
// completion, BOS comes first only where the tokenizer's own files ask for it,
// and EOS is appended and learned. Prompt and completion are tokenised apart
// and joined, as generation will meet them.
//
// [Open] reads and tokenises everything once; [Dataset.Batches] lays the rows
// out; a [Plan] is the order of one epoch and hands out each [Step] of it, so
// that a resumed run reads nothing twice. A [Stream] does the same for data that
// does not fit into memory.
package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"gotune/data/chat"
	"gotune/data/rows"
)

// A Tokenizer turns text into ids. *tokenizer.Tokenizer is one.
type Tokenizer interface {
	chat.Tokenizer
	EncodeText(text string) []int32 // marks inside the text are text
	BOS() (id int32, ok bool)
	EOS() (id int32, ok bool)
	Pad() (id int32, ok bool)
	AddsBOS() bool // the tokenizer's files ask for BOS before a text
}

// A Corpus is a file, a folder, or a corpus of the toy world, and how much of it
// an epoch takes. At most one of Rows, Repeat, Weight and Replay is set; none takes
// every row once.
type Corpus struct {
	Path    string       // as in rows.Config
	Format  string       // as in rows.Config; "" is auto
	Columns rows.Columns // which columns to read; the zero value finds them out

	// Rows takes so many rows: a random part, or all of them several times and a
	// random part of what is left.
	Rows int
	// Repeat takes the corpus so many times.
	Repeat float64
	// Weight takes a share of the epoch, relative to the weights of the other
	// corpora that have one. Together these take as many rows as they have.
	Weight float64
	// Replay takes rows in proportion to the corpus, so that all corpora with it
	// together are this share of the rows that the others take.
	Replay float64

	// LearnPrompt makes every token a target, prompts and user turns too, as
	// continued pre-training does.
	LearnPrompt bool
	// Weigh is that of the corpus, in place of the common one; see EncoderConfig.
	Weigh func(x Example) []float32
}

// Files returns corpora that are taken whole, once each.
func Files(paths ...string) []Corpus {
	var cs []Corpus
	for _, p := range paths {
		cs = append(cs, Corpus{Path: p})
	}
	return cs
}

// Encoder returns how rows of the corpus become tokens, which is as e says where
// the corpus itself says nothing.
func (c Corpus) Encoder(e EncoderConfig) (*Encoder, error) {
	e.LearnPrompt = e.LearnPrompt || c.LearnPrompt
	if c.Weigh != nil {
		e.Weigh = c.Weigh
	}
	return NewEncoder(e)
}

func (c Corpus) open(ctx context.Context) (*rows.Source, error) {
	return rows.Open(ctx, rows.Config{Paths: []string{c.Path}, Format: c.Format, Columns: c.Columns})
}

// Config says what to read and how.
type Config struct {
	Corpora []Corpus
	// Seed names the random choice of rows of corpora that are not taken whole.
	Seed uint64
	// HeldOut says that the data is evaluated on and not learned.
	HeldOut bool
	// Allow names findings that do not stop; see FindingNames.
	Allow []string
	EncoderConfig
}

// A Dataset holds the tokenised rows of some corpora, in their order.
type Dataset struct {
	ids         []int32
	target      []bool
	spans       []span
	weights     map[int32][]float32 // by span, where a token's weight is not 1
	draws       []int32             // the examples of an epoch
	pad         int32
	maxLength   int
	virtual     int
	report      Report
	fingerprint string
}

// span is where an example lies in ids and target.
type span struct {
	start, end int
	targets    int
	weight     float64 // of all targets
	prompt     int
	row        int
	at         rows.Location
	wording    string
}

// Len returns the number of examples, each counted once.
func (d *Dataset) Len() int { return len(d.spans) }

// Example returns example i, 0 ≤ i < Len.
func (d *Dataset) Example(i int) Example {
	s := d.spans[i]
	return Example{
		IDs:     d.ids[s.start:s.end:s.end],
		Target:  d.target[s.start:s.end:s.end],
		Weights: d.weights[int32(i)],
		Prompt:  s.prompt,
		Virtual: d.virtual,
		Row:     s.row,
		At:      s.at,
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

// Open reads and tokenises all rows of all corpora. Errors name the file and
// line. It is an error if no row is left, and ErrFinding if there is a finding that
// stops and is not allowed, such as more than a tenth of rows with nothing to
// learn.
func Open(ctx context.Context, c Config) (*Dataset, error) {
	if len(c.Corpora) == 0 {
		return nil, errors.New("no data: name at least one file")
	}
	if err := CheckNames(c.Allow); err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	d := &Dataset{maxLength: c.MaxLength, virtual: c.Virtual, weights: make(map[int32][]float32)}
	b := &builder{data: d}
	h := sha256.New()
	for _, corpus := range c.Corpora {
		enc, err := corpus.Encoder(c.EncoderConfig)
		if err != nil {
			return nil, err
		}
		d.pad = enc.pad
		src, err := corpus.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading data: %w", err)
		}
		b.begin(corpus, enc)
		for r, err := range src.All(ctx) {
			if err != nil {
				return nil, fmt.Errorf("reading data: %w", err)
			}
			if err := b.add(r); err != nil {
				return nil, err
			}
		}
		if err := b.end(src.Files()); err != nil {
			return nil, fmt.Errorf("reading data: %w", err)
		}
		h.Write([]byte(src.Fingerprint()))
	}
	if err := b.finish(c.HeldOut, c.Allow); err != nil {
		return nil, err
	}
	if err := d.mix(c.Corpora, c.Seed, b.ends); err != nil {
		return nil, err
	}
	d.fingerprint = hex.EncodeToString(h.Sum(nil))
	return d, nil
}
