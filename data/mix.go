package data

import (
	"cmp"
	"fmt"
	"math"
	"strconv"

	"gotune/internal/rng"
)

// mix decides which examples an epoch takes. ends are the numbers of examples
// after each corpus.
func (d *Dataset) mix(corpora []Corpus, seed uint64, ends []int) error {
	takes, err := d.takes(corpora)
	if err != nil {
		return err
	}
	from := 0
	for i, c := range d.report.Corpora {
		to := ends[i]
		groups := d.rowsOf(from, to)
		from = to
		d.report.Corpora[i].Taken = takes[i]
		if takes[i] > 0 && len(groups) == 0 {
			return fmt.Errorf("%s: no row is left to learn from", c.Path)
		}
		for range takes[i] / max(1, len(groups)) {
			for _, g := range groups {
				d.draws = append(d.draws, g...)
			}
		}
		rest := takes[i] % max(1, len(groups))
		if rest == 0 {
			continue
		}
		// In order of the file: shuffling is the plan's affair.
		chosen := make([]bool, len(groups))
		for _, g := range rng.New(seed, "mixture", strconv.Itoa(i)).Perm(len(groups))[:rest] {
			chosen[g] = true
		}
		for g, yes := range chosen {
			if yes {
				d.draws = append(d.draws, groups[g]...)
			}
		}
	}
	if len(d.draws) == 0 {
		return fmt.Errorf("the mixture takes no row: raise rows, repeat or weight")
	}
	return nil
}

// rowsOf groups the examples from … to−1 by their row.
func (d *Dataset) rowsOf(from, to int) [][]int32 {
	var groups [][]int32
	for i := from; i < to; i++ {
		if i == from || d.spans[i].row != d.spans[i-1].row {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], int32(i))
	}
	return groups
}

// takes returns how many rows of each corpus an epoch takes.
func (d *Dataset) takes(corpora []Corpus) ([]int, error) {
	takes := make([]int, len(corpora))
	var err error
	take := func(i int, rows float64) {
		switch {
		case math.IsNaN(rows): // a share of nothing
			err = cmp.Or(err, fmt.Errorf("%s: no row is left to learn from", corpora[i].Path))
		case rows > math.MaxInt32:
			err = cmp.Or(err, fmt.Errorf("%s: %g rows of an epoch are too many", corpora[i].Path, rows))
		default:
			takes[i] = int(math.Round(rows))
		}
	}
	var weights float64
	var weighted int    // rows of the corpora that have a weight
	var own, replay int // rows taken of the corpora that are no replay, and all rows of those that are
	for i, c := range corpora {
		kept := d.report.Corpora[i].Kept
		switch set := count(c.Rows != 0, c.Repeat != 0, c.Weight != 0, c.Replay != 0); {
		case set > 1:
			return nil, fmt.Errorf("%s: rows, repeat, weight and replay are ways to say how much is taken: give one", c.Path)
		case c.Rows < 0 || !(c.Repeat >= 0) || !(c.Weight >= 0) || !(c.Replay >= 0) || math.IsInf(c.Repeat+c.Weight+c.Replay, 1):
			return nil, fmt.Errorf("%s: rows (%d), repeat (%g), weight (%g) and replay (%g) must be numbers that are not negative", c.Path, c.Rows, c.Repeat, c.Weight, c.Replay)
		case c.Replay > 0:
			replay += kept
		case c.Rows > 0:
			take(i, float64(c.Rows))
		case c.Repeat > 0:
			take(i, c.Repeat*float64(kept))
		case c.Weight > 0:
			weights += c.Weight
			weighted += kept
		default:
			takes[i] = kept
		}
	}
	for i, c := range corpora {
		if c.Weight > 0 {
			take(i, c.Weight/weights*float64(weighted))
		}
		if c.Replay == 0 {
			own += takes[i]
		}
	}
	for i, c := range corpora {
		if c.Replay > 0 {
			take(i, c.Replay*float64(own)*float64(d.report.Corpora[i].Kept)/float64(replay))
		}
	}
	return takes, err
}

func count(set ...bool) int {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n
}
