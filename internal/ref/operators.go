// Package ref holds slow and obvious twins of the kernels and operators. Only
// tests import it.
package ref

import "math"

// The functions in the operator files are the float64 twins of the operators in
// package op: forward and backward, written as the formulas stand in the
// papers, one loop for each index, without regard for speed. Matrices are
// row-major. A backward function takes the gradient dy of the result and
// returns the gradients of the inputs.

// Linear64 is y = x·wᵀ + bias with x [n, in], w [out, in] and bias [out] or nil.
func Linear64(x, w, bias []float64, n, in, out int) (y []float64) {
	y = make([]float64, n*out)
	for i := range n {
		for o := range out {
			if bias != nil {
				y[i*out+o] = bias[o]
			}
			for c := range in {
				y[i*out+o] += x[i*in+c] * w[o*in+c]
			}
		}
	}
	return y
}

// LinearBackward64 returns dx = dy·w, dw = dyᵀ·x and dbias = Σ rows of dy.
func LinearBackward64(dy, x, w []float64, n, in, out int) (dx, dw, dbias []float64) {
	dx, dw, dbias = make([]float64, n*in), make([]float64, out*in), make([]float64, out)
	for i := range n {
		for o := range out {
			g := dy[i*out+o]
			dbias[o] += g
			for c := range in {
				dx[i*in+c] += g * w[o*in+c]
				dw[o*in+c] += g * x[i*in+c]
			}
		}
	}
	return dx, dw, dbias
}

// LoRA64 holds the inputs of LoRALinear64. Mask multiplies x [N, In] on its way
// to the adapter: 0 or 1/(1−p) with dropout, nil without.
type LoRA64 struct {
	X, W, Bias, A, B, Mask []float64
	Scale                  float64
	N, In, Out, Rank       int
}

func (l *LoRA64) dropped() []float64 {
	if l.Mask == nil {
		return l.X
	}
	x := make([]float64, len(l.X))
	for i := range x {
		x[i] = l.X[i] * l.Mask[i]
	}
	return x
}

// LoRALinear64 is y = x·Wᵀ + bias + scale·((mask∘x)·Aᵀ)·Bᵀ.
func LoRALinear64(l *LoRA64) (y []float64) {
	y = Linear64(l.X, l.W, l.Bias, l.N, l.In, l.Out)
	u := Linear64(l.dropped(), l.A, nil, l.N, l.In, l.Rank)
	for i, v := range Linear64(u, l.B, nil, l.N, l.Rank, l.Out) {
		y[i] += l.Scale * v
	}
	return y
}

// LoRALinearBackward64 applies the chain rule to the two paths.
func LoRALinearBackward64(l *LoRA64, dy []float64) (dx, dw, da, db, dbias []float64) {
	dx, dw, dbias = LinearBackward64(dy, l.X, l.W, l.N, l.In, l.Out)
	scaled := make([]float64, len(dy))
	for i := range dy {
		scaled[i] = l.Scale * dy[i]
	}
	xd := l.dropped()
	u := Linear64(xd, l.A, nil, l.N, l.In, l.Rank)
	du, db, _ := LinearBackward64(scaled, u, l.B, l.N, l.Rank, l.Out)
	dxd, da, _ := LinearBackward64(du, xd, l.A, l.N, l.In, l.Rank)
	for i, g := range dxd {
		if l.Mask != nil {
			g *= l.Mask[i]
		}
		dx[i] += g
	}
	return dx, dw, da, db, dbias
}

