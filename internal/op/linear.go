package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// A product is what a linear layer multiplies: x [n, in] with a weight [out, in] as
// transformers' Linear stores it, or [in, out] as its Conv1D does.
type product struct {
	factor
	n, in, out int
	conv       bool
}

// newProduct reads the sizes from x and the weight.
func newProduct(s *shapes, x *gorgonia.Node, w Weight) product {
	p := product{conv: w.Conv1D}
	p.n, p.in = s.matrix("x", x)
	p.factor = w.factor(s, "weight")
	if p.conv {
		p.out = p.cols
		s.equal("rows of weight", p.rows, p.in)
	} else {
		p.out = p.rows
		s.equal("columns of weight", p.cols, p.in)
	}
	return p
}

// forward computes y = x·Wᵀ, or x·W of Conv1D.
func (p product) forward(c *Call, y, x []float32, w kernel.Weights, add bool) {
	multiply := kernel.ProductNT
	if p.conv {
		multiply = kernel.ProductNN
	}
	multiply(c.Team, p.arithmetic, matrix(y, p.n, p.out), matrix(x, p.n, p.in), w, add)
}

// dx computes dx = dy·W, or dy·Wᵀ of Conv1D.
func (p product) dx(c *Call, dx, dy []float32, w kernel.Weights, add bool) {
	multiply := kernel.ProductNN
	if p.conv {
		multiply = kernel.ProductNT
	}
	multiply(c.Team, p.arithmetic, matrix(dx, p.n, p.in), matrix(dy, p.n, p.out), w, add)
}

// dw computes dW = dyᵀ·x, or xᵀ·dy of Conv1D.
func (p product) dw(c *Call, dw, dy, x []float32, add bool) {
	if p.conv {
		dy, x = x, dy
	}
	kernel.ProductTN(c.Team, p.arithmetic, matrix(dw, p.rows, p.cols), matrix(dy, p.n, p.rows), kernel.Dense(x, p.n, p.cols), add)
}

type linear struct {
	noScratch
	product
	bias bool
}

type linearBackward linear

// Linear is y = x·weightᵀ + bias with x [N, in], weight [out, in] as
// transformers stores it, and bias [out], which may be nil; or y = x·weight + bias
// with a weight [in, out] of a Conv1D.
func Linear(x *gorgonia.Node, weight Weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: "linear"}
	k := linear{product: newProduct(&s, x, weight), bias: bias != nil}
	inputs := append([]*gorgonia.Node{x}, weight.nodes()...)
	if bias != nil {
		s.vector("bias", bias, k.out)
		inputs = append(inputs, bias)
	}
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(k, inputs...)
}

func (linear) Name() string { return "linear" }

func (k linear) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.out}, Adds: true}}
}

func (k linear) Run(c *Call) error {
	add := c.Add[0]
	if k.bias {
		addRows(c, c.Out[0], c.In[len(c.In)-1].F, k.n, k.out, add)
		add = true
	}
	k.forward(c, c.Out[0], c.In[0].F, k.of(c, 1), add)
	return nil
}

func (k linear) inputs() []bool { return []bool{true, true, true}[:1+k.factor.inputs()+count(k.bias)] }

func (k linear) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(linearBackward(k), append([]*gorgonia.Node{dy}, a.in[:1+k.factor.inputs()]...)...)
	if err != nil {
		return nil, err
	}
	if k.frozen != nil {
		return append(d.out[:1:1], d.out[2:]...), nil
	}
	return d.out, nil
}

func (linearBackward) Name() string { return "linear backward" }

// The outputs are dx, dW and dbias, the sum of the rows of dy. Nobody asks for the dW
// of a frozen weight.
func (k linearBackward) Outputs() []Output {
	out := []Output{
		{Shape: tensor.Shape{k.n, k.in}, Adds: true, Uses: []int{0, 2}},
		{Shape: k.shape(), Adds: true, Uses: []int{0, 1}},
		{Shape: tensor.Shape{k.out}, Adds: true, Uses: []int{0}},
	}[:2+count(k.bias)]
	if k.frozen != nil {
		out[0].Uses = []int{0}
	}
	return out
}

func (k linearBackward) Run(c *Call) error {
	if dx := c.Out[0]; dx != nil {
		k.dx(c, dx, c.In[0].F, k.of(c, 2), c.Add[0])
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
