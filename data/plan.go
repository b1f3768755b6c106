package data

import (
	"fmt"
	"slices"
	"strconv"

	"gotune/internal/rng"
)

// BatchConfig says how examples are laid out in batches.
type BatchConfig struct {
	BatchSize         int // rows of a micro-batch, packed ones where Packing is set
	AccumulationSteps int // micro-batches of an optimizer step

	// Packing puts several examples into a row of at most the dataset's maximum
	// length, by best fit in order of falling length. They stay apart: positions
	// restart, and no token attends to another example.
	Packing bool
	// Shuffle draws a new order of the rows for each epoch, from Seed. Without
	// it rows come in file order (packed ones in order of their first example).
	Shuffle bool
	Seed    uint64
}

// Batches is a dataset laid out in rows. What the rows are is the same in every
// epoch; their order is the epoch's Plan.
type Batches struct {
	data   *Dataset
	config BatchConfig
	rows   [][]int32 // the examples of each row
}

// Batches lays out the dataset.
func (d *Dataset) Batches(c BatchConfig) (*Batches, error) {
	if c.BatchSize < 1 {
		return nil, fmt.Errorf("a batch of %d rows: there must be at least one", c.BatchSize)
	}
	if c.AccumulationSteps < 1 {
		return nil, fmt.Errorf("%d accumulation steps: there must be at least one", c.AccumulationSteps)
	}
	b := &Batches{data: d, config: c}
	if !c.Packing {
		one := make([]int32, d.Len())
		b.rows = make([][]int32, d.Len())
		for i := range one {
			one[i] = int32(i)
			b.rows[i] = one[i : i+1 : i+1]
		}
		return b, nil
	}
	lengths := make([]int, d.Len())
	for i, s := range d.spans {
		lengths[i] = s.end - s.start
	}
	b.rows = pack(lengths, d.maxLength)
	for _, row := range b.rows {
		slices.Sort(row)
	}
	slices.SortFunc(b.rows, func(x, y []int32) int { return int(x[0]) - int(y[0]) })
	return b, nil
}

// Rows returns the number of rows of an epoch: examples, or packed rows.
func (b *Batches) Rows() int { return len(b.rows) }

// Steps returns the number of optimizer steps of an epoch. Each epoch has the
// same number; the last step of an epoch may be short.
func (b *Batches) Steps() int {
	return ceil(ceil(len(b.rows), b.config.BatchSize), b.config.AccumulationSteps)
}

// Plan returns the order of an epoch, counted from 0. It depends on the
// dataset, the config and the epoch alone.
func (b *Batches) Plan(epoch int) *Plan {
	p := &Plan{Batches: b, order: make([]int32, len(b.rows))}
	for i := range p.order {
		p.order[i] = int32(i)
	}
	if b.config.Shuffle {
		for i, j := range rng.New(b.config.Seed, "shuffle", strconv.Itoa(epoch)).Perm(len(p.order)) {
			p.order[i] = int32(j)
		}
	}
	return p
}

// A Plan is one epoch: optimizer steps of one or more micro-batches each, all
// known before it starts.
type Plan struct {
	*Batches
	order []int32 // of the rows
}

// MicroBatches returns the number of micro-batches of a step. Only the last
// step of an epoch may have fewer than AccumulationSteps.
func (p *Plan) MicroBatches(step int) int {
	from, to := p.stepRows(step)
	return ceil(to-from, p.config.BatchSize)
}

// TargetTokens returns the number of tokens that all micro-batches of a step
// learn. The loss of the step is a sum divided by this, so that it does not
// matter how the step is split.
func (p *Plan) TargetTokens(step int) int {
	from, to := p.stepRows(step)
	n := 0
	for _, r := range p.order[from:to] {
		for _, e := range p.rows[r] {
			n += p.data.spans[e].targets
		}
	}
	return n
}

// Shape returns the rows and the length of a micro-batch: that of its longest
// row, rounded up to a multiple of 32 where the maximum length allows it.
func (p *Plan) Shape(step, micro int) (rows, length int) {
	from, to := p.microRows(step, micro)
	for _, r := range p.order[from:to] {
		n := 0
		for _, e := range p.rows[r] {
			n += p.data.spans[e].end - p.data.spans[e].start
		}
		length = max(length, n)
	}
	return to - from, min(roundUp(length), p.data.maxLength)
}

// Fill writes a micro-batch of a step into b, both counted from 0.
func (p *Plan) Fill(b *Batch, step, micro int) {
	rows, length := p.Shape(step, micro)
	b.reset(rows, length, p.data.pad)
	from, to := p.microRows(step, micro)
	for row, r := range p.order[from:to] {
		start := 0
		for _, e := range p.rows[r] {
			example := p.data.Example(int(e))
			b.put(example, int(e), row, start)
			start += len(example.IDs)
		}
	}
}

// stepRows returns the range of order that a step takes.
func (p *Plan) stepRows(step int) (from, to int) {
	size := p.config.BatchSize * p.config.AccumulationSteps
	if from = step * size; from < 0 || from >= len(p.order) {
		panic(fmt.Sprintf("data: step %d of %d", step, p.Steps()))
	}
	return from, min(from+size, len(p.order))
}

// microRows returns the range of order that a micro-batch takes.
func (p *Plan) microRows(step, micro int) (from, to int) {
	first, last := p.stepRows(step)
	if from = first + micro*p.config.BatchSize; from < first || from >= last {
		panic(fmt.Sprintf("data: micro-batch %d of %d", micro, p.MicroBatches(step)))
	}
	return from, min(from+p.config.BatchSize, last)
}

func ceil(n, d int) int { return (n + d - 1) / d }
