package data

import (
	"fmt"
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

// Batches lays out what an epoch takes of the dataset.
func (d *Dataset) Batches(c BatchConfig) (*Batches, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := &Batches{data: d, config: c}
	if !c.Packing {
		b.rows = make([][]int32, len(d.draws))
		for i := range d.draws {
			b.rows[i] = d.draws[i : i+1 : i+1]
		}
		return b, nil
	}
	lengths := make([]int, len(d.draws))
	for i, e := range d.draws {
		lengths[i] = d.spans[e].end - d.spans[e].start
	}
	b.rows = pack(lengths, d.maxLength)
	inOrder(b.rows)
	for _, row := range b.rows {
		for i, draw := range row {
			row[i] = d.draws[draw]
		}
	}
	return b, nil
}

// Split returns the same rows with another number of rows to a micro-batch, and of
// micro-batches to a step.
func (b *Batches) Split(size, accumulation int) *Batches {
	other := *b
	other.config.BatchSize, other.config.AccumulationSteps = size, accumulation
	return &other
}

func (c BatchConfig) check() error {
	if c.BatchSize < 1 {
		return fmt.Errorf("a batch of %d rows: there must be at least one", c.BatchSize)
	}
	if c.AccumulationSteps < 1 {
		return fmt.Errorf("%d accumulation steps: there must be at least one", c.AccumulationSteps)
	}
	return nil
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
	step  Step
}

// Step returns a step of the epoch, counted from 0. It is valid until the next
// call. Only the last step of an epoch may be short.
func (p *Plan) Step(n int) *Step {
	size := p.config.BatchSize * p.config.AccumulationSteps
	from := n * size
	if n < 0 || from >= len(p.order) {
		panic(fmt.Sprintf("data: step %d of %d", n, p.Steps()))
	}
	s := &p.step
	s.reset(p.config, p.data.maxLength, p.data.pad)
	for _, r := range p.order[from:min(from+size, len(p.order))] {
		s.begin()
		for _, e := range p.rows[r] {
			s.add(int(e), p.data.Example(int(e)))
		}
	}
	return s
}

func ceil(n, d int) int { return (n + d - 1) / d }
