package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type linear struct {
	noScratch
	n, in, out int
	bias       bool
}

type linearBackward struct {
	noScratch
	n, in, out int
	bias       bool
}

// Linear is y = x·weightᵀ + bias with x [N, in], weight [out, in] as
// transformers stores it, and bias [out], which may be nil.
func Linear(x, weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "linear"}
	n, in := s.matrix("x", x)
	out, in2 := s.matrix("weight", weight)
	s.equal("columns of weight", in2, in)
	inputs := []*gorgonia.Node{x, weight}
	if bias != nil {
		s.vector("bias", bias, out)
		inputs = append(inputs, bias)
	}
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(linear{n: n, in: in, out: out, bias: bias != nil}, inputs...)
}

// Logits is Linear without bias: hidden [N, C] times weight [V, C] transposed.
func Logits(hidden, weight *gorgonia.Node) (*gorgonia.Node, error) {
	return Linear(hidden, weight, nil)
}

func (linear) Name() string { return "linear" }

func (k linear) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.out}, Adds: true}}
}

func (k linear) Run(c *Call) error {
	add := c.Add[0]
	if k.bias {
		addRows(c, c.Out[0], c.In[2].F, k.n, k.out, add)
		add = true
	}
	kernel.MatMulNT(c.Team, matrix(c.Out[0], k.n, k.out), matrix(c.In[0].F, k.n, k.in), matrix(c.In[1].F, k.out, k.in), add)
	return nil
}

func (k linear) inputs() []bool { return []bool{true, true, true}[:2+count(k.bias)] }

func (k linear) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(linearBackward(k), dy, a.in[0], a.in[1])
	if err != nil {
		return nil, err
	}
	return d.out[:len(a.in)], nil
}

func (linearBackward) Name() string { return "linear backward" }

// The outputs are dx = dy·W, dW = dyᵀ·x and dbias, the sum of the rows of dy.
func (k linearBackward) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n, k.in}, Adds: true, Uses: []int{0, 2}},
		{Shape: tensor.Shape{k.out, k.in}, Adds: true, Uses: []int{0, 1}},
		{Shape: tensor.Shape{k.out}, Adds: true, Uses: []int{0}},
	}[:2+count(k.bias)]
}

func (k linearBackward) Run(c *Call) error {
	dy := matrix(c.In[0].F, k.n, k.out)
	if dx := c.Out[0]; dx != nil {
		kernel.MatMulNN(c.Team, matrix(dx, k.n, k.in), dy, matrix(c.In[2].F, k.out, k.in), c.Add[0])
	}
	if dw := c.Out[1]; dw != nil {
		kernel.MatMulTN(c.Team, matrix(dw, k.out, k.in), dy, matrix(c.In[1].F, k.n, k.in), c.Add[1])
	}
	if k.bias && c.Out[2] != nil {
		sumRows(c, c.Out[2], c.In[0].F, k.n, k.out, c.Add[2])
	}
	return nil
}

// addRows sets every row of y to bias, or adds bias to it.
func addRows(c *Call, y, bias []float32, n, cols int, add bool) {
	for i := range n {
		row := y[i*cols : (i+1)*cols]
		if add {
			kernel.AddTo(c.Team, row, bias)
		} else {
			copy(row, bias)
		}
	}
}

// sumRows sums the rows of x, in order, into sum.
func sumRows(c *Call, sum, x []float32, n, cols int, add bool) {
	if !add {
		clear(sum)
	}
	for i := range n {
		kernel.AddTo(c.Team, sum, x[i*cols:(i+1)*cols])
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
