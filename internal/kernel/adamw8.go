package kernel

import "math"

// Coded are numbers in one byte each: the codes of a dynamic code book, in blocks of
// which each has a scale.
type Coded struct {
	Codes  []byte
	Scales []float32 // of each block; the last block may be shorter
}

type adamw8Job struct {
	p, g      []float32
	m, v      Coded
	block     int
	constants adamwConstants
	beta1     float32
}

// AdamW8 is [AdamW] with moving averages that are kept in one byte for each element
// (Dettmers et al. 2022, 8-bit Optimizers via Block-wise Quantization, arXiv:2110.02861).
// A block of m is the values of the signed dynamic code book times the block's scale,
// one of v those of the unsigned one. A step widens a block, does
//
//	g' = gscale·g
//	p  = p·(1 − lr·decay)
//	m  = beta1·m + (1 − beta1)·g'
//	v  = beta2·v + (1 − beta2)·g'·g'
//	p  = p − (lr/bias1)·m/(√v/√bias2 + eps)
//
// and stores the averages again: the scale is the largest of a block without its sign,
// the code that of the value nearest to the element divided by the scale, the lower one
// between two. Order and rounding are those of AdamW8bit of bitsandbytes on a CPU, but
// that its sums may be fused.
func AdamW8(t *Team, p, g []float32, m, v Coded, block int, lr, beta1, beta2, eps, decay, bias1, bias2, gscale float64) {
	n := len(p)
	check(block > 0, "AdamW8: the block is empty")
	blocks := (n + block - 1) / block
	check(len(g) == n && len(m.Codes) == n && len(v.Codes) == n, "AdamW8 needs equal lengths")
	check(len(m.Scales) == blocks && len(v.Scales) == blocks, "AdamW8 needs a scale for each block")
	t = t.single()
	t.jobs.adamw8 = adamw8Job{p: p, g: g, m: m, v: v, block: block, beta1: float32(beta1), constants: adamwConstants{
		gscale:        float32(gscale),
		keep:          float32(1 - float64(lr*decay)),
		oneMinusBeta1: float32(1 - beta1),
		beta2:         float32(beta2),
		oneMinusBeta2: float32(1 - beta2),
		rootBias2:     float32(math.Sqrt(bias2)),
		eps:           float32(eps),
		step:          float32(lr / bias1),
	}}
	t.split(&t.jobs.adamw8, blocks, max(1, 1024/block))
}

func (j *adamw8Job) run(w *worker, lo, hi int) {
	both := grow(&w.moments, 2*j.block)
	for b := lo; b < hi; b++ {
		from, to := b*j.block, min((b+1)*j.block, len(j.p))
		m, v := both[:to-from], both[j.block:][:to-from]
		j.step(m, v, from, b)
		signed8.store(j.m.Codes[from:to], &j.m.Scales[b], m)
		unsigned8.store(j.v.Codes[from:to], &j.v.Scales[b], v)
	}
}

// step changes the parameters of a block, whose first is from, and leaves the averages
// in m and v.
func (j *adamw8Job) step(m, v []float32, from, block int) {
	c := &j.constants
	mScale, vScale := j.m.Scales[block], j.v.Scales[block]
	p, g := j.p[from:][:len(m)], j.g[from:][:len(m)]
	mCodes, vCodes := j.m.Codes[from:][:len(m)], j.v.Codes[from:][:len(m)]
	for i := range m {
		grad := float32(g[i] * c.gscale)
		x := float32(j.beta1*float32(signed8.values[mCodes[i]]*mScale)) + float32(c.oneMinusBeta1*grad)
		y := float32(c.beta2*float32(unsigned8.values[vCodes[i]]*vScale)) + float32(float32(c.oneMinusBeta2*grad)*grad)
		denominator := float32(float32(math.Sqrt(float64(y)))/c.rootBias2) + c.eps
		p[i] = float32(p[i]*c.keep) - float32(float32(c.step*x)/denominator)
		m[i], v[i] = x, y
	}
}

// store writes the codes and the scale of a block.
func (b *codebook) store(codes []byte, scale *float32, x []float32) {
	top := largest(x)
	*scale = top
	if top == 0 {
		zero := b.nearest(0)
		for i := range codes {
			codes[i] = zero
		}
		return
	}
	for i, v := range x {
		codes[i] = b.nearest(v / top)
	}
}
