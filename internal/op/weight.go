package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// A Weight is the matrix of a linear layer, of the head or of the embedding: a
// node, which may be trained, or a frozen matrix in any storage, which is no part
// of the graph and has no gradient.
type Weight struct {
	Node   *gorgonia.Node
	Frozen *kernel.Weights
	// Conv1D says that a linear layer's weight is [in, out], as transformers stores it
	// for GPT-2, and not [out, in].
	Conv1D bool
	// Arithmetic is how products with the weight are made, and with its gradient.
	Arithmetic kernel.Arithmetic
}

// Leaf is the weight of a node, multiplied in float32.
func Leaf(n *gorgonia.Node) Weight { return Weight{Node: n} }

// matrix checks for a matrix and returns its rows and columns.
func (w Weight) matrix(s *shapes, what string) (rows, cols int) {
	if w.Frozen == nil {
		return s.matrix(what, w.Node)
	}
	if s.err == nil && w.Frozen.Len() == 0 {
		s.fail("%s is empty", what)
	}
	return w.Frozen.Rows, w.Frozen.Cols
}

// nodes returns the node as a list of inputs, which is empty if the weight is frozen.
func (w Weight) nodes() []*gorgonia.Node {
	if w.Frozen != nil {
		return nil
	}
	return []*gorgonia.Node{w.Node}
}

// A factor is a weight inside a kernel, whose matrix comes from an input of the
// kernel or is frozen.
type factor struct {
	rows, cols int
	frozen     *kernel.Weights
	arithmetic kernel.Arithmetic
}

func (w Weight) factor(s *shapes, what string) factor {
	f := factor{frozen: w.Frozen, arithmetic: w.Arithmetic}
	f.rows, f.cols = w.matrix(s, what)
	return f
}

// inputs is the number of inputs that the weight takes: one, or none if frozen.
func (f factor) inputs() int { return count(f.frozen == nil) }

// of returns the matrix, given the index that its input has if there is one.
func (f factor) of(c *Call, input int) kernel.Weights {
	if f.frozen != nil {
		return *f.frozen
	}
	return kernel.Dense(c.In[input].F, f.rows, f.cols)
}

// shape is that of the weight and its gradient.
func (f factor) shape() tensor.Shape { return tensor.Shape{f.rows, f.cols} }
