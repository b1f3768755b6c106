package op

import (
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// Dropout sets elements to zero with probability P and divides the others by
// 1 − P. The mask is a function of Key, Stream and the element's index, so the
// backward pass and a recomputed forward pass see the same one. Key is an int32
// leaf of two elements, written anew for every micro-batch; Stream tells the
// places in a model apart.
type Dropout struct {
	P      float64
	Key    *gorgonia.Node
	Stream uint32
}

type loraLinear struct {
	product
	rank   int
	scale  float32
	bias   bool
	p      float32
	stream uint32
}

type loraBackward loraLinear

// LoRALinear is a linear layer with a low-rank adapter:
//
//	y = x·weightᵀ + bias + scale·(drop(x)·aᵀ)·bᵀ
//
// with x [N, in], weight and bias as in [Linear], a [R, in] and b [out, R] (Hu et
// al. 2021, arXiv:2106.09685). drop may be nil. The products with a and b are
// float32 in any arithmetic.
func LoRALinear(x *gorgonia.Node, weight Weight, bias, a, b *gorgonia.Node, scale float64, drop *Dropout) (*gorgonia.Node, error) {
	s := shapes{op: "lora linear"}
	k, inputs := newLoRALinear(&s, x, weight, a, b, scale)
	k.addBias(&s, bias, &inputs)
	k.addDropout(&s, drop, &inputs)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(k, inputs...)
}

// newLoRALinear reads the sizes and returns the inputs so far: x, the weight unless it
// is frozen, a and b.
func newLoRALinear(s *shapes, x *gorgonia.Node, weight Weight, a, b *gorgonia.Node, scale float64) (loraLinear, []*gorgonia.Node) {
	k := loraLinear{product: newProduct(s, x, weight), scale: float32(scale)}
	rank, in := s.matrix("a", a)
	out, rank2 := s.matrix("b", b)
	s.equal("columns of a", in, k.in)
	s.equal("rows of b", out, k.out)
	s.equal("columns of b", rank2, rank)
	k.rank = rank
	return k, append(append([]*gorgonia.Node{x}, weight.nodes()...), a, b)
}

// addBias takes a bias, which may be nil, for the next input.
func (k *loraLinear) addBias(s *shapes, bias *gorgonia.Node, inputs *[]*gorgonia.Node) {
	if bias == nil {
		return
	}
	s.vector("bias", bias, k.out)
	k.bias = true
	*inputs = append(*inputs, bias)
}

// addDropout takes the key of a dropout, which may be nil, for the next input.
func (k *loraLinear) addDropout(s *shapes, drop *Dropout, inputs *[]*gorgonia.Node) {
	if drop == nil || drop.P == 0 {
		return
	}
	s.ints("dropout key", drop.Key, 2)
	if !(drop.P > 0 && drop.P < 1) {
		s.fail("dropout is %g, want 0 ≤ p < 1", drop.P)
	}
	k.p, k.stream = float32(drop.P), drop.Stream
	*inputs = append(*inputs, drop.Key)
}

func (loraLinear) Name() string { return "lora linear" }

// a is the index of the input a; b and bias follow. The weight's is 1, if it has one.
func (k loraLinear) a() int { return 1 + k.factor.inputs() }

// The second output is u = scale·drop(x)·aᵀ, kept for the backward operator.
func (k loraLinear) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.out}, Adds: true}, {Shape: tensor.Shape{k.n, k.rank}}}
}

func (k loraLinear) Scratch(alive []bool) int {
	return k.dropped() + k.n*k.rank*count(!alive[1])
}

// dropped is the size of drop(x), which exists only with dropout.
func (k loraLinear) dropped() int { return k.n * k.in * count(k.p > 0) }

func (k loraLinear) key(c *Call) uint64 { return streamKey(c.In[len(c.In)-1].I, k.stream) }

