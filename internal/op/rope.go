package op

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// A RoPETable holds the cosines and sines of position·frequency for heads of a width,
// times a factor. It may have several sets of frequencies: row position·Sets + set
// belongs to a position turned by one of them. Rows are made when they are first asked
// for, so that a model of many positions costs no memory for those that no text reaches.
// It is safe for concurrent use.
type RoPETable struct {
	Positions, Head, Sets int
	// Interleaved pairs elements 2i and 2i + 1 of a head, in place of i and the one half
	// the turned elements further. It is set before the table is used.
	Interleaved bool

	turned      int // elements of a head, in pairs
	frequencies [][]float64
	factor      float64
	mu          sync.Mutex
	made        atomic.Pointer[angles]
}

// angles are the rows of a table that exist: [rows, turned/2] each.
type angles struct {
	cos, sin []float32
	rows     int
}

// NewRoPETable makes the table of rotary embeddings for heads of width head, of which
// the first 2·len(frequencies) elements are turned (Su et al. 2021, arXiv:2104.09864).
// Sets of frequencies have one length. The angle is computed in float64 and differs
// from transformers, which multiplies in float32, by rounding.
func NewRoPETable(positions, head int, factor float64, frequencies ...[]float64) (*RoPETable, error) {
	if len(frequencies) == 0 {
		return nil, errors.New("rope: there are no frequencies")
	}
	t := &RoPETable{
		Positions: positions, Head: head, Sets: len(frequencies),
		turned: 2 * len(frequencies[0]), frequencies: frequencies, factor: factor,
	}
	if positions < 1 || t.turned < 2 || t.turned > head || !(factor > 0) {
		return nil, fmt.Errorf("rope: cannot make a table of %d positions that turns %d of %d elements by a factor of %g", positions, t.turned, head, factor)
	}
	for _, set := range frequencies {
		if 2*len(set) != t.turned {
			return nil, fmt.Errorf("rope: sets of %d and %d frequencies", len(frequencies[0]), len(set))
		}
	}
	t.made.Store(&angles{})
	return t, nil
}

// upTo returns rows of the table, at least so many.
func (t *RoPETable) upTo(rows int) *angles {
	if a := t.made.Load(); a.rows >= rows {
		return a
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.made.Load()
	if old.rows >= rows {
		return old
	}
	half := t.turned / 2
	a := &angles{rows: min(max(64, 2*old.rows, rows), t.Positions*t.Sets)}
	a.cos, a.sin = make([]float32, a.rows*half), make([]float32, a.rows*half)
	copy(a.cos, old.cos)
	copy(a.sin, old.sin)
	for row := old.rows; row < a.rows; row++ {
		for i, frequency := range t.frequencies[row%t.Sets] {
			sin, cos := math.Sincos(float64(row/t.Sets) * frequency)
			a.cos[row*half+i], a.sin[row*half+i] = float32(cos*t.factor), float32(sin*t.factor)
		}
	}
	t.made.Store(a)
	return a
}

type rope struct {
	noScratch
	n, heads int
	inverse  bool
	table    *RoPETable
}

// RoPE rotates pairs of each head by the angles of a row of the table for each token,
// which is its position where the table has one set of frequencies. x is [N, heads·Head]
// and rows [N]; element i of a head is paired with the one half the turned elements
// further, as transformers does it for most models, or the table says otherwise; what is not turned stays as it is.
func RoPE(x, rows *gorgonia.Node, table *RoPETable) (*gorgonia.Node, error) {
	s := shapes{op: "rope"}
	n, c := s.matrix("x", x)
	s.ints("positions", rows, n)
	if table == nil {
		s.fail("the table is missing")
	} else if c%table.Head != 0 {
		s.fail("the width %d of x is no multiple of the head's width %d", c, table.Head)
	}
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(rope{n: n, heads: c / table.Head, table: table}, x, rows)
}

func (k rope) Name() string {
	if k.inverse {
		return "rope backward"
	}
	return "rope"
}

func (k rope) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.heads * k.table.Head}, Adds: true, InPlace: []int{0}}}
}

func (k rope) Run(c *Call) error {
	rows := c.In[1].I
	if err := inRange("position", rows, k.table.Positions*k.table.Sets); err != nil {
		return err
	}
	last := int32(0)
	for _, row := range rows {
		last = max(last, row)
	}
	a := k.table.upTo(int(last) + 1)
	turn := kernel.RoPE
	if k.table.Interleaved {
		turn = kernel.InterleavedRoPE
	}
	turn(c.Team, c.Out[0], c.In[0].F, rows, a.cos, a.sin,
		k.n, k.heads, k.table.Head, k.table.turned, k.inverse, c.Add[0])
	return nil
}

func (rope) inputs() []bool { return []bool{true, false} }

// gradient rotates back: a rotation's transpose is its inverse, and a factor is its own.
func (k rope) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	k.inverse = true
	d, err := applyBackward(k, dy, a.in[1])
	if err != nil {
		return nil, err
	}
	return []*gorgonia.Node{d.out[0], nil}, nil
}
