package op

import (
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type doraLinear struct {
	loraLinear
	lengths *rowLengths
}

type doraBackward doraLinear

// DoRALinear is a linear layer whose adapted weight has rows of the lengths m (DoRA,
// Liu et al. 2024, arXiv:2402.09353): with V = weight + scale·b·a, stored as [out, in],
//
//	y = m/‖V‖ ∘ (x·Vᵀ) + bias
//
// where ‖V‖ [out] are the Euclidean lengths of V's rows, which count as constants when
// it is differentiated (section 4.3 of the paper), m is [out], and the rest is as in
// [LoRALinear]. The weight has no gradient. With dropout PEFT drops inside of what the
// adapter changes, and so do we:
//
//	y = x·weightᵀ + bias + (m/‖V‖ − 1) ∘ (drop(x)·weightᵀ) + m/‖V‖ ∘ (scale·(drop(x)·aᵀ)·bᵀ)
//
// The lengths are sums of float64 in the order of the columns, of elements of V in
// float32. Those of a frozen weight are kept until a or b are others.
func DoRALinear(x *gorgonia.Node, weight Weight, bias, a, b, m *gorgonia.Node, scale float64, drop *Dropout) (*gorgonia.Node, error) {
	s := shapes{op: "dora linear"}
	l, inputs := newLoRALinear(&s, x, weight, a, b, scale)
	k := doraLinear{loraLinear: l}
	s.vector("m", m, k.out)
	inputs = append(inputs, m)
	k.addBias(&s, bias, &inputs)
	k.addDropout(&s, drop, &inputs)
	if s.err != nil {
		return nil, s.err
	}
	k.lengths = newRowLengths(k.product, k.rank, k.scale)
	y, err := apply(k, inputs...)
	if err != nil {
		return nil, err
	}
	return y.out[0], nil
}

func (doraLinear) Name() string { return "dora linear" }

// m is the index of the input m; b and a stand before it, the bias after it.
func (k doraLinear) m() int { return k.a() + 2 }

// The outputs after the first are kept for the backward operator: u as in LoRALinear,
// h = drop(x)·Vᵀ and ‖V‖.
func (k doraLinear) Outputs() []Output {
	return []Output{
		{Shape: tensor.Shape{k.n, k.out}, Adds: true}, {Shape: tensor.Shape{k.n, k.rank}},
		{Shape: tensor.Shape{k.n, k.out}}, {Shape: tensor.Shape{k.out}},
	}
}

func (k doraLinear) Scratch(alive []bool) int {
	n := k.dropped() + k.lengths.scratch()
	for i, o := range k.Outputs() {
		n += o.Size() * count(i > 0 && !alive[i])
	}
	return n
}

func (k doraLinear) Run(c *Call) error {
	rest := c.Scratch
	take := func(n int) []float32 {
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	kept := func(i, n int) []float32 {
		if c.Out[i] != nil {
			return c.Out[i]
		}
		return take(n)
	}
	x, a, b, m := c.In[0].F, c.In[k.a()].F, c.In[k.a()+1].F, c.In[k.m()].F
	u, h, norms := kept(1, k.n*k.rank), kept(2, k.n*k.out), kept(3, k.out)
	k.lengths.of(c.Team, norms, k.product.of(c, 1), a, b, take(k.lengths.scratch()))
	xd := x
	if k.p > 0 {
		xd = take(k.n * k.in)
		kernel.Dropout(c.Team, xd, x, k.key(c), k.p, false)
	}
	um := matrix(u, k.n, k.rank)
	kernel.MatMulNT(c.Team, um, matrix(xd, k.n, k.in), matrix(a, k.rank, k.in), false)
	kernel.Scale(c.Team, u, u, k.scale, false)
	k.forward(c, h, xd, k.product.of(c, 1), false)
	kernel.MatMulNT(c.Team, matrix(h, k.n, k.out), um, matrix(b, k.out, k.rank), true)
	y := c.Out[0]
	if y == nil {
		return nil
	}
	add := c.Add[0]
	if k.bias {
		addRows(c, y, c.In[k.m()+1].F, k.n, k.out, add)
		add = true
	}
	if k.p > 0 { // x·Wᵀ of what was dropped, which the adapter leaves as it is
		kernel.Scale(c.Team, xd, xd, -1, false)
		kernel.AddTo(c.Team, xd, x)
		k.forward(c, y, xd, k.product.of(c, 1), add)
		add = true
	}
	scaleRows(y, h, m, norms, add)
	return nil
}

// scaleRows sets each row of y to m/norms ∘ the row of h, or adds that.
func scaleRows(y, h, m, norms []float32, add bool) {
	for i := 0; i < len(h); i += len(m) {
		row := y[i : i+len(m)]
		for j, v := range h[i : i+len(m)] {
			v = float32(m[j] / norms[j] * v)
			if add {
				v += row[j]
			}
			row[j] = v
		}
	}
}

func (k doraLinear) inputs() []bool {
	diff := []bool{true}
	if k.frozen == nil {
		diff = append(diff, false)
	}
	diff = append(diff, true, true, true)
	if k.bias {
		diff = append(diff, true)
	}
	if k.p > 0 {
		diff = append(diff, false)
	}
	return diff
}

func (k doraLinear) gradient(a *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	in := append([]*gorgonia.Node{dy}, a.in[:k.m()+1]...)
	in = append(in, a.out[1:]...)
	if k.p > 0 {
		in = append(in, a.in[len(a.in)-1])
	}
	d, err := applyBackward(doraBackward(k), in...)
	if err != nil {
		return nil, err
	}
	grads := slices.Clone(d.out)
	if k.frozen == nil {
		grads = slices.Insert(grads, 1, nil)
	}
	if k.p > 0 {
		grads = append(grads, nil)
	}
	return grads, nil
}

func (doraBackward) Name() string { return "dora linear backward" }

// a is the index of the input a; b, m, u, h, ‖V‖ and the key of the dropout follow.
func (k doraBackward) a() int { return 2 + k.factor.inputs() }

// With g = m/‖V‖ ∘ dy and du = scale·g·b the outputs are
//
//	dx = g·W + du·a, or dy·W + drop((g − dy)·W + du·a) with dropout,
//	da = duᵀ·drop(x), db = gᵀ·u, dm = Σ rows of dy∘h/‖V‖
//
// and dbias, the sum of the rows of dy.
func (k doraBackward) Outputs() []Output {
	a := k.a()
	b, m, u, h, norms, key := a+1, a+2, a+3, a+4, a+5, a+6
	out := []Output{
		{Shape: tensor.Shape{k.n, k.in}, Adds: true, Uses: []int{0, a, b, m, norms}},
		{Shape: tensor.Shape{k.rank, k.in}, Adds: true, Uses: []int{0, 1, b, m, norms}},
		{Shape: tensor.Shape{k.out, k.rank}, Adds: true, Uses: []int{0, u, m, norms}},
		{Shape: tensor.Shape{k.out}, Adds: true, Uses: []int{0, h, norms}},
	}
	if k.frozen == nil {
		out[0].Uses = append(out[0].Uses, 2)
	}
	if k.p > 0 {
		out[0].Uses, out[1].Uses = append(out[0].Uses, key), append(out[1].Uses, key)
	}
	if k.bias {
		out = append(out, Output{Shape: tensor.Shape{k.out}, Adds: true, Uses: []int{0}})
	}
	return out
}

func (k doraBackward) Scratch([]bool) int {
	return k.n*k.out + k.n*k.rank + doraLinear(k).dropped()
}

func (k doraBackward) Run(c *Call) error {
	dx, da, db, dm := c.Out[0], c.Out[1], c.Out[2], c.Out[3]
	dy, x, a := c.In[0].F, c.In[1].F, k.a()
	g, du := c.Scratch[:k.n*k.out], matrix(c.Scratch[k.n*k.out:][:k.n*k.rank], k.n, k.rank)
	wide := c.Scratch[k.n*(k.out+k.rank):]
	gm := matrix(g, k.n, k.out)
	if dx != nil || da != nil || db != nil {
		scaleRows(g, dy, c.In[a+2].F, c.In[a+5].F, false)
	}
	if dx != nil || da != nil {
		kernel.MatMulNN(c.Team, du, gm, matrix(c.In[a+1].F, k.out, k.rank), false)
		kernel.Scale(c.Team, du.Data, du.Data, k.scale, false)
	}
	if da != nil {
		if k.p > 0 {
			kernel.Dropout(c.Team, wide, x, doraLinear(k).key(c), k.p, false)
			x = wide
		}
		kernel.MatMulTN(c.Team, matrix(da, k.rank, k.in), du, matrix(x, k.n, k.in), c.Add[1])
	}
	if db != nil {
		kernel.MatMulTN(c.Team, matrix(db, k.out, k.rank), gm, matrix(c.In[a+3].F, k.n, k.rank), c.Add[2])
	}
	if dm != nil {
		sumProducts(dm, dy, c.In[a+4].F, c.In[a+5].F, c.Add[3])
	}
	if dx != nil { // last, since it changes g
		am := matrix(c.In[a].F, k.rank, k.in)
		if k.p == 0 {
			k.product.dx(c, dx, g, k.product.of(c, 2), c.Add[0])
			kernel.MatMulNN(c.Team, matrix(dx, k.n, k.in), du, am, true)
		} else {
			k.product.dx(c, dx, dy, k.product.of(c, 2), c.Add[0])
			kernel.Scale(c.Team, g, dy, -1, true)
			k.product.dx(c, wide, g, k.product.of(c, 2), false)
			kernel.MatMulNN(c.Team, matrix(wide, k.n, k.in), du, am, true)
			kernel.Dropout(c.Team, dx, wide, doraLinear(k).key(c), k.p, true)
		}
	}
	if k.bias && c.Out[4] != nil {
		sumRows(c, c.Out[4], dy, k.n, k.out, c.Add[4])
	}
	return nil
}

// sumProducts sets sum to Σ rows of x∘y/norms, row after row, or adds that.
func sumProducts(sum, x, y, norms []float32, add bool) {
	if !add {
		clear(sum)
	}
	for i := 0; i < len(x); i += len(sum) {
		row := y[i : i+len(sum)]
		for j, v := range x[i : i+len(sum)] {
			sum[j] += float32(v * row[j] / norms[j])
		}
	}
}

// rowLengths works out the lengths of the rows of W + scale·b·a.
type rowLengths struct {
	product
	rank  int
	scale float32
	sums  []float64 // of squares, of a Conv1D

	// Of a frozen weight, what the lengths were last worked out from.
	known   bool
	a, b    []float32
	lengths []float32
}

func newRowLengths(p product, rank int, scale float32) *rowLengths {
	l := &rowLengths{product: p, rank: rank, scale: scale}
	if p.conv {
		l.sums = make([]float64, p.out)
	}
	if p.frozen != nil {
		l.a, l.b, l.lengths = make([]float32, rank*p.in), make([]float32, p.out*rank), make([]float32, p.out)
	}
	return l
}

// lengthRows is the number of the weight's rows that are worked on at a time. It is
// even, so that two codes in a byte are not taken apart.
const lengthRows = 64

// scratch is room for rows of the weight and of b·a, and the transpose of b.
func (l *rowLengths) scratch() int {
	return 2*min(lengthRows, l.rows)*l.cols + l.out*l.rank*count(l.conv)
}

// of sets lengths to those for a [rank, in] and b [out, rank].
func (l *rowLengths) of(t *kernel.Team, lengths []float32, w kernel.Weights, a, b, scratch []float32) {
	if l.known && slices.Equal(a, l.a) && slices.Equal(b, l.b) {
		copy(lengths, l.lengths)
		return
	}
	size := min(lengthRows, l.rows) * l.cols
	sum, update, bt := scratch[:size], scratch[size:2*size], scratch[2*size:]
	if l.conv {
		clear(l.sums)
		for r := range l.rank {
			for o := range l.out {
				bt[r*l.out+o] = b[o*l.rank+r]
			}
		}
	}
	for row := 0; row < l.rows; row += lengthRows {
		n := min(lengthRows, l.rows-row)
		sum, update := sum[:n*l.cols], update[:n*l.cols]
		w.Widen(sum, row*l.cols)
		if l.conv {
			columns := kernel.Matrix{Data: a[row:], Rows: l.rank, Cols: n, Stride: l.in}
			kernel.MatMulTN(t, matrix(update, n, l.cols), columns, matrix(bt, l.rank, l.out), false)
		} else {
			kernel.MatMulNN(t, matrix(update, n, l.cols), matrix(b[row*l.rank:][:n*l.rank], n, l.rank), matrix(a, l.rank, l.in), false)
		}
		kernel.Scale(t, sum, update, l.scale, true)
		for i := range n {
			v := sum[i*l.cols : (i+1)*l.cols]
			if !l.conv {
				lengths[row+i] = float32(math.Sqrt(kernel.SumSquares(t, v)))
				continue
			}
			for o, x := range v { // the square of a float32 is exact in float64
				l.sums[o] += float64(x) * float64(x)
			}
		}
	}
	for o, s := range l.sums {
		lengths[o] = float32(math.Sqrt(s))
	}
	if l.frozen != nil {
		copy(l.a, a)
		copy(l.b, b)
		copy(l.lengths, lengths)
		l.known = true
	}
}

// RowLengths returns what [DoRALinear] divides by: the lengths of the rows of
// W + scale·b·a, where W is w, or its transpose for a Conv1D.
func RowLengths(w kernel.Weights, conv bool, a, b []float32, rank int, scale float64) []float32 {
	p := product{factor: factor{rows: w.Rows, cols: w.Cols}, in: w.Cols, out: w.Rows, conv: conv}
	if conv {
		p.in, p.out = w.Rows, w.Cols
	}
	l := newRowLengths(p, rank, float32(scale))
	lengths := make([]float32, p.out)
	l.of(nil, lengths, w, a, b, make([]float32, l.scratch()))
	return lengths
}