// DoRALinear64 is the layer of [LoRALinear64] with rows of W + scale·B·A brought to the
// lengths m, where those rows' own lengths are norms [Out]:
// y = x·Wᵀ + bias + (m/norms − 1)∘((mask∘x)·Wᵀ) + m/norms∘(scale·((mask∘x)·Aᵀ)·Bᵀ).
func DoRALinear64(l *LoRA64, m, norms []float64) (y []float64) {
	y = Linear64(l.X, l.W, l.Bias, l.N, l.In, l.Out)
	xd := l.dropped()
	base := Linear64(xd, l.W, nil, l.N, l.In, l.Out)
	update := Linear64(Linear64(xd, l.A, nil, l.N, l.In, l.Rank), l.B, nil, l.N, l.Rank, l.Out)
	for i := range y {
		f := m[i%l.Out] / norms[i%l.Out]
		y[i] += (f-1)*base[i] + f*l.Scale*update[i]
	}
	return y
}

// RowNorms64 returns the lengths of the rows of W + scale·B·A.
func (l *LoRA64) RowNorms64() []float64 {
	norms := make([]float64, l.Out)
	for o := range l.Out {
		for c := range l.In {
			v := l.W[o*l.In+c]
			for r := range l.Rank {
				v += l.Scale * l.B[o*l.Rank+r] * l.A[r*l.In+c]
			}
			norms[o] += v * v
		}
		norms[o] = math.Sqrt(norms[o])
	}
	return norms
}

// RMSNorm64 is y = x·w/√(mean(x²)+eps) for every row of x [n, c].
func RMSNorm64(x, w []float64, n, c int, eps float64) (y []float64) {
	y = make([]float64, n*c)
	for i := range n {
		inv := inverseRMS(x[i*c:(i+1)*c], eps)
		for j := range c {
			y[i*c+j] = x[i*c+j] * inv * w[j]
		}
	}
	return y
}

func inverseRMS(row []float64, eps float64) float64 {
	sum := 0.0
	for _, v := range row {
		sum += v * v
	}
	return 1 / math.Sqrt(sum/float64(len(row))+eps)
}

// RMSNormBackward64 is, with r = inverse RMS and g = dy·w,
// dx = r·(g − x·r²·mean(g·x)) and dw = Σ rows of dy·x·r.
func RMSNormBackward64(dy, x, w []float64, n, c int, eps float64) (dx, dw []float64) {
	dx, dw = make([]float64, n*c), make([]float64, c)
	for i := range n {
		row := x[i*c : (i+1)*c]
		r := inverseRMS(row, eps)
		mean := 0.0
		for j := range c {
			mean += dy[i*c+j] * w[j] * row[j] / float64(c)
		}
		for j := range c {
			dx[i*c+j] = r * (dy[i*c+j]*w[j] - row[j]*r*r*mean)
			dw[j] += dy[i*c+j] * row[j] * r
		}
	}
	return dx, dw
}

// SwiGLU64 is y = gate·σ(gate)·up.
func SwiGLU64(gate, up []float64) (y []float64) {
	y = make([]float64, len(gate))
	for i, g := range gate {
		y[i] = g / (1 + math.Exp(-g)) * up[i]
	}
	return y
}

// SwiGLUBackward64 uses d(g·σ(g))/dg = σ(g)·(1 + g·(1−σ(g))).
func SwiGLUBackward64(dy, gate, up []float64) (dgate, dup []float64) {
	dgate, dup = make([]float64, len(gate)), make([]float64, len(gate))
	for i, g := range gate {
		s := 1 / (1 + math.Exp(-g))
		dgate[i] = dy[i] * up[i] * s * (1 + g*(1-s))
		dup[i] = dy[i] * g * s
	}
	return dgate, dup
}

// Embedding64 takes row ids[i] of the table [v, c] for every i.
func Embedding64(table []float64, ids []int32, c int) (y []float64) {
	for _, id := range ids {
		y = append(y, table[int(id)*c:int(id+1)*c]...)
	}
	return y
}

// EmbeddingBackward64 sums the rows of dy into the rows they came from.
func EmbeddingBackward64(dy []float64, ids []int32, v, c int) (dtable []float64) {
	dtable = make([]float64, v*c)
	for i, id := range ids {
		for j := range c {
			dtable[int(id)*c+j] += dy[i*c+j]
		}
	}
	return dtable
}
