package data

import (
	"cmp"
	"math/bits"
	"slices"
)

// pack puts pieces of the given lengths, none above size, into rows of at most
// size tokens by best fit in order of falling length: each goes into the row
// that it leaves with the least space, the oldest such row where several tie,
// and into a new row where it fits in none. Each index stands in exactly one
// row. Equal lengths are taken in order of index, so the result depends on
// nothing but the arguments.
//
// Best fit decreasing needs at most 11/9 of the fewest possible rows plus one
// (Johnson, 1973).
func pack(lengths []int, size int) [][]int32 {
	order := make([]int32, len(lengths))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(lengths[b], lengths[a]), cmp.Compare(a, b))
	})
	var rows [][]int32
	// open[s] queues the rows with s tokens of space; bit s of spaces is set where
	// there is one.
	open := make([][]int, size+1)
	spaces := make([]uint64, size/64+1)
	for _, i := range order {
		need := lengths[i]
		space := firstSet(spaces, need)
		row := len(rows)
		if space < 0 {
			rows = append(rows, nil)
			space = size
		} else {
			row = open[space][0]
			if open[space] = open[space][1:]; len(open[space]) == 0 {
				spaces[space/64] &^= 1 << (space % 64)
			}
		}
		rows[row] = append(rows[row], i)
		if left := space - need; left > 0 {
			open[left] = append(open[left], row)
			spaces[left/64] |= 1 << (left % 64)
		}
	}
	return rows
}

// inOrder sorts packed rows: the pieces of a row by index, the rows by their first.
func inOrder(rows [][]int32) {
	for _, row := range rows {
		slices.Sort(row)
	}
	slices.SortFunc(rows, func(x, y []int32) int { return int(x[0]) - int(y[0]) })
}

// firstSet returns the first set bit at or after from, or −1.
func firstSet(words []uint64, from int) int {
	for w := from / 64; w < len(words); w++ {
		word := words[w]
		if w == from/64 {
			word &= ^uint64(0) << (from % 64)
		}
		if word != 0 {
			return 64*w + bits.TrailingZeros64(word)
		}
	}
	return -1
}
