package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// A product is what a linear layer multiplies: x [n, in] with a weight [out, in] as
// transformers' Linear stores it, or [in, out] as its Conv1D does.
type product struct {
	n, in, out int
	conv       bool
}

// weight is the shape of the weight.
func (p product) weight() tensor.Shape {
	if p.conv {
		return tensor.Shape{p.in, p.out}
	}
	return tensor.Shape{p.out, p.in}
}

// check reads the sizes from x and the weight.
func (p *product) check(s *shapes, x, weight *gorgonia.Node) {
	p.n, p.in = s.matrix("x", x)
	rows, cols := s.matrix("weight", weight)
	if p.conv {
		p.out = cols
		s.equal("rows of weight", rows, p.in)
	} else {
		p.out = rows
		s.equal("columns of weight", cols, p.in)
	}
}

// forward computes y = x·Wᵀ, or x·W of Conv1D.
func (p product) forward(c *Call, y, x, w []float32, add bool) {
	ym, xm := matrix(y, p.n, p.out), matrix(x, p.n, p.in)
	if p.conv {
		kernel.MatMulNN(c.Team, ym, xm, matrix(w, p.in, p.out), add)
	} else {
		kernel.MatMulNT(c.Team, ym, xm, matrix(w, p.out, p.in), add)
	}
}

// dx computes dx = dy·W, or dy·Wᵀ of Conv1D.
func (p product) dx(c *Call, dx, dy, w []float32, add bool) {
	dxm, dym := matrix(dx, p.n, p.in), matrix(dy, p.n, p.out)
	if p.conv {
		kernel.MatMulNT(c.Team, dxm, dym, matrix(w, p.in, p.out), add)
	} else {
		kernel.MatMulNN(c.Team, dxm, dym, matrix(w, p.out, p.in), add)
	}
}

// dw computes dW = dyᵀ·x, or xᵀ·dy of Conv1D.
func (p product) dw(c *Call, dw, dy, x []float32, add bool) {
	dym, xm := matrix(dy, p.n, p.out), matrix(x, p.n, p.in)
	if p.conv {
		kernel.MatMulTN(c.Team, matrix(dw, p.in, p.out), xm, dym, add)
	} else {
		kernel.MatMulTN(c.Team, matrix(dw, p.out, p.in), dym, xm, add)
	}
}

type linear struct {
	noScratch
	product
	bias bool
}

type linearBackward linear

// Linear is y = x·weightᵀ + bias with x [N, in], weight [out, in] as
// transformers stores it, and bias [out], which may be nil.
func Linear(x, weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
	return newLinear(false, x, weight, bias)
}

// Conv1D is Linear with a weight [in, out], as transformers stores it for GPT-2:
// y = x·weight + bias.
func Conv1D(x, weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
	return newLinear(true, x, weight, bias)
}

func newLinear(conv bool, x, weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "linear"}
	k := linear{product: product{conv: conv}, bias: bias != nil}
	k.check(&s, x, weight)
	inputs := []*gorgonia.Node{x, weight}
	if bias != nil {
		s.vector("bias", bias, k.out)
		inputs = append(inputs, bias)
	}
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(k, inputs...)
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
	k.forward(c, c.Out[0], c.In[0].F, c.In[1].F, add)
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

// The outputs are dx, dW and dbias, the sum of the rows of dy.
func (k linearBackward) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n, k.in}, Adds: true, Uses: []int{0, 2}},
		{Shape: k.weight(), Adds: true, Uses: []int{0, 1}},
		{Shape: tensor.Shape{k.out}, Adds: true, Uses: []int{0}},
	}[:2+count(k.bias)]
}

func (k linearBackward) Run(c *Call) error {
	if dx := c.Out[0]; dx != nil {
		k.dx(c, dx, c.In[0].F, c.In[2].F, c.Add[0])
	}
	if dw := c.Out[1]; dw != nil {
		k.dw(c, dw, c.In[0].F, c.In[1].F, c.Add[1])
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
