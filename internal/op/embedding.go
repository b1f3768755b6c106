package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type embedding struct {
	noScratch
	table   factor
	n, c, v int
	what    string // the integers are, in messages
}

type embeddingBackward embedding

// Embedding looks up rows of a table: y[n] = table[ids[n]], with table [V, C]
// and ids [N]. The table may be trained.
func Embedding(table Weight, ids *gorgonia.Node) (*gorgonia.Node, error) {
	return lookUp("id", table, ids)
}

// PositionEmbedding looks up the learned vectors of positions: y[n] =
// table[positions[n]], with table [Positions, C] and positions [N].
func PositionEmbedding(table Weight, positions *gorgonia.Node) (*gorgonia.Node, error) {
	return lookUp("position", table, positions)
}

func lookUp(what string, table Weight, ids *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "embedding"}
	f := table.factor(&s, "table")
	n := s.node(what+"s", ids, tensor.Int32, 1)[0]
	if s.err != nil {
		return nil, s.err
	}
	k := embedding{table: f, n: n, c: f.cols, v: f.rows, what: what}
	return applyOne(k, append([]*gorgonia.Node{ids}, table.nodes()...)...)
}

func (embedding) Name() string { return "embedding" }

func (k embedding) Outputs() []Output { return []Output{{Shape: tensor.Shape{k.n, k.c}}} }

func (k embedding) Run(c *Call) error {
	if err := inRange(k.what, c.In[0].I, k.v); err != nil {
		return err
	}
	kernel.Embedding(c.Team, c.Out[0], k.table.of(c, 1), c.In[0].I, k.n)
	return nil
}

func (k embedding) inputs() []bool { return []bool{false, true}[:1+k.table.inputs()] }

func (k embedding) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	if k.table.frozen != nil {
		return []*gorgonia.Node{nil}, nil
	}
	d, err := applyBackward(embeddingBackward(k), dy, a.in[0])
	if err != nil {
		return nil, err
	}
	return []*gorgonia.Node{nil, d.out[0]}, nil
}

func (embeddingBackward) Name() string { return "embedding backward" }

func (k embeddingBackward) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.v, k.c}, Adds: true}}
}

func (k embeddingBackward) Run(c *Call) error {
	if err := inRange(k.what, c.In[1].I, k.v); err != nil {
		return err
	}
	if !c.Add[0] {
		clear(c.Out[0])
	}
	kernel.EmbeddingBackward(c.Team, c.Out[0], c.In[0].F, c.In[1].I, k.n, k.c)
	return nil
}

// inRange makes sure that 0 ≤ v < limit for all values.
func inRange(what string, values []int32, limit int) error {
	for i, v := range values {
		if v < 0 || int(v) >= limit {
			return fmt.Errorf("%s %d of token %d is outside 0…%d", what, v, i, limit-1)
		}
	}
	return nil
}
