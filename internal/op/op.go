// Package op holds the operators of the models: one fused kernel, one gorgonia
// operator, one file, with forward and backward side by side.
//
// gorgonia keeps the graph and differentiates it; the numbers are computed by
// package kernel on plain slices. An operator is a [Kernel]: the shapes of its
// outputs and a Run that fills them. Applying a kernel to nodes gives one node
// for a kernel with one output. A kernel with several outputs gives a tuple
// node, which stands for all outputs laid end to end, and one projection node
// for each output; package exec gives every output its own memory and never
// builds the tuple, gorgonia's TapeMachine does.
//
// All floats are float32, all integers (ids, positions, targets, keys) int32.
package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// A Kernel is the numeric part of an operator, with all sizes fixed.
type Kernel interface {
	// Name is the operator's name in messages and profiles.
	Name() string
	// Outputs describes the results in order.
	Outputs() []Output
	// Scratch returns how many floats of working memory Run needs when only
	// the outputs marked in alive are asked for.
	Scratch(alive []bool) int
	// Run fills the outputs. It allocates nothing unless it fails.
	Run(c *Call) error
}

// An Output describes one result of a kernel.
type Output struct {
	Shape tensor.Shape // empty for a scalar
	// Adds says that Run can add the result into what the memory holds.
	Adds bool
	// InPlace lists inputs of the same size whose memory the result may take
	// over, in order of preference. It is not used together with adding.
	InPlace []int
	// Cheap says that making the output again costs less than keeping it, as
	// long as its inputs are kept anyway.
	Cheap bool
	// Uses lists the inputs the result depends on; nil stands for all.
	Uses []int
}

// Size returns the number of elements of the output.
func (o Output) Size() int {
	n := 1
	for _, d := range o.Shape {
		n *= d
	}
	return n
}

// A Call is what a kernel is run on.
type Call struct {
	Team *kernel.Team
	// In holds the inputs. One that no living output uses is empty.
	In []Input
	// Out holds the memory of the outputs; nil for one that nobody asked for.
	Out [][]float32
	// Add says for each output whether the result is added to what Out holds.
	Add []bool
	// Scratch is working memory with undefined content.
	Scratch []float32
}

// An Input is the value of one input: floats or integers.
type Input struct {
	F []float32
	I []int32
}

// A differentiable kernel knows how to make the operator of its gradient. Only
// the first output of a kernel has a gradient.
type differentiable interface {
	Kernel
	// inputs says which inputs have a gradient.
	inputs() []bool
	// gradient applies the backward operator. It returns one node for each
	// input; the node of an input without a gradient is nil.
	gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error)
}

// applied is a kernel applied to nodes.
type applied struct {
	in  []*gorgonia.Node
	out []*gorgonia.Node
}

// noScratch is embedded by kernels that need no working memory.
type noScratch struct{}

func (noScratch) Scratch([]bool) int { return 0 }

// matrix makes a row-major view of contiguous floats.
func matrix(data []float32, rows, cols int) kernel.Matrix {
	return kernel.Matrix{Data: data, Rows: rows, Cols: cols, Stride: cols}
}

// shapes checks the nodes that a constructor is given. The first mistake is
// kept in err.
type shapes struct {
	op  string
	err error
}

func (s *shapes) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %s", s.op, fmt.Sprintf(format, args...))
	}
}

func (s *shapes) node(what string, n *gorgonia.Node, of tensor.Dtype, dims int) tensor.Shape {
	switch {
	case s.err != nil:
	case n == nil:
		s.fail("%s is missing", what)
	case n.Dtype() != of:
		s.fail("%s (%s) holds %v, want %v", what, n.Name(), n.Dtype(), of)
	case n.Dims() != dims:
		s.fail("%s (%s) has shape %v, want %d dimensions", what, n.Name(), n.Shape(), dims)
	default:
		return n.Shape()
	}
	return make(tensor.Shape, dims)
}

// matrix checks for a float32 matrix and returns its rows and columns.
func (s *shapes) matrix(what string, n *gorgonia.Node) (rows, cols int) {
	shape := s.node(what, n, tensor.Float32, 2)
	if s.err == nil && shape.TotalSize() == 0 {
		s.fail("%s (%s) has shape %v and is empty", what, n.Name(), shape)
	}
	return shape[0], shape[1]
}

// vector checks for a float32 vector of a length.
func (s *shapes) vector(what string, n *gorgonia.Node, length int) {
	shape := s.node(what, n, tensor.Float32, 1)
	s.equal(what, shape[0], length)
}

// ints checks for an int32 vector of a length.
func (s *shapes) ints(what string, n *gorgonia.Node, length int) {
	shape := s.node(what, n, tensor.Int32, 1)
	s.equal(what, shape[0], length)
}

func (s *shapes) equal(what string, got, want int) {
	if s.err == nil && got != want {
		s.fail("%s is %d, want %d", what, got, want)
	}
}
