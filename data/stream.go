package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"gotune/data/rows"
	"gotune/internal/rng"
)

// StreamConfig says what a Stream reads and how it lays it out.
type StreamConfig struct {
	// Corpora are read one after the other, each whole: Rows, Repeat, Weight and
	// Replay are not for streams, which do not know how many rows there are.
	Corpora []Corpus
	EncoderConfig
	// BatchConfig lays out steps. Packing puts each example into the first of a
	// few open rows that has space for it.
	BatchConfig
	// Buffer is the number of examples among which Shuffle draws the next one.
	Buffer int
	// Epochs is how often the corpora are read; 0 is without end.
	Epochs int
	// Allow names findings that do not stop; see FindingNames.
	Allow []string
}

// openRows is the number of packed rows that wait for examples that fit. The
// oldest is closed when an example fits in none.
const openRows = 16

// enoughToJudge is the number of rows after which it is looked at again whether
// what was found stops the stream.
const enoughToJudge = 1000

// A Stream is [Dataset], [Batches] and [Plan] for data that does not fit into
// memory: rows are read again in each epoch and tokenised as they are needed,
// and shuffled in a buffer. In an epoch each row comes exactly once, and no step
// has rows of two epochs. The order depends on the data, the config and nothing
// else. It is used by one goroutine at a time.
type Stream struct {
	config   StreamConfig
	encoders []*Encoder // of each corpus
	sources  []*rows.Source

	epoch  int
	rows   int // read in this epoch
	random *rng.Stream
	tally  tally // of the first epoch

	corpus int // the one that is being read
	next   func() (*rows.Row, error, bool)
	stop   func()

	queue  []held   // pieces of the row read last
	buffer []held   // to draw from
	open   [][]held // packed rows that may take more
	done   [][]held // rows for the next step
	taken  [][]held // rows of the last step
	step   Step
}

// held is an example that waits, and which piece of its row it is.
type held struct {
	Example
	piece int
}

// NewStream opens the corpora and checks that their first rows can be read. The
// caller closes the stream.
func NewStream(ctx context.Context, c StreamConfig) (*Stream, error) {
	if len(c.Corpora) == 0 {
		return nil, errors.New("no data: name at least one file")
	}
	if err := c.BatchConfig.check(); err != nil {
		return nil, err
	}
	if c.Shuffle && c.Buffer < 1 {
		return nil, fmt.Errorf("a shuffle buffer of %d rows: there must be at least one", c.Buffer)
	}
	s := &Stream{config: c, random: rng.New(c.Seed, "stream")}
	for _, corpus := range c.Corpora {
		if count(corpus.Rows != 0, corpus.Repeat != 0, corpus.Weight != 0, corpus.Replay != 0) > 0 {
			return nil, fmt.Errorf("%s: rows, repeat, weight and replay cannot be had with streaming, which does not know how many rows there are", corpus.Path)
		}
		e, err := corpus.Encoder(c.EncoderConfig)
		if err != nil {
			return nil, err
		}
		source, err := corpus.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading data: %w", err)
		}
		s.encoders, s.sources = append(s.encoders, e), append(s.sources, source)
		s.tally.Report.Files = append(s.tally.Report.Files, source.Files()...)
		s.tally.Report.Corpora = append(s.tally.Report.Corpora, CorpusReport{Path: corpus.Path})
	}
	return s, nil
}

// Close closes the file that is being read. The stream can go on afterwards
// only by Restore.
func (s *Stream) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.next, s.stop = nil, nil
}

// Epoch returns the number of the epoch of the last step, from 0.
func (s *Stream) Epoch() int { return s.epoch }

// Report returns what became of the rows of the first epoch, as far as it has
// been read. The lengths are not known.
func (s *Stream) Report() Report { return s.tally.Report }

// Identity tells data apart without reading it all; see rows.Source.
func (s *Stream) Identity() (string, error) {
	var all string
	for _, source := range s.sources {
		id, err := source.Identity()
		if err != nil {
			return "", err
		}
		all += id
	}
	return all, nil
}

// Next returns the next step, which is valid until the next call, and io.EOF
// after the last epoch. Only the last step of an epoch may be short. Other
// errors name the file and line. What is found about the rows of the first epoch
// (see [Finding]) is an error where it stops.
func (s *Stream) Next(ctx context.Context) (*Step, error) {
	size := s.config.BatchSize * s.config.AccumulationSteps
	for {
		if s.config.Epochs > 0 && s.epoch >= s.config.Epochs {
			return nil, io.EOF
		}
		err := s.fill(ctx, size)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(s.done) > 0 {
			return s.take(min(size, len(s.done))), nil
		}
		if err := s.endEpoch(); err != nil {
			return nil, err
		}
	}
}

// fill lays out rows until there are enough for a step; io.EOF at the end of the
// epoch, with all its rows laid out.
func (s *Stream) fill(ctx context.Context, size int) error {
	for len(s.done) < size {
		x, err := s.draw(ctx)
		if errors.Is(err, io.EOF) {
			s.done = append(s.done, s.open...)
			s.open = nil
			return err
		}
		if err != nil {
			return err
		}
		s.place(x)
	}
	return nil
}

