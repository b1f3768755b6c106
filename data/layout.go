package data

import (
	"cmp"
	"slices"
)

// A layouter lays out micro-batches. It keeps the memory it needs.
type layouter struct {
	lengths  []int
	order    []int32 // of falling length
	spaces   []int   // of the rows being filled
	row      []int32 // of each piece
	best     []int32
	number   []int32
	together [][]placed
}

// layout puts the rows of a micro-batch into as few tokens as it finds, and
// returns the length of the rows, a multiple of 32 where the maximum length allows
// it. For each length it takes best fit in order of falling length, as pack does. A
// batch is taken for a 16th of a row larger than it is: where little is won, more
// and shorter rows are easier to share among threads. The result is valid until the
// next call.
func (s *Step) layout(micro int) (rows [][]placed, length int) {
	rows = s.micro(micro)
	length = s.round(longest(rows))
	if s.packed || len(rows) == 1 {
		return rows, length
	}
	total := s.measure(rows)
	cost := func(rows, length int) int { return (16*rows + 1) * length }
	fewest, least := 0, cost(len(rows), length)
	for l := length; ; l = min(l+lengthStep, s.maxLength) {
		if cost(ceil(total, l), l) < least {
			if n := s.fit(l); cost(n, l) < least {
				fewest, length, least = n, l, cost(n, l)
				s.best = append(s.best[:0], s.row...)
			}
		}
		if l >= min(total, s.maxLength) {
			break
		}
	}
	if fewest == 0 {
		return rows, length
	}
	return s.join(rows, fewest), length
}

// measure notes the lengths of rows, and returns their sum.
func (l *layouter) measure(rows [][]placed) (total int) {
	l.lengths, l.order, l.row = l.lengths[:0], l.order[:0], resize(l.row, len(rows))
	for i, row := range rows {
		l.lengths, l.order = append(l.lengths, size(row)), append(l.order, int32(i))
		total += size(row)
	}
	slices.SortFunc(l.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(l.lengths[b], l.lengths[a]), cmp.Compare(a, b))
	})
	return total
}

// fit puts the pieces into rows of a length and returns the number of rows.
func (l *layouter) fit(length int) int {
	l.spaces = l.spaces[:0]
	for _, i := range l.order {
		best := -1
		for r, space := range l.spaces {
			if space >= l.lengths[i] && (best < 0 || space < l.spaces[best]) {
				best = r
			}
		}
		if best < 0 {
			best = len(l.spaces)
			l.spaces = append(l.spaces, length)
		}
		l.spaces[best] -= l.lengths[i]
		l.row[i] = int32(best)
	}
	return len(l.spaces)
}

// join makes n rows as best says, in order of their first piece.
func (l *layouter) join(rows [][]placed, n int) [][]placed {
	for len(l.together) < n {
		l.together = append(l.together, nil)
	}
	l.number = resize(l.number, n)
	for r := range l.number {
		l.number[r] = -1
	}
	next := int32(0)
	for i, row := range rows {
		to := &l.number[l.best[i]]
		if *to < 0 {
			*to = next
			l.together[next] = l.together[next][:0]
			next++
		}
		l.together[*to] = append(l.together[*to], row...)
	}
	return l.together[:n]
}

// round returns the length of rows that hold so many tokens.
func (s *Step) round(length int) int { return min(roundUp(length), s.maxLength) }

func longest(rows [][]placed) int {
	n := 0
	for _, row := range rows {
		n = max(n, size(row))
	}
	return n
}

// size returns the number of tokens of a row.
func size(row []placed) int {
	n := 0
	for _, x := range row {
		n += len(x.IDs)
	}
	return n
}
