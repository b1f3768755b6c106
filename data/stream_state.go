package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"gotune/internal/rng"
)

// streamState is what a Stream is continued from. Examples that wait are kept
// as the row and the piece they are: the rows before them are read again
// anyway, since files need not be such that one can start in the middle.
type streamState struct {
	Epoch  int       `json:"epoch"`
	Rows   int       `json:"rows"` // read in this epoch
	Random [4]uint64 `json:"random"`
	Tally  tally     `json:"tally"`

	Queue  []place   `json:"queue"`
	Buffer []place   `json:"buffer"`
	Open   [][]place `json:"open"`
	Done   [][]place `json:"done"`
	Tokens string    `json:"tokens"` // SHA-256 of the tokens of all of these
}

// place names an example: its row of the epoch, and its piece of the row.
type place [2]int

// State returns what Restore continues from: where the reading is, the random
// numbers, and which examples wait in the buffer and in unfinished rows. The
// bytes are the same whenever the stream is.
func (s *Stream) State() ([]byte, error) {
	state := streamState{
		Epoch: s.epoch, Rows: s.rows, Random: s.random.State(), Tally: s.tally,
		Queue: placesOf(s.queue), Buffer: placesOf(s.buffer),
		Tokens: s.tokens(),
	}
	for _, row := range s.open {
		state.Open = append(state.Open, placesOf(row))
	}
	for _, row := range s.done {
		state.Done = append(state.Done, placesOf(row))
	}
	return json.Marshal(state)
}

func placesOf(list []held) []place {
	out := make([]place, len(list))
	for i, x := range list {
		out[i] = place{x.Row, x.piece}
	}
	return out
}

// tokens returns a hash of everything that waits.
func (s *Stream) tokens() string {
	h := sha256.New()
	var b []byte
	for x := range s.waiting() {
		b = binary.AppendUvarint(b[:0], uint64(len(x.IDs)))
		for i, id := range x.IDs {
			b = binary.AppendVarint(b, int64(id))
			if x.Target[i] {
				b = append(b, 1)
			}
		}
		for _, w := range x.Weights {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(w))
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// waiting gives all examples that are read and not yet in a step, in a fixed
// order.
func (s *Stream) waiting() func(yield func(held) bool) {
	return func(yield func(held) bool) {
		for _, list := range slices.Concat([][]held{s.queue, s.buffer}, s.open, s.done) {
			for _, x := range list {
				if !yield(x) {
					return
				}
			}
		}
	}
}

// Restore continues a new stream of the same config and data from a state. It
// reads the rows of the epoch again up to where the state was, and refuses data
// whose waiting examples are no longer the same. After an error the stream is of
// no use.
func (s *Stream) Restore(ctx context.Context, state []byte) error {
	var from streamState
	if err := json.Unmarshal(state, &from); err != nil {
		return fmt.Errorf("the state of the data stream cannot be read: %w", err)
	}
	if err := from.check(s.config); err != nil {
		return fmt.Errorf("the state of the data stream does not fit: %w", err)
	}
	s.Close()
	s.epoch, s.rows, s.corpus = from.Epoch, 0, 0
	s.random, s.tally = rng.FromState(from.Random), from.Tally
	found, err := s.reread(ctx, from)
	if err != nil {
		return err
	}
	missing := false
	fetch := func(list []place) []held {
		out := make([]held, 0, len(list))
		for _, p := range list {
			x, ok := found[p]
			missing = missing || !ok
			out = append(out, x)
		}
		return out
	}
	s.queue, s.buffer = fetch(from.Queue), fetch(from.Buffer)
	s.open, s.done = nil, nil
	for _, row := range from.Open {
		s.open = append(s.open, fetch(row))
	}
	for _, row := range from.Done {
		s.done = append(s.done, fetch(row))
	}
	if missing || s.tokens() != from.Tokens {
		return errors.New("the data has changed since the run was stopped: rows that were read are no longer the same")
	}
	return nil
}

// check refuses a state that no stream of this config can have.
func (f streamState) check(c StreamConfig) error {
	switch {
	case f.Epoch < 0 || f.Rows < 0:
		return errors.New("a negative count")
	case f.Random == [4]uint64{}:
		return errors.New("no random numbers")
	case len(f.Tally.Report.Corpora) != len(c.Corpora):
		return fmt.Errorf("%d corpora, and the run has %d", len(f.Tally.Report.Corpora), len(c.Corpora))
	case len(f.Buffer) > 0 && (!c.Shuffle || len(f.Buffer) > c.Buffer):
		return fmt.Errorf("a buffer of %d rows, and the run has one of %d", len(f.Buffer), c.Buffer)
	case len(f.Open) > openRows || len(f.Open) > 0 && !c.Packing:
		return errors.New("packed rows that wait")
	}
	return nil
}

// reread reads the rows of the epoch up to where a state was and returns the
// examples that waited.
func (s *Stream) reread(ctx context.Context, from streamState) (map[place]held, error) {
	wanted := map[place]bool{}
	rowsOf := map[int]bool{}
	for _, list := range slices.Concat([][]place{from.Queue, from.Buffer}, from.Open, from.Done) {
		for _, p := range list {
			wanted[p], rowsOf[p[0]] = true, true
		}
	}
	found := make(map[place]held, len(wanted))
	for s.rows < from.Rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row, err := s.read()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the data has changed since the run was stopped: there are %d rows, and it had read %d", s.rows, from.Rows)
		}
		if err != nil {
			return nil, err
		}
		if !rowsOf[row.Index] {
			continue
		}
		pieces, err := s.encode(row, false)
		if err != nil {
			return nil, err
		}
		for _, x := range pieces {
			if at := (place{row.Index, x.piece}); wanted[at] {
				found[at] = x
			}
		}
	}
	return found, nil
}
