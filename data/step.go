package data

// A Step is one optimizer step: rows of one or more examples each, in
// micro-batches.
type Step struct {
	rows      [][]placed
	size      int // rows of a micro-batch
	maxLength int
	pad       int32
	packed    bool // the rows are full already
	layouter
}

// placed is an example with its number in the dataset, −1 without one.
type placed struct {
	index int
	Example
}

func (s *Step) reset(c BatchConfig, maxLength int, pad int32) {
	s.rows, s.size, s.maxLength, s.pad, s.packed = s.rows[:0], c.BatchSize, maxLength, pad, c.Packing
}

// begin starts a new row.
func (s *Step) begin() {
	if n := len(s.rows); n < cap(s.rows) {
		s.rows = s.rows[:n+1]
		s.rows[n] = s.rows[n][:0]
		return
	}
	s.rows = append(s.rows, nil)
}

// add puts an example behind the others of the row.
func (s *Step) add(index int, x Example) {
	row := &s.rows[len(s.rows)-1]
	*row = append(*row, placed{index, x})
}

// MicroBatches returns the number of micro-batches.
func (s *Step) MicroBatches() int { return ceil(len(s.rows), s.size) }

// Weight returns the sum of the weights of all targets of all micro-batches. The
// loss of the step is a sum divided by this, so that it does not matter how the
// step is split.
func (s *Step) Weight() float64 {
	sum := 0.0
	for _, row := range s.rows {
		for _, x := range row {
			sum += x.weight()
		}
	}
	return sum
}

// A Shape is the size of a micro-batch.
type Shape struct {
	Rows, Length int
	Targets      int // tokens that have a target
}

// Shape returns the size of a micro-batch as Fill lays it out.
func (s *Step) Shape(micro int) Shape {
	rows, length := s.layout(micro)
	shape := Shape{Rows: len(rows), Length: length}
	for _, row := range rows {
		for _, x := range row {
			for _, target := range x.Target[1:] {
				if target {
					shape.Targets++
				}
			}
		}
	}
	return shape
}

// Fill writes a micro-batch into b. Rows that are not packed yet may be put behind
// each other, so that there is less padding; like packed examples they stay apart.
func (s *Step) Fill(b *Batch, micro int) {
	rows, length := s.layout(micro)
	b.reset(len(rows), length, s.pad)
	b.Padded = s.round(longest(s.micro(micro)))
	for i, row := range rows {
		start := 0
		for _, x := range row {
			b.put(x.Example, x.index, i, start)
			start += len(x.IDs)
		}
	}
}

// Examples calls yield for every example of the step.
func (s *Step) Examples(yield func(Example) bool) {
	for _, row := range s.rows {
		for _, x := range row {
			if !yield(x.Example) {
				return
			}
		}
	}
}

func (s *Step) micro(n int) [][]placed {
	return s.rows[n*s.size : min((n+1)*s.size, len(s.rows))]
}
