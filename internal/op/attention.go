package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type attention struct {
	kernel.AttentionShape
	arithmetic kernel.Arithmetic
}

type attentionBackward attention

// Attention is causal attention with grouped queries: q is [N, Heads·HeadDim],
// k and v are [N, KVHeads·HeadDim], all with positions already rotated in, and
// N = B·T. Token t of a row attends to tokens t − positions[t] … t of its row,
// which keeps the segments of a packed row apart, or to the last s.Window of them. The result is
// [N, Heads·HeadDim]. No T×T matrix is held (Dao et al. 2022, arXiv:2205.14135). In
// [kernel.BF16] softmax and its sums are float32.
func Attention(q, k, v, positions *gorgonia.Node, s kernel.AttentionShape, how kernel.Arithmetic) (*gorgonia.Node, error) {
	c := shapes{op: "attention"}
	attentionShapes(&c, q, k, v, positions, s)
	if c.err != nil {
		return nil, c.err
	}
	return applyOne(attention{s, how}, q, k, v, positions)
}

func attentionShapes(c *shapes, q, k, v, positions *gorgonia.Node, s kernel.AttentionShape) {
	if s.Window < 0 {
		c.fail("a window of %d tokens", s.Window)
	}
	if s.B < 1 || s.T < 1 || s.HeadDim < 1 || s.KVHeads < 1 || s.Heads < 1 || s.Heads%s.KVHeads != 0 {
		c.fail("%d query heads cannot share %d key heads of width %d in %d rows of %d tokens",
			s.Heads, s.KVHeads, s.HeadDim, s.B, s.T)
	}
	n, qc := c.matrix("q", q)
	kn, kc := c.matrix("k", k)
	vn, vc := c.matrix("v", v)
	c.equal("rows of q", n, s.B*s.T)
	c.equal("rows of k", kn, n)
	c.equal("rows of v", vn, n)
	c.equal("columns of q", qc, s.Heads*s.HeadDim)
	c.equal("columns of k", kc, s.KVHeads*s.HeadDim)
	c.equal("columns of v", vc, kc)
	c.ints("positions", positions, n)
}

func (attention) Name() string { return "attention" }

// The second output is the log-sum-exp of every token and head, kept for the
// backward operator. In bf16 it is followed by the result, q, k and v, rounded, which take
// half of the memory that they take themselves.
func (k attention) Outputs() []Output {
	n := k.B * k.T
	out := []Output{{Shape: tensor.Shape{n, k.Heads * k.HeadDim}}, {Shape: tensor.Shape{n, k.Heads}}}
	if k.arithmetic == kernel.BF16 {
		out = append(out, Output{Shape: tensor.Shape{kernel.AttentionRounded(k.AttentionShape)}})
	}
	return out
}

func (k attention) Scratch(alive []bool) int {
	size := 0
	for i, o := range k.Outputs() {
		size += o.Size() * count(i > 0 && !alive[i])
	}
	return size
}

func (k attention) Run(c *Call) error {
	if err := causal(c.In[3].I, k.T); err != nil {
		return err
	}
	lse, rest := orScratch(c.Out[1], c.Scratch, k.B*k.T*k.Heads)
	q, keys, values, positions := c.In[0].F, c.In[1].F, c.In[2].F, c.In[3].I
	if k.arithmetic == kernel.BF16 {
		rounded, _ := orScratch(c.Out[2], rest, kernel.AttentionRounded(k.AttentionShape))
		kernel.AttentionBF16(c.Team, c.Out[0], lse, rounded, q, keys, values, positions, k.AttentionShape)
	} else {
		kernel.Attention(c.Team, c.Out[0], lse, q, keys, values, positions, k.AttentionShape)
	}
	return nil
}

func (attention) inputs() []bool { return []bool{true, true, true, false} }

func (k attention) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	in := []*gorgonia.Node{dy, a.out[1], a.in[3]}
	if k.arithmetic == kernel.BF16 {
		in = append(in, a.out[2])
	} else {
		in = append(in, a.out[0], a.in[0], a.in[1], a.in[2])
	}
	d, err := applyBackward(attentionBackward(k), in...)
	if err != nil {
		return nil, err
	}
	return append(append([]*gorgonia.Node(nil), d.out...), nil), nil
}

func (attentionBackward) Name() string { return "attention backward" }

// The outputs are dq, dk and dv.
func (k attentionBackward) Outputs() []Output {
	q := tensor.Shape{k.B * k.T, k.Heads * k.HeadDim}
	kv := tensor.Shape{k.B * k.T, k.KVHeads * k.HeadDim}
	return []Output{{Shape: q}, {Shape: kv}, {Shape: kv.Clone()}}
}

func (k attentionBackward) Scratch(alive []bool) int {
	size := kernel.AttentionScratch(k.AttentionShape)
	for i, o := range k.Outputs() {
		size += o.Size() * count(!alive[i])
	}
	return size
}

func (k attentionBackward) Run(c *Call) error {
	q, kv := k.B*k.T*k.Heads*k.HeadDim, k.B*k.T*k.KVHeads*k.HeadDim
	rest := c.Scratch
	dq, rest := orScratch(c.Out[0], rest, q)
	dk, rest := orScratch(c.Out[1], rest, kv)
	dv, rest := orScratch(c.Out[2], rest, kv)
	dy, lse, positions, in := c.In[0].F, c.In[1].F, c.In[2].I, c.In[3:]
	if k.arithmetic == kernel.BF16 {
		kernel.AttentionBackwardBF16(c.Team, dq, dk, dv, dy, lse, in[0].F, positions, k.AttentionShape)
	} else {
		kernel.AttentionBackward(c.Team, dq, dk, dv, dy, in[0].F, lse, in[1].F, in[2].F, in[3].F, positions, k.AttentionShape, rest)
	}
	return nil
}

// orScratch returns out, or the first n floats of scratch if nobody asked for
// it, and what is left of scratch.
func orScratch(out, scratch []float32, n int) (memory, rest []float32) {
	if out != nil {
		return out, scratch
	}
	return scratch[:n], scratch[n:]
}

// causal makes sure that no token attends to what is before its row.
func causal(positions []int32, length int) error {
	for i, p := range positions {
		if t := i % length; p < 0 || int(p) > t {
			return fmt.Errorf("position %d of token %d in a row is outside 0…%d", p, t, t)
		}
	}
	return nil
}
