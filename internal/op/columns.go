package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type columns struct {
	noScratch
	n, c     int // of x, each of its heads being a row
	heads    int
	from, to int
}

type columnsBackward columns

// Columns takes columns from … to−1 of x [N, C], such as the queries of a product
// that makes queries, keys and values at once.
func Columns(x *gorgonia.Node, from, to int) (*gorgonia.Node, error) {
	return ColumnsOfHeads(x, 1, from, to)
}

// ColumnsOfHeads takes columns from … to−1 of each head: x [N, heads·D] becomes
// [N, heads·(to−from)]. GPT-NeoX has queries, keys and values of a head beside each other.
func ColumnsOfHeads(x *gorgonia.Node, heads, from, to int) (*gorgonia.Node, error) {
	s := shapes{op: "columns"}
	n, c := s.matrix("x", x)
	if s.err == nil && (heads < 1 || c%heads != 0) {
		s.fail("the width %d of x is no multiple of %d heads", c, heads)
	}
	if s.err != nil {
		return nil, s.err
	}
	if c /= heads; from < 0 || to > c || from >= to {
		return nil, fmt.Errorf("columns: %d…%d of a matrix of %d columns", from, to-1, c)
	}
	return applyOne(columns{n: n * heads, c: c, heads: heads, from: from, to: to}, x)
}

func (columns) Name() string { return "columns" }

func (k columns) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n / k.heads, k.heads * (k.to - k.from)}, Adds: true, Cheap: true}}
}

func (k columns) Run(c *Call) error {
	kernel.Columns(c.Team, c.Out[0], k.to-k.from, c.In[0].F[k.from:], k.c, k.n, k.to-k.from, c.Add[0])
	return nil
}

func (columns) inputs() []bool { return []bool{true} }

func (k columns) gradient(_ *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(columnsBackward(k), dy)
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (columnsBackward) Name() string { return "columns backward" }

// The result is 0 outside the columns that were taken. Where it is added to what is
// there, the rest is left alone.
func (k columnsBackward) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n / k.heads, k.heads * k.c}, Adds: true}}
}

func (k columnsBackward) Run(c *Call) error {
	if !c.Add[0] {
		clear(c.Out[0])
	}
	kernel.Columns(c.Team, c.Out[0][k.from:], k.c, c.In[0].F, k.to-k.from, k.n, k.to-k.from, c.Add[0])
	return nil
}
