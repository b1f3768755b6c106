package data

import "gotune/data/rows"

// Ignore is the target of a token that teaches nothing.
const Ignore = -100

// lengthStep is what the length of a batch is a multiple of, so that few
// shapes occur.
const lengthStep = 32

// A Batch is one micro-batch: Rows rows of Length tokens, row b position t at
// index b·Length+t. It can be filled again and again; after the largest one
// filling allocates nothing.
type Batch struct {
	Rows, Length int
	Padded       int // the length if no rows were put together: that of the longest

	IDs       []int32   // [Rows·Length]; after the last segment of a row the padding id
	Targets   []int32   // the id that token t must predict, or Ignore
	Weights   []float32 // of the target in the loss; 1 where nothing else is said
	Positions []int32   // from 0 in every segment; 0 in padding. A token attends to its own segment

	Segments     []Segment // of all rows, in order
	Tokens       int       // that are not padding
	TargetTokens int       // entries of Targets that are not Ignore
}

// A Segment is an example inside a batch.
type Segment struct {
	Example int // its index in the dataset
	Row     int // of the batch
	Start   int // position of its first token in the row
	Length  int // in tokens
	At      rows.Location
}

// reset makes room for rows of length tokens, all padding.
func (b *Batch) reset(rows, length int, pad int32) {
	b.Rows, b.Length = rows, length
	b.IDs = resize(b.IDs, rows*length)
	b.Targets = resize(b.Targets, rows*length)
	b.Positions = resize(b.Positions, rows*length)
	b.Weights = resize(b.Weights, rows*length)
	for i := range b.IDs {
		b.IDs[i], b.Targets[i], b.Positions[i], b.Weights[i] = pad, Ignore, 0, 1
	}
	b.Segments = b.Segments[:0]
	b.Tokens, b.TargetTokens = 0, 0
}

// put writes an example at a position of a row.
func (b *Batch) put(e Example, index, row, start int) {
	at := row*b.Length + start
	copy(b.IDs[at:], e.IDs)
	for i := range e.IDs {
		b.Positions[at+i] = int32(i)
		if i+1 < len(e.IDs) && e.Target[i+1] {
			b.Targets[at+i] = e.IDs[i+1]
			b.TargetTokens++
			if e.Weights != nil {
				b.Weights[at+i] = e.Weights[i+1]
			}
		}
	}
	b.Segments = append(b.Segments, Segment{index, row, start, len(e.IDs), e.At})
	b.Tokens += len(e.IDs)
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// roundUp returns the next multiple of lengthStep.
func roundUp(n int) int { return (n + lengthStep - 1) / lengthStep * lengthStep }
