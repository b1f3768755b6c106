package op

import "gotune/internal/kernel"

// multiplies is a kernel whose work is products of matrices.
type multiplies interface {
	// flops returns the floating-point operations of a call's products.
	flops(c *Call) float64
}

// looksUp is a kernel that reads a part of its inputs.
type looksUp interface {
	// bytes returns what a call reads and writes.
	bytes(c *Call) float64
}

// holds is a kernel with a frozen matrix that is none of its inputs.
type holds interface {
	// frozenBytes returns the size of the matrix, 0 if it is an input.
	frozenBytes() float64
}

// Flops returns the floating-point operations that a call of a kernel does in
// products of matrices, where a multiply-add is two; 0 for kernels that only pass
// over memory.
func Flops(k Kernel, c *Call) float64 {
	if a, ok := k.(*Application); ok {
		k = a.Kernel
	}
	if m, ok := k.(multiplies); ok {
		return m.flops(c)
	}
	return 0
}

// Bytes returns the size of what a call reads and writes, each tensor once, and
// twice if it is added to.
func Bytes(k Kernel, c *Call) float64 {
	if a, ok := k.(*Application); ok {
		k = a.Kernel
	}
	if l, ok := k.(looksUp); ok {
		return l.bytes(c)
	}
	n, frozen := 0, 0.0
	if h, ok := k.(holds); ok {
		frozen = h.frozenBytes()
	}
	for _, in := range c.In {
		n += len(in.F) + len(in.I)
	}
	for i, out := range c.Out {
		n += len(out) * (1 + count(c.Add[i]))
	}
	return float64(4*n) + frozen
}

func (f factor) frozenBytes() float64 {
	if f.frozen == nil {
		return 0
	}
	return float64(f.frozen.Bytes())
}

func (k crossEntropy) frozenBytes() float64 { return k.head.frozenBytes() }

// asked counts the outputs that somebody asked for.
func asked(outputs ...[]float32) float64 {
	n := 0
	for _, out := range outputs {
		n += count(out != nil)
	}
	return float64(n)
}

// size is the number of operations of one product with the weight.
func (p product) size() float64 { return 2 * float64(p.n) * float64(p.in) * float64(p.out) }

func (k linear) flops(*Call) float64 { return k.size() }

func (k linearBackward) flops(c *Call) float64 { return k.size() * asked(c.Out[0], c.Out[1]) }

func (k loraLinear) thin(width int) float64 {
	return 2 * float64(k.n) * float64(k.rank) * float64(width)
}

func (k loraLinear) flops(c *Call) float64 {
	return k.thin(k.in) + asked(c.Out[0])*(k.size()+k.thin(k.out))
}

func (k loraBackward) flops(c *Call) float64 {
	dx, dw, da, db := c.Out[0], c.Out[1], c.Out[2], c.Out[3]
	in, out := loraLinear(k).thin(k.in), loraLinear(k).thin(k.out)
	total := k.size()*asked(dx, dw) + in*asked(dx, da) + out*asked(db)
	if dx != nil || da != nil {
		total += out
	}
	return total
}

// scores is the number of pairs of a query and a key that the causal mask and the
// segments leave, or the window, times the width of all query heads.
func scores(positions []int32, s kernel.AttentionShape) float64 {
	pairs := 0.0
	for _, p := range positions {
		seen := int(p) + 1
		if s.Window > 0 {
			seen = min(seen, s.Window)
		}
		pairs += float64(seen)
	}
	return pairs * float64(s.Heads*s.HeadDim)
}

func (k attention) flops(c *Call) float64 { return 4 * scores(c.In[3].I, k.AttentionShape) }

func (k attentionBackward) flops(c *Call) float64 { return 10 * scores(c.In[2].I, k.AttentionShape) }

// A look-up reads of its table the rows that it copies, and its gradient adds to
// them; the rest of the table is not touched.
func (k embedding) bytes(*Call) float64 { return float64(4 * k.n * (2*k.c + 1)) }

func (k embeddingBackward) bytes(c *Call) float64 {
	cleared := k.v * k.c * count(!c.Add[0])
	return float64(4 * (k.n*(3*k.c+1) + cleared))
}

func (k crossEntropy) flops(c *Call) float64 {
	return 2 * k.targets(c) * float64(k.c) * float64(k.v) * (1 + asked(c.Out[3], c.Out[4]))
}

// targets is the number of rows with a target.
func (k crossEntropy) targets(c *Call) float64 {
	n := 0
	for _, t := range c.In[1].I {
		n += count(t != noTarget)
	}
	return float64(n)
}
