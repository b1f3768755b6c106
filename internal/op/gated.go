package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// A gate is y = act(gate)·up and its gradients, by the kernels of one activation.
type gate struct {
	name     string
	forward  func(t *kernel.Team, y, gate, up []float32)
	backward func(t *kernel.Team, dgate, dup, dy, gate, up []float32, addG, addU bool)
}

type gated struct {
	noScratch
	*gate
	n, c int
}

type gatedBackward struct {
	*gate
	n, c int
}

// SwiGLU is y = gate·σ(gate)·up, element by element, for matrices of one shape
// (Shazeer 2020, arXiv:2002.05202).
func SwiGLU(gate, up *gorgonia.Node) (*gorgonia.Node, error) {
	return applyGate(swiGLU, gate, up)
}

var swiGLU = &gate{"swiglu", kernel.SwiGLU, kernel.SwiGLUBackward}

// GeGLU is y = gelu(gate)·up, element by element, for matrices of one shape, with GELU
// in one of its forms (Shazeer 2020, arXiv:2002.05202).
func GeGLU(gate, up *gorgonia.Node, form kernel.GELUForm) (*gorgonia.Node, error) {
	return applyGate(geGLU(form), gate, up)
}

func geGLU(form kernel.GELUForm) *gate {
	return &gate{
		"geglu",
		func(t *kernel.Team, y, gate, up []float32) { kernel.GeGLU(t, y, gate, up, form) },
		func(t *kernel.Team, dgate, dup, dy, gate, up []float32, addG, addU bool) {
			kernel.GeGLUBackward(t, dgate, dup, dy, gate, up, form, addG, addU)
		},
	}
}

func applyGate(by *gate, gate, up *gorgonia.Node) (*gorgonia.Node, error) {
	s := shapes{op: by.name}
	n, c := s.matrix("gate", gate)
	n2, c2 := s.matrix("up", up)
	s.equal("rows of up", n2, n)
	s.equal("columns of up", c2, c)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(gated{gate: by, n: n, c: c}, gate, up)
}

func (k gated) Name() string { return k.name }

func (k gated) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, InPlace: []int{0, 1}, Cheap: true}}
}

func (k gated) Run(c *Call) error {
	k.forward(c.Team, c.Out[0], c.In[0].F, c.In[1].F)
	return nil
}

func (gated) inputs() []bool { return []bool{true, true} }

func (k gated) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	d, err := applyBackward(gatedBackward{gate: k.gate, n: k.n, c: k.c}, dy, a.in[0], a.in[1])
	if err != nil {
		return nil, err
	}
	return d.out, nil
}

func (k gatedBackward) Name() string { return k.name + " backward" }

// The outputs are dgate and dup. Each element is read before it is written.
func (k gatedBackward) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{1, 0, 2}},
		{Shape: tensor.Shape{k.n, k.c}, Adds: true, InPlace: []int{2, 0, 1}},
	}
}

func (k gatedBackward) Scratch(alive []bool) int {
	return k.n * k.c * (count(!alive[0]) + count(!alive[1]))
}

func (k gatedBackward) Run(c *Call) error {
	dgate, rest := orScratch(c.Out[0], c.Scratch, k.n*k.c)
	dup, _ := orScratch(c.Out[1], rest, k.n*k.c)
	k.backward(c.Team, dgate, dup, c.In[0].F, c.In[1].F, c.In[2].F, c.Add[0], c.Add[1])
	return nil
}
