package op

import (
	"fmt"
	"unsafe"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

// noTarget marks a token that is not to be learned, as in PyTorch.
const noTarget = -100

// chunkFloats bounds the logits that exist at a time.
const chunkFloats = 8 << 20

// chunkRows is the largest number of rows in a chunk. It changes no bit of the
// results: rows do not depend on each other, and sums over rows go on from chunk
// to chunk.
const chunkRows = 512

type crossEntropy struct {
	head    factor
	n, c, v int
	limit   float32 // of the logits; 0: none
}

// CrossEntropy is the head of a language model and its loss in one, with
// logits = hidden·weightᵀ for hidden [N, C] and weight [V, C]:
//
//	nll[n] = −log softmax(logits[n])[targets[n]]
//	loss   = scale·Σ weights[n]·nll[n]
//
// over the tokens whose target is not −100. scale is a leaf of one element. hit
// [N] is 1 where the target has the largest logit. nll and hit are 0 where there
// is no target.
//
// Only rows with a target are computed, a chunk at a time, so that no [N, V]
// matrix exists. The gradients of hidden and weight are made in the same pass
// over the logits, if somebody wants them, and kept until the backward pass.
func CrossEntropy(hidden *gorgonia.Node, weight Weight, targets, weights, scale *gorgonia.Node) (loss, nll, hit *gorgonia.Node, err error) {
	return CappedCrossEntropy(hidden, weight, 0, targets, weights, scale)
}

// CappedCrossEntropy is CrossEntropy with logits = limit·tanh(hidden·weightᵀ/limit), as
// Gemma 2 has them; a limit of 0 is none.
func CappedCrossEntropy(hidden *gorgonia.Node, weight Weight, limit float64, targets, weights, scale *gorgonia.Node) (loss, nll, hit *gorgonia.Node, err error) {
	s := shapes{op: "cross entropy"}
	n, c := s.matrix("hidden", hidden)
	head := weight.factor(&s, "weight")
	s.equal("columns of weight", head.cols, c)
	s.ints("targets", targets, n)
	s.vector("weights", weights, n)
	s.vector("scale", scale, 1)
	if !(limit >= 0) {
		s.fail("the limit of the logits is %g, want 0 for none or more", limit)
	}
	if s.err != nil {
		return nil, nil, nil, s.err
	}
	inputs := append([]*gorgonia.Node{hidden, targets, weights, scale}, weight.nodes()...)
	a, err := apply(crossEntropy{head: head, n: n, c: c, v: head.rows, limit: float32(limit)}, inputs...)
	if err != nil {
		return nil, nil, nil, err
	}
	return a.out[0], a.out[1], a.out[2], nil
}

func (crossEntropy) Name() string { return "cross entropy" }

// The outputs are loss, nll, hit, dhidden and dweight.
func (k crossEntropy) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{}},
		{Shape: tensor.Shape{k.n}},
		{Shape: tensor.Shape{k.n}},
		{Shape: tensor.Shape{k.n, k.c}},
		{Shape: tensor.Shape{k.v, k.c}, Adds: true},
	}
}

// LogitRows is the number of rows, of n, whose logits exist at a time in
// [CrossEntropy] over a vocabulary of v.
func LogitRows(n, v int) int { return min(n, chunkRows, max(16, chunkFloats/v/16*16)) }

func (k crossEntropy) chunk() int { return LogitRows(k.n, k.v) }

// A chunk needs the numbers of its rows and their targets, its rows of hidden,
// the gradients of these, logits, nll and hit, and the slopes of capped logits.
func (k crossEntropy) Scratch(alive []bool) int {
	slopes := k.v * count(k.limit > 0 && (alive[3] || alive[4]))
	return k.chunk() * (2 + k.c*(1+count(alive[3])) + k.v + slopes + 2)
}