// streamKey mixes the micro-batch's key with the place in the model (the finaliser
// is that of SplitMix64).
func streamKey(key []int32, stream uint32) uint64 {
	x := uint64(uint32(key[0])) | uint64(uint32(key[1]))<<32
	x += (uint64(stream) + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (k loraLinear) Run(c *Call) error {
	x, u := c.In[0].F, c.Out[1]
	xd, rest := x, c.Scratch
	if k.p > 0 {
		xd, rest = rest[:k.n*k.in], rest[k.n*k.in:]
		kernel.Dropout(c.Team, xd, x, k.key(c), k.p, false)
	}
	if u == nil {
		u = rest[:k.n*k.rank]
	}
	um := matrix(u, k.n, k.rank)
	kernel.MatMulNT(c.Team, um, matrix(xd, k.n, k.in), matrix(c.In[k.a()].F, k.rank, k.in), false)
	kernel.Scale(c.Team, u, u, k.scale, false)
	if c.Out[0] == nil {
		return nil
	}
	add := c.Add[0]
	if k.bias {
		addRows(c, c.Out[0], c.In[k.a()+2].F, k.n, k.out, add)
		add = true
	}
	k.forward(c, c.Out[0], x, k.of(c, 1), add)
	kernel.MatMulNT(c.Team, matrix(c.Out[0], k.n, k.out), um, matrix(c.In[k.a()+1].F, k.out, k.rank), true)
	return nil
}

func (k loraLinear) inputs() []bool {
	diff := []bool{true, true, true, true}[:3+k.factor.inputs()]
	if k.bias {
		diff = append(diff, true)
	}
	if k.p > 0 {
		diff = append(diff, false)
	}
	return diff
}

func (k loraLinear) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	in := append([]*gorgonia.Node{dy}, a.in[:k.a()+2]...)
	in = append(in, a.out[1])
	if k.p > 0 {
		in = append(in, a.in[len(a.in)-1])
	}
	d, err := applyBackward(loraBackward(k), in...)
	if err != nil {
		return nil, err
	}
	grads := slices.Clone(d.out)
	if k.frozen != nil {
		grads = slices.Delete(grads, 1, 2)
	}
	if k.p > 0 {
		grads = append(grads, nil)
	}
	return grads, nil
}

func (loraBackward) Name() string { return "lora linear backward" }

// a is the index of the input a; b, u and the key of the dropout follow. Those of
// dy, x and the weight, if it is an input, are 0, 1 and 2.
func (k loraBackward) a() int { return 2 + k.factor.inputs() }

// With du = scale·dy·b the outputs are
//
//	dx = dy·W + drop(du·a), dW = dyᵀ·x, da = duᵀ·drop(x), db = dyᵀ·u
//
// and dbias, the sum of the rows of dy. Nobody asks for the dW of a frozen weight.
func (k loraBackward) Outputs() []Output {
	a := k.a()
	b, u, key := a+1, a+2, a+3
	out := []Output{
		{Shape: tensor.Shape{k.n, k.in}, Adds: true, Uses: []int{0, a, b}},
		{Shape: k.shape(), Adds: true, Uses: []int{0, 1}},
		{Shape: tensor.Shape{k.rank, k.in}, Adds: true, Uses: []int{0, 1, b}},
		{Shape: tensor.Shape{k.out, k.rank}, Adds: true, Uses: []int{0, u}},
	}
	if k.frozen == nil {
		out[0].Uses = append(out[0].Uses, 2)
	}
	if k.p > 0 {
		out[0].Uses = append(out[0].Uses, key)
		out[2].Uses = append(out[2].Uses, key)
	}
	if k.bias {
		out = append(out, Output{Shape: tensor.Shape{k.out}, Adds: true, Uses: []int{0}})
	}
	return out
}

func (k loraBackward) Scratch([]bool) int { return k.n*k.rank + loraLinear(k).dropped() }

func (k loraBackward) Run(c *Call) error {
	dx, dw, da, db := c.Out[0], c.Out[1], c.Out[2], c.Out[3]
	dy, x := matrix(c.In[0].F, k.n, k.out), c.In[1].F
	du := matrix(c.Scratch[:k.n*k.rank], k.n, k.rank)
	wide := c.Scratch[k.n*k.rank:]
	if dx != nil || da != nil {
		kernel.MatMulNN(c.Team, du, dy, matrix(c.In[k.a()+1].F, k.out, k.rank), false)
		kernel.Scale(c.Team, du.Data, du.Data, k.scale, false)
	}
	if da != nil {
		if k.p > 0 {
			kernel.Dropout(c.Team, wide, x, loraLinear(k).key(c), k.p, false)
			x = wide
		}
		kernel.MatMulTN(c.Team, matrix(da, k.rank, k.in), du, matrix(x, k.n, k.in), c.Add[2])
	}
	if dx != nil {
		m, a := matrix(dx, k.n, k.in), matrix(c.In[k.a()].F, k.rank, k.in)
		k.product.dx(c, dx, c.In[0].F, k.of(c, 2), c.Add[0])
		if k.p > 0 {
			kernel.MatMulNN(c.Team, matrix(wide, k.n, k.in), du, a, false)
			kernel.Dropout(c.Team, dx, wide, loraLinear(k).key(c), k.p, true)
		} else {
			kernel.MatMulNN(c.Team, m, du, a, true)
		}
	}
	if dw != nil {
		k.product.dw(c, dw, c.In[0].F, c.In[1].F, c.Add[1])
	}
	if db != nil {
		kernel.MatMulTN(c.Team, matrix(db, k.out, k.rank), dy, matrix(c.In[k.a()+2].F, k.n, k.rank), c.Add[3])
	}
	if k.bias && c.Out[4] != nil {
		sumRows(c, c.Out[4], c.In[0].F, k.n, k.out, c.Add[4])
	}
	return nil
}
