package data

// A Step is one optimizer step: rows of one or more examples each, in
// micro-batches.
type Step struct {
	rows      [][]placed
	size      int // rows of a micro-batch
	maxLength int
	pad       int32
}

// placed is an example with its number in the dataset, −1 without one.
type placed struct {
	index int
	Example
}

func (s *Step) reset(size, maxLength int, pad int32) {
	s.rows, s.size, s.maxLength, s.pad = s.rows[:0], size, maxLength, pad
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

// Shape returns the rows and the length of a micro-batch: that of its longest
// row, rounded up to a multiple of 32 where the maximum length allows it.
func (s *Step) Shape(micro int) (rows, length int) {
	batch := s.micro(micro)
	for _, row := range batch {
		n := 0
		for _, x := range row {
			n += len(x.IDs)
		}
		length = max(length, n)
	}
	return len(batch), min(roundUp(length), s.maxLength)
}

// Fill writes a micro-batch into b.
func (s *Step) Fill(b *Batch, micro int) {
	rows, length := s.Shape(micro)
	b.reset(rows, length, s.pad)
	for i, row := range s.micro(micro) {
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
