package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// A RoPETable holds cos and sin of position·frequency, [Positions, Dim/2] each.
type RoPETable struct {
	Cos, Sin       []float32
	Positions, Dim int
}

// NewRoPETable makes the table of rotary embeddings for a head of width dim:
// the frequency of pair i is base^(−2i/dim) (Su et al. 2021, arXiv:2104.09864).
// The angle is computed in float64 and differs from transformers, which
// multiplies in float32, by rounding.
func NewRoPETable(positions, dim int, base float64) (*RoPETable, error) {
	if positions < 1 || dim < 2 || dim%2 != 0 || !(base > 0) {
		return nil, fmt.Errorf("rope: cannot make a table of %d positions, width %d, base %g", positions, dim, base)
	}
	half := dim / 2
	t := &RoPETable{
		Cos: make([]float32, positions*half), Sin: make([]float32, positions*half),
		Positions: positions, Dim: dim,
	}
	for i := range half {
		frequency := math.Pow(base, -2*float64(i)/float64(dim))
		for p := range positions {
			sin, cos := math.Sincos(float64(p) * frequency)
			t.Cos[p*half+i], t.Sin[p*half+i] = float32(cos), float32(sin)
		}
	}
	return t, nil
}

type rope struct {
	noScratch
	n, heads int
	inverse  bool
	table    *RoPETable
}

// RoPE rotates pairs of each head by the angle of the token's position. x is
// [N, heads·Dim] and positions [N]; element i of a head is paired with i+Dim/2,
// as transformers does it.
func RoPE(x, positions *gorgonia.Node, table *RoPETable) (*gorgonia.Node, error) {
	s := shapes{op: "rope"}
	n, c := s.matrix("x", x)
	s.ints("positions", positions, n)
	if table == nil || len(table.Cos) != table.Positions*table.Dim/2 || len(table.Sin) != len(table.Cos) {
		s.fail("the table is missing or has the wrong size")
	} else if c%table.Dim != 0 {
		s.fail("the width %d of x is no multiple of the head's width %d", c, table.Dim)
	}
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(rope{n: n, heads: c / table.Dim, table: table}, x, positions)
}

func (k rope) Name() string {
	if k.inverse {
		return "rope backward"
	}
	return "rope"
}

func (k rope) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.heads * k.table.Dim}, Adds: true, InPlace: []int{0}}}
}

func (k rope) Run(c *Call) error {
	if err := inRange("position", c.In[1].I, k.table.Positions); err != nil {
		return err
	}
	kernel.RoPE(c.Team, c.Out[0], c.In[0].F, c.In[1].I, k.table.Cos, k.table.Sin,
		k.n, k.heads, k.table.Dim, k.inverse, c.Add[0])
	return nil
}

func (rope) inputs() []bool { return []bool{true, false} }

// gradient rotates back: a rotation's transpose is its inverse.
func (k rope) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	k.inverse = true
	d, err := applyBackward(k, dy, a.in[1])
	if err != nil {
		return nil, err
	}
	return []*gorgonia.Node{d.out[0], nil}, nil
}