// take makes a step of the first n rows that are laid out.
func (s *Stream) take(n int) *Step {
	e := s.encoders[0]
	s.step.reset(s.config.BatchConfig, e.MaxLength, e.pad)
	for _, row := range s.done[:n] {
		s.step.begin()
		for _, x := range row {
			s.step.add(-1, x.Example)
		}
	}
	s.taken, s.done = s.done[:n:n], slices.Clone(s.done[n:])
	return &s.step
}

// Back undoes a Next that gave a step: the next one gives it again, also after
// State and Restore.
func (s *Stream) Back() {
	s.done, s.taken = slices.Concat(s.taken, s.done), nil
}

// endEpoch goes back to the first row.
func (s *Stream) endEpoch() error {
	if s.epoch == 0 {
		if err := s.judge(); err != nil {
			return err
		}
	}
	s.Close()
	s.corpus, s.rows = 0, 0
	s.epoch++
	return nil
}

// place puts an example into a row.
func (s *Stream) place(x held) {
	if !s.config.Packing {
		s.done = append(s.done, []held{x})
		return
	}
	for i, row := range s.open {
		space := s.config.MaxLength - length(row)
		if len(x.IDs) > space {
			continue
		}
		s.open[i] = append(row, x)
		if len(x.IDs) == space {
			s.close(i)
		}
		return
	}
	if len(s.open) == openRows {
		s.close(0)
	}
	s.open = append(s.open, []held{x})
	if len(x.IDs) == s.config.MaxLength {
		s.close(len(s.open) - 1)
	}
}

// close takes a packed row as it is.
func (s *Stream) close(i int) {
	s.done = append(s.done, s.open[i])
	s.open = append(s.open[:i], s.open[i+1:]...)
}

func length(row []held) int {
	n := 0
	for _, x := range row {
		n += len(x.IDs)
	}
	return n
}

// draw returns the next example: in order, or a random one of the buffer, which
// is refilled first. io.EOF ends the epoch.
func (s *Stream) draw(ctx context.Context) (held, error) {
	if !s.config.Shuffle {
		return s.example(ctx)
	}
	for len(s.buffer) < s.config.Buffer {
		x, err := s.example(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return held{}, err
		}
		s.buffer = append(s.buffer, x)
	}
	last := len(s.buffer) - 1
	if last < 0 {
		return held{}, io.EOF
	}
	i := s.random.IntN(last + 1)
	x := s.buffer[i]
	s.buffer[i], s.buffer[last] = s.buffer[last], held{}
	s.buffer = s.buffer[:last]
	return x, nil
}

// example returns the next example in order; io.EOF at the end of the epoch.
func (s *Stream) example(ctx context.Context) (held, error) {
	for len(s.queue) == 0 {
		if err := ctx.Err(); err != nil {
			return held{}, err
		}
		row, err := s.read()
		if err != nil {
			return held{}, err
		}
		if s.queue, err = s.encode(row, true); err != nil {
			return held{}, err
		}
	}
	x := s.queue[0]
	s.queue = s.queue[1:]
	return x, nil
}

// read returns the next row of the epoch; io.EOF after the last.
func (s *Stream) read() (*rows.Row, error) {
	for s.corpus < len(s.sources) {
		if s.next == nil {
			// The context of the caller is looked at between two rows.
			s.next, s.stop = iter.Pull2(s.sources[s.corpus].All(context.Background()))
		}
		row, err, more := s.next()
		if err != nil {
			return nil, fmt.Errorf("reading data: %w", err)
		}
		if more {
			row.Index = s.rows
			s.rows++
			return row, nil
		}
		s.Close()
		s.corpus++
	}
	return nil, io.EOF
}

// encode tokenises a row that was just read. A row that cannot be used has no
// examples and is counted, if it is met for the first time.
func (s *Stream) encode(row *rows.Row, first bool) ([]held, error) {
	e := s.encoders[s.corpus]
	examples, err := e.Encode(row)
	if err != nil && !unusable(err) {
		return nil, fmt.Errorf("reading data: %s: %w", row.At, err)
	}
	if first && s.epoch == 0 {
		c := &s.tally.Report.Corpora[s.corpus]
		s.tally.count(row, c, e, examples, err)
		c.Taken = c.Kept
		if s.tally.Report.Rows%enoughToJudge == 0 {
			if err := s.judge(); err != nil {
				return nil, err
			}
		}
	}
	pieces := make([]held, len(examples))
	for i, x := range examples {
		pieces[i] = held{e.lead(x), i}
	}
	return pieces, nil
}

// judge stops a stream from which nothing sensible can be learned, as far as it
// has been read.
func (s *Stream) judge() error {
	err := s.tally.judge(s.encoders[0].limit(), false, s.config.Allow)
	if err != nil {
		return fmt.Errorf("after %d rows: %w", s.tally.Report.Rows, err)
	}
	return nil
}

// Peek reads the first rows of what a stream would read, at most so many, and
// returns what is found about them. Findings that stop are errors, as in
// [Stream.Next].
func Peek(ctx context.Context, c StreamConfig, most int) (Report, error) {
	c.Shuffle = false
	s, err := NewStream(ctx, c)
	if err != nil {
		return Report{}, err
	}
	defer s.Close()
	for s.rows < most && err == nil {
		s.queue = nil
		_, err = s.example(ctx)
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = s.judge()
	}
	return s.Report(), err
}
