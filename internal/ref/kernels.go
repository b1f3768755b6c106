package ref

import "math"

// The functions of this file and of attention.go are the twins of package
// kernel's, without threads, blocks or packing: what they return is what every
// vector level must return, bit for bit.

// MatMul returns C = A·B, or old + A·B: each element one chain of fused
// multiply-adds in the order of k. a and b give the elements of the factors.
func MatMul(m, n, k int, a, b func(i, j int) float32, old []float32) []float32 {
	c := make([]float32, m*n)
	copy(c, old)
	for i := range m {
		for j := range n {
			for p := range k {
				c[i*n+j] = fma32(a(i, p), b(p, j), c[i*n+j])
			}
		}
	}
	return c
}

// MatMulBF16 returns C = A·B, or old + A·B, of factors that are rounded to bf16:
// each element one chain of fused multiply-adds over pairs of k, the second of a
// pair first. An odd k is followed by 0.
func MatMulBF16(m, n, k int, a, b func(i, j int) float32, old []float32) []float32 {
	other := func(p int) int { return p ^ 1 }
	left := func(i, p int) float32 {
		if p = other(p); p == k {
			return 0
		}
		return RoundBF16(a(i, p))
	}
	right := func(p, j int) float32 {
		if p = other(p); p == k {
			return 0
		}
		return RoundBF16(b(p, j))
	}
	return MatMul(m, n, k+k%2, left, right, old)
}

// MatMulTiles returns what tiles of AMX make of C = A·B, or old + A·B: both factors
// are rounded to bf16, and for each 32 of k the products of even and those of odd k are
// chains of fused multiply-adds from 0; their sum is added to the element (Intel's
// manual, TDPBF16PS).
func MatMulTiles(m, n, k int, a, b func(i, j int) float32, old []float32) []float32 {
	c := make([]float32, m*n)
	copy(c, old)
	for i := range m {
		for j := range n {
			for k0 := 0; k0 < k; k0 += 32 {
				var sum [2]float32
				for p := k0; p < min(k, k0+32); p++ {
					sum[p%2] = fma32(RoundBF16(a(i, p)), RoundBF16(b(p, j)), sum[p%2])
				}
				c[i*n+j] = add32(c[i*n+j], add32(sum[0], sum[1]))
			}
		}
	}
	return c
}

// RoundBF16 is the nearest number with eight significant bits, to even between
// two; subnormal numbers become 0.
func RoundBF16(x float32) float32 {
	v := float64(x)
	if math.IsNaN(v) || math.IsInf(v, 0) || x == 0 {
		return x
	}
	if math.Abs(v) < 0x1p-126 {
		return float32(math.Copysign(0, v))
	}
	fraction, exponent := math.Frexp(v)
	return float32(math.Ldexp(math.RoundToEven(fraction*256), exponent-8))
}

// plus returns old + v if add is set, else v.
func plus(add bool, old, v float32) float32 {
	if add {
		return add32(old, v)
	}
	return v
}

// Add is dst = a + b.
func Add(dst, a, b []float32) {
	for i := range dst {
		dst[i] = add32(a[i], b[i])
	}
}

// Scale is dst = s·x (+ dst).
func Scale(dst, x []float32, s float32, add bool) {
	for i := range dst {
		dst[i] = plus(add, dst[i], mul32(s, x[i]))
	}
}

// Dot is Σ x·y over 16 lanes.
func Dot(x, y []float32) float32 {
	var l lanes
	for i := range x {
		l[i%16] = fma32(x[i], y[i], l[i%16])
	}
	return l.fold()
}

// SumSquares is Σ x² in float64, in chunks of 16,384 elements.
func SumSquares(x []float32) (sum float64) {
	for len(x) > 0 {
		chunk := x[:min(1<<14, len(x))]
		x = x[len(chunk):]
		var l [16]float64
		for i, v := range chunk {
			l[i%16] += daz(v) * daz(v)
		}
		for half := 8; half > 0; half /= 2 {
			for i := range half {
				l[i] += l[i+half]
			}
		}
		sum += l[0]
	}
	return sum
}

// RMSNorm is y = x·inv·w with inv = 1/√(mean(x²) + eps).
func RMSNorm(y, inv, x, w []float32, n, c int, eps float32) {
	for i := range n {
		row := x[i*c : (i+1)*c]
		mean := Dot(row, row) / float32(c)
		inv[i] = 1 / float32(math.Sqrt(float64(mean+eps)))
		for j, v := range row {
			y[i*c+j] = mul32(mul32(v, inv[i]), w[j])
		}
	}
}

