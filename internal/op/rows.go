package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// noRow marks a row that is taken from nowhere.
const noRow = -1

type rows struct {
	noScratch
	n, m, c int
}

type rowsBackward rows

// Rows takes rows of x [N, C]: y[m] = x[index[m]], with index [M] of different
// numbers, or −1 for a row of zeros. A model uses it where only some tokens matter
// from some place on.
func Rows(x, index *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "rows"}
	n, c := s.matrix("x", x)
	m := s.node("index", index, tensor.Int32, 1)[0]
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(rows{n: n, m: m, c: c}, x, index)
}

func (rows) Name() string { return "rows" }

func (k rows) Outputs() []Output { return []Output{{Shape: tensor.Shape{k.m, k.c}, Cheap: true}} }

func (k rows) Run(c *Call) error {
	y, x := c.Out[0], c.In[0].F
	for m, i := range c.In[1].I {
		switch row := y[m*k.c : (m+1)*k.c]; {
		case i == noRow:
			clear(row)
		case i < 0 || int(i) >= k.n:
			return fmt.Errorf("row %d at position %d is outside 0…%d and is not %d", i, m, k.n-1, noRow)
		default:
			copy(row, x[int(i)*k.c:])
		}
	}
	return nil
}

func (rows) inputs() []bool { return []bool{true, false} }

func (k rows) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(rowsBackward(k), dy, a.in[1])
	if err != nil {
		return nil, err
	}
	return []*gorgonia.Node{d.out[0], nil}, nil
}

func (rowsBackward) Name() string { return "rows backward" }

func (k rowsBackward) Outputs() []Output { return []Output{{Shape: tensor.Shape{k.n, k.c}}} }

// Run puts each row back where it was taken from. The forward pass has checked the
// index.
func (k rowsBackward) Run(c *Call) error {
	dx, dy := c.Out[0], c.In[0].F
	clear(dx)
	for m, i := range c.In[1].I {
		if i != noRow {
			copy(dx[int(i)*k.c:], dy[m*k.c:(m+1)*k.c])
		}
	}
	return nil
}