func (k crossEntropy) Run(c *Call) error {
	targets := c.In[1].I
	for i, t := range targets {
		if t != noTarget && (t < 0 || int(t) >= k.v) {
			return fmt.Errorf("target %d at position %d is outside 0…%d and is not %d", t, i, k.v-1, noTarget)
		}
	}
	for _, out := range c.Out[:4] {
		clear(out)
	}
	if dw := c.Out[4]; dw != nil && !c.Add[4] {
		clear(dw)
	}
	sum := 0.0
	chunk := k.chunk()
	rows, wanted := asInts(c.Scratch[:chunk]), asInts(c.Scratch[chunk:2*chunk])
	for at := 0; at < k.n; {
		m := 0
		for ; at < k.n && m < chunk; at++ {
			if targets[at] != noTarget {
				rows[m], wanted[m] = int32(at), targets[at]
				m++
			}
		}
		if m > 0 {
			sum += k.rows(c, rows[:m], wanted[:m])
		}
	}
	if c.Out[0] != nil {
		c.Out[0][0] = float32(sum * float64(c.In[3].F[0]))
	}
	return nil
}

// rows computes one chunk and returns its sum of nll.
func (k crossEntropy) rows(c *Call, rows, targets []int32) (sum float64) {
	m, rest := len(rows), c.Scratch[2*k.chunk():]
	take := func(n int) []float32 {
		part := rest[:n]
		rest = rest[n:]
		return part
	}
	hidden, logits := take(m*k.c), take(m*k.v)
	nll, hit := take(m), take(m)
	for i, r := range rows {
		copy(hidden[i*k.c:(i+1)*k.c], c.In[0].F[int(r)*k.c:])
	}
	weight, l := k.head.of(c, 4), matrix(logits, m, k.v)
	kernel.ProductNT(c.Team, k.head.arithmetic, l, matrix(hidden, m, k.c), weight, false)
	var slopes []float32
	if k.limit > 0 {
		if c.Out[3] != nil || c.Out[4] != nil {
			slopes = take(m * k.v)
		}
		kernel.SoftCap(c.Team, logits, slopes, logits, k.limit)
	}
	kernel.SoftmaxNLL(c.Team, logits, nll, hit, targets, m, k.v, c.In[3].F[0])
	if slopes != nil {
		kernel.Multiply(c.Team, logits, logits, slopes)
	}
	for i, r := range rows {
		w := c.In[2].F[r]
		if w != 1 {
			row := logits[i*k.v : (i+1)*k.v]
			kernel.Scale(c.Team, row, row, w, false)
		}
		sum += float64(w) * float64(nll[i])
		if c.Out[1] != nil {
			c.Out[1][r] = nll[i]
		}
		if c.Out[2] != nil {
			c.Out[2][r] = hit[i]
		}
	}
	if dh := c.Out[3]; dh != nil {
		dhidden := take(m * k.c)
		kernel.ProductNN(c.Team, k.head.arithmetic, matrix(dhidden, m, k.c), l, weight, false)
		for i, r := range rows {
			copy(dh[int(r)*k.c:], dhidden[i*k.c:(i+1)*k.c])
		}
	}
	if dw := c.Out[4]; dw != nil {
		kernel.ProductTN(c.Team, k.head.arithmetic, matrix(dw, k.v, k.c), l, kernel.Dense(hidden, m, k.c), true)
	}
	return sum
}

// asInts uses working memory for integers.
func asInts(f []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(f))), len(f))
}

func (k crossEntropy) inputs() []bool {
	return []bool{true, false, false, false, true}[:4+k.head.inputs()]
}

// gradient hands out what the forward pass made. Differentiation starts from the
// constant 1; any other gradient of the loss multiplies it.
func (k crossEntropy) gradient(a *applied, dloss *gorgonia.Node) ([]*gorgonia.Node, error) {
	grads := []*gorgonia.Node{a.out[3], nil, nil, nil, a.out[4]}[:4+k.head.inputs()]
	if one, ok := Constant(dloss); ok && one == 1 {
		return grads, nil
	}
	for i, g := range grads {
		if g == nil {
			continue
		}
		d, err := applyBackward(times{shape: g.Shape()}, g, dloss)
		if err != nil {
			return nil, err
		}
		grads[i] = d.out[0]
	}
	return grads, nil
}

// times multiplies a matrix by a scalar.
type times struct {
	noScratch
	shape tensor.Shape
}

func (times) Name() string { return "times" }

func (k times) Outputs() []Output {
	return []Output{{Shape: k.shape, Adds: true, InPlace: []int{0}}}
}

func (times) Run(c *Call) error {
	kernel.Scale(c.Team, c.Out[0], c.In[0].F, c.In[1].F[0], c.Add[0])
	return nil
}
