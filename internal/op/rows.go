package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type rows struct {
	noScratch
	from, to, c int
}

// Rows takes rows from … to−1 of x [N, C]. Generation uses it to compute the
// logits of the last token alone. It has no gradient.
func Rows(x *gorgonia.Node, from, to int) (*gorgonia.Node, error) {
	s := shapes{op: "rows"}
	n, c := s.matrix("x", x)
	if s.err != nil {
		return nil, s.err
	}
	if from < 0 || to > n || from >= to {
		return nil, fmt.Errorf("rows: %d…%d of a matrix of %d rows", from, to-1, n)
	}
	return applyOne(rows{from: from, to: to, c: c}, x)
}

func (rows) Name() string { return "rows" }

func (k rows) Outputs() []Output { return []Output{{Shape: tensor.Shape{k.to - k.from, k.c}}} }

func (k rows) Run(c *Call) error {
	copy(c.Out[0], c.In[0].F[k.from*k.c:k.to*k.c])
	return nil
}