// RMSNormBackward is the backward pass of RMSNorm.
func RMSNormBackward(dx, dw, dy, x, w, inv []float32, n, c int, addDx, addDw bool) {
	if !addDw {
		clear(dw)
	}
	for i := range n {
		var l lanes
		for j := range c {
			at := i*c + j
			l[j%16] = fma32(mul32(dy[at], w[j]), x[at], l[j%16])
			dw[j] = fma32(dy[at], mul32(x[at], inv[i]), dw[j])
		}
		mean := l.fold() / float32(c)
		coefficient := inv[i] * inv[i] * inv[i] * mean
		for j := range c {
			at := i*c + j
			r := fma32(-coefficient, x[at], mul32(mul32(dy[at], w[j]), inv[i]))
			dx[at] = plus(addDx, dx[at], r)
		}
	}
}

// RoPE turns pairs (i, i + d/2) of each head.
func RoPE(y, x []float32, positions []int32, cos, sin []float32, n, heads, d, turned int, inverse, add bool) {
	half := turned / 2
	for i := range n * heads {
		table := int(positions[i/heads]) * half
		for j := range half {
			c, s := cos[table+j], sin[table+j]
			if inverse {
				s = -s
			}
			p, q := i*d+j, i*d+half+j
			a, b := x[p], x[q]
			y[p] = plus(add, y[p], fma32(a, c, -mul32(b, s)))
			y[q] = plus(add, y[q], fma32(b, c, mul32(a, s)))
		}
		for p := i*d + turned; p < (i+1)*d; p++ {
			y[p] = plus(add, y[p], mul32(1, x[p]))
		}
	}
}

// SwiGLU is y = gate·σ(gate)·up.
func SwiGLU(y, gate, up []float32) {
	for i, g := range gate {
		y[i] = mul32(div32(g, add32(1, Exp32(-g))), up[i])
	}
}

// SwiGLUBackward is the backward pass of SwiGLU.
func SwiGLUBackward(dgate, dup, dy, gate, up []float32, addG, addU bool) {
	for i, g := range gate {
		sigma := div32(1, add32(1, Exp32(-g)))
		silu := mul32(g, sigma)
		slope := add32(sigma, mul32(silu, sub32(1, sigma)))
		dg, du := mul32(mul32(dy[i], up[i]), slope), mul32(dy[i], silu)
		dgate[i] = plus(addG, dgate[i], dg)
		dup[i] = plus(addU, dup[i], du)
	}
}

// EmbeddingBackward adds the rows of dy to dtable in their order.
func EmbeddingBackward(dtable, dy []float32, ids []int32, n, c int) {
	for i := range n {
		for j := range c {
			at := int(ids[i])*c + j
			dtable[at] = add32(dtable[at], dy[i*c+j])
		}
	}
}

// AdamW is one step; see package kernel for the equations.
func AdamW(p, g, m, v []float32, lr, beta1, beta2, eps, decay, bias1, bias2, gscale float64) {
	for i := range p {
		grad := mul32(g[i], float32(gscale))
		x := mul32(p[i], float32(1-lr*decay))
		m[i] = fma32(float32(1-beta1), sub32(grad, m[i]), m[i])
		v[i] = fma32(mul32(float32(1-beta2), grad), grad, mul32(float32(beta2), v[i]))
		root := add32(div32(sqrt32(v[i]), float32(math.Sqrt(bias2))), float32(eps))
		p[i] = fma32(-float32(lr/bias1), div32(m[i], root), x)
	}
}

// Dropout is y = x·mask/(1−p) with the mask of package kernel.
func Dropout(y, x []float32, key uint64, p float32, add bool) {
	for i := range x {
		h := uint32(i)*0x9e3779b1 + uint32(key)
		for range 2 {
			h ^= h >> 16
			h *= 0x7feb352d
			h ^= h >> 15
			h *= 0x846ca68b
			h = h ^ h>>16 ^ uint32(key>>32)
		}
		v := mul32(x[i], 1/(1-p))
		if h>>8 < uint32(p*(1<<24)) {
			v = 0
		}
		y[i] = plus(add, y[i], v)
	}
}

// softmax turns x into exp(x·s − max) and returns the largest x·s and the sum.
func softmax(x []float32, s float32) (largest, sum float32) {
	largest = float32(math.Inf(-1))
	for i := range x {
		if v := mul32(x[i], s); v > largest {
			largest = v
		}
	}
	var l lanes
	for i := range x {
		x[i] = Exp32(sub32(mul32(x[i], s), largest))
		l[i%16] = add32(l[i%16], x[i])
	}
	return largest, l.fold()
}

func logSum(largest, sum float32) float32 {
	return largest + float32(math.Log(float64(sum)))
}

// SoftmaxNLL turns logits into the gradient of scale·nll.
func SoftmaxNLL(logits, nll, hit []float32, targets []int32, m, v int, scale float32) {
	for i := range m {
		row, target := logits[i*v:(i+1)*v], targets[i]
		wanted, best := row[target], 0
		for j, x := range row {
			if x > row[best] {
				best = j
			}
		}
		hit[i] = 0
		if best == int(target) {
			hit[i] = 1
		}
		largest, sum := softmax(row, 1)
		nll[i] = logSum(largest, sum) - wanted
		for j := range row {
			row[j] = mul32(row[j], scale/sum)
		}
		row[target] -= scale
	}
}
