package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// Sum is the kernel of Add and of the sums that gorgonia's Grad inserts. Package
// exec fuses it into the kernels that make its inputs where it can.
type Sum struct {
	noScratch
	shape tensor.Shape
}

// NewSum returns the kernel that adds two values of a shape.
func NewSum(shape tensor.Shape) Sum { return Sum{shape: shape} }

// Add is x + y for matrices of one shape.
func Add(x, y *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "add"}
	n, c := s.matrix("x", x)
	n2, c2 := s.matrix("y", y)
	s.equal("rows of y", n2, n)
	s.equal("columns of y", c2, c)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(Sum{shape: tensor.Shape{n, c}}, x, y)
}

// Name returns "add".
func (Sum) Name() string { return "add" }

// Outputs describes the sum, which may take over the memory of either side.
func (k Sum) Outputs() []Output {
	return []Output{{Shape: k.shape, InPlace: []int{0, 1}}}
}

// Run adds.
func (k Sum) Run(c *Call) error {
	kernel.Add(c.Team, c.Out[0], c.In[0].F, c.In[1].F)
	return nil
}

func (Sum) inputs() []bool { return []bool{true, true} }

func (Sum) gradient(_ *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	return []*gorgonia.Node{dy, dy}, nil
}

// Copy is the kernel that copies its input or adds it to its output. It has no
// constructor: package exec inserts it.
type Copy struct {
	noScratch
	shape tensor.Shape
}

// NewCopy returns the kernel that copies a value of a shape.
func NewCopy(shape tensor.Shape) Copy { return Copy{shape: shape} }

// Name returns "copy".
func (Copy) Name() string { return "copy" }

// Outputs describes the copy.
func (k Copy) Outputs() []Output { return []Output{{Shape: k.shape, Adds: true}} }

// Run copies or adds.
func (k Copy) Run(c *Call) error {
	if c.Add[0] {
		kernel.AddTo(c.Team, c.Out[0], c.In[0].F)
	} else {
		copy(c.Out[0], c.In[0].F)
	}
	return nil
}
