package data

import (
	"fmt"

	"gotune/internal/rng"
)

// HoldOut splits a dataset into one to train on and one of so many rows to evaluate
// on, which are drawn by the seed. The pieces of a long text stay together, and an
// epoch of the rest takes its rows as often as before. Both keep the report of the
// whole.
func (d *Dataset) HoldOut(rows int, seed uint64) (rest, held *Dataset, err error) {
	groups := d.rowsOf(0, len(d.spans))
	if rows < 1 || rows >= len(groups) {
		return nil, nil, fmt.Errorf("%d rows cannot be held out of %d: something has to be left to learn from", rows, len(groups))
	}
	taken := make([]bool, len(d.spans))
	for _, g := range rng.New(seed, "held out").Perm(len(groups))[:rows] {
		for _, i := range groups[g] {
			taken[i] = true
		}
	}
	rest, held = d.part(taken, false), d.part(taken, true)
	held.draws = nil
	for i := range held.spans {
		held.draws = append(held.draws, int32(i))
	}
	if len(rest.draws) == 0 {
		return nil, nil, fmt.Errorf("with %d rows held out nothing is left of an epoch", rows)
	}
	return rest, held, nil
}

// part returns the examples for which in says which.
func (d *Dataset) part(in []bool, which bool) *Dataset {
	p := *d
	p.spans, p.draws, p.weights = nil, nil, make(map[int32][]float32)
	number := make([]int32, len(d.spans)) // of an example among those of the part
	for i, s := range d.spans {
		if in[i] != which {
			continue
		}
		number[i] = int32(len(p.spans))
		if w, ok := d.weights[int32(i)]; ok {
			p.weights[number[i]] = w
		}
		p.spans = append(p.spans, s)
	}
	for _, i := range d.draws {
		if in[i] == which {
			p.draws = append(p.draws, number[i])
		}
	}
	return &p
}
