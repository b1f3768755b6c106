// Package kernel computes on plain slices of float32.
package kernel

import "math"

type Team struct{}

func NewTeam(n int) *Team { return &Team{} }
func (*Team) Close()      {}

type Matrix struct {
	Data               []float32
	Rows, Cols, Stride int
}

func (m Matrix) at(i, j int) *float32 { return &m.Data[i*m.Stride+j] }
func mm(c Matrix, k int, a, b func(i, p int) float32, add bool) {
	for i := 0; i < c.Rows; i++ {
		for j := 0; j < c.Cols; j++ {
			var s float32
			if add {
				s = *c.at(i, j)
			}
			for p := 0; p < k; p++ {
				s = float32(math.FMA(float64(a(i, p)), float64(b(p, j)), float64(s)))
			}
			*c.at(i, j) = s
		}
	}
}
func MatMulNN(t *Team, c, a, b Matrix, add bool) {
	mm(c, a.Cols, func(i, p int) float32 { return *a.at(i, p) }, func(p, j int) float32 { return *b.at(p, j) }, add)
}
func MatMulNT(t *Team, c, a, b Matrix, add bool) {
	mm(c, a.Cols, func(i, p int) float32 { return *a.at(i, p) }, func(p, j int) float32 { return *b.at(j, p) }, add)
}
func MatMulTN(t *Team, c, a, b Matrix, add bool) {
	mm(c, a.Rows, func(i, p int) float32 { return *a.at(p, i) }, func(p, j int) float32 { return *b.at(p, j) }, add)
}
func Add(t *Team, d, a, b []float32) {
	for i := range d {
		d[i] = a[i] + b[i]
	}
}
func AddTo(t *Team, d, x []float32) {
	for i := range d {
		d[i] += x[i]
	}
}
func Scale(t *Team, d, x []float32, s float32, add bool) {
	for i := range d {
		if add {
			d[i] += s * x[i]
		} else {
			d[i] = s * x[i]
		}
	}
}
func RMSNorm(t *Team, y, inv, x, w []float32, n, c int, eps float32) {
	for i := 0; i < n; i++ {
		var s float64
		for _, v := range x[i*c : (i+1)*c] {
			s += float64(v) * float64(v)
		}
		inv[i] = float32(1 / math.Sqrt(s/float64(c)+float64(eps)))
		for j := 0; j < c; j++ {
			y[i*c+j] = x[i*c+j] * inv[i] * w[j]
		}
	}
}
func RMSNormBackwardScratch(n, c int) int { return 0 }
func RMSNormBackward(t *Team, dx, dw, dy, x, w, inv []float32, n, c int, addDx, addDw bool, scratch []float32) {
	if dw != nil && !addDw {
		clear(dw)
	}
	for i := 0; i < n; i++ {
		var m float64
		for j := 0; j < c; j++ {
			m += float64(dy[i*c+j] * w[j] * x[i*c+j])
			if dw != nil {
				dw[j] += dy[i*c+j] * x[i*c+j] * inv[i]
			}
		}
		m /= float64(c)
		if dx != nil {
			for j := 0; j < c; j++ {
				g := inv[i] * (dy[i*c+j]*w[j] - x[i*c+j]*inv[i]*inv[i]*float32(m))
				if addDx {
					g += dx[i*c+j]
				}
				dx[i*c+j] = g
			}
		}
	}
}
func RoPE(t *Team, y, x []float32, positions []int32, cos, sin []float32, n, heads, d int, inverse, add bool) {
	h2 := d / 2
	for i := 0; i < n; i++ {
		for h := 0; h < heads; h++ {
			at := (i*heads + h) * d
			for e := 0; e < h2; e++ {
				c, s := cos[int(positions[i])*h2+e], sin[int(positions[i])*h2+e]
				if inverse {
					s = -s
				}
				a, b := x[at+e], x[at+e+h2]
				p, q := a*c-b*s, b*c+a*s
				if add {
					p += y[at+e]
					q += y[at+e+h2]
				}
				y[at+e], y[at+e+h2] = p, q
			}
		}
	}
}
func SwiGLU(t *Team, y, gate, up []float32) {
	for i, g := range gate {
		y[i] = float32(float64(g)/(1+math.Exp(-float64(g)))) * up[i]
	}
}
func SwiGLUBackward(t *Team, dgate, dup, dy, gate, up []float32, addG, addU bool) {
	for i := range gate {
		g, u, d := float64(gate[i]), float64(up[i]), float64(dy[i])
		s := 1 / (1 + math.Exp(-g))
		a, b := float32(d*u*s*(1+g*(1-s))), float32(d*g*s)
		if addG {
			a += dgate[i]
		}
		if addU {
			b += dup[i]
		}
		dgate[i], dup[i] = a, b
	}
}
func Embedding(t *Team, y, table []float32, ids []int32, n, c int) {
	for i := 0; i < n; i++ {
		copy(y[i*c:(i+1)*c], table[int(ids[i])*c:])
	}
}
func EmbeddingBackward(t *Team, dtable, dy []float32, ids []int32, n, c int) {
	for i := 0; i < n; i++ {
		for j := 0; j < c; j++ {
			dtable[int(ids[i])*c+j] += dy[i*c+j]
		}
	}
}

type AttentionShape struct {
	B, T, Heads, KVHeads, HeadDim int
	Scale                         float32
}

func (s AttentionShape) w(q, k []float32, i, h, first, krow0 int) []float64 {
	d, kv := s.HeadDim, h/(s.Heads/s.KVHeads)
	p := make([]float64, i-first+1)
	var mx, sum = math.Inf(-1), 0.0
	for j := range p {
		for e := 0; e < d; e++ {
			p[j] += float64(s.Scale * q[(i*s.Heads+h)*d+e] * k[((first+j)*s.KVHeads+kv)*d+e])
		}
		mx = max(mx, p[j])
	}
	for j := range p {
		p[j] = math.Exp(p[j] - mx)
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
	return p
}
func Attention(t *Team, o, lse, q, k, v []float32, positions []int32, s AttentionShape) {
	d := s.HeadDim
	for i := 0; i < s.B*s.T; i++ {
		for h := 0; h < s.Heads; h++ {
			first, kv := i-int(positions[i]), h/(s.Heads/s.KVHeads)
			p := s.w(q, k, i, h, first, 0)
			lse[i*s.Heads+h] = float32(p[0])
			for e := 0; e < d; e++ {
				var sum float64
				for j := range p {
					sum += p[j] * float64(v[((first+j)*s.KVHeads+kv)*d+e])
				}
				o[(i*s.Heads+h)*d+e] = float32(sum)
			}
		}
	}
}
func AttentionScratch(s AttentionShape) int { return 0 }
func AttentionBackward(t *Team, dq, dk, dv, do, o, lse, q, k, v []float32, positions []int32, s AttentionShape, scratch []float32) {
	d := s.HeadDim
	clear(dq)
	clear(dk)
	clear(dv)
	for i := 0; i < s.B*s.T; i++ {
		for h := 0; h < s.Heads; h++ {
			first, kv := i-int(positions[i]), h/(s.Heads/s.KVHeads)
			p := s.w(q, k, i, h, first, 0)
			dp := make([]float64, len(p))
			var m float64
			qi := (i*s.Heads + h) * d
			for j := range p {
				kj := ((first+j)*s.KVHeads + kv) * d
				for e := 0; e < d; e++ {
					dv[kj+e] += float32(p[j]) * do[qi+e]
					dp[j] += float64(do[qi+e] * v[kj+e])
				}
				m += p[j] * dp[j]
			}
			for j := range p {
				ds, kj := s.Scale*float32(p[j]*(dp[j]-m)), ((first+j)*s.KVHeads+kv)*d
				for e := 0; e < d; e++ {
					dq[qi+e] += ds * k[kj+e]
					dk[kj+e] += ds * q[qi+e]
				}
			}
		}
	}
}
func CachedAttention(t *Team, o, q, kc, vc []float32, first, n int, s AttentionShape) {
	d := s.HeadDim
	for i := 0; i < n; i++ {
		for h := 0; h < s.Heads; h++ {
			kv := h / (s.Heads / s.KVHeads)
			s2 := s
			_ = s2
			p := make([]float64, first+i+1)
			var mx, sum = math.Inf(-1), 0.0
			for j := range p {
				for e := 0; e < d; e++ {
					p[j] += float64(s.Scale * q[(i*s.Heads+h)*d+e] * kc[(j*s.KVHeads+kv)*d+e])
				}
				mx = max(mx, p[j])
			}
			for j := range p {
				p[j] = math.Exp(p[j] - mx)
				sum += p[j]
			}
			for e := 0; e < d; e++ {
				var a float64
				for j := range p {
					a += p[j] / sum * float64(vc[(j*s.KVHeads+kv)*d+e])
				}
				o[(i*s.Heads+h)*d+e] = float32(a)
			}
		}
	}
}
func Dropout(t *Team, y, x []float32, key uint64, p float32, add bool) {
	for i := range x {
		z := key + uint64(i)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		var v float32
		if float32(z>>40)/(1<<24) >= p {
			v = x[i] / (1 - p)
		}
		if add {
			v += y[i]
		}
		y[i] = v
	}
}
func SoftmaxNLL(t *Team, l, nll, hit []float32, targets []int32, m, v int, scale float32) {
	for i := 0; i < m; i++ {
		row := l[i*v : (i+1)*v]
		mx, sum := math.Inf(-1), 0.0
		for _, x := range row {
			mx = max(mx, float64(x))
		}
		for _, x := range row {
			sum += math.Exp(float64(x) - mx)
		}
		tl := float64(row[targets[i]])
		nll[i] = float32(mx + math.Log(sum) - tl)
		hit[i] = 0
		if tl == mx {
			hit[i] = 1
		}
		for j := range row {
			row[j] = float32(math.Exp(float64(row[j])-mx) / sum)
		}
		row[targets[i]] -= 1
		for j := range row {
			row[j] *= scale
		}
	}
}

func (t *Team) Threads() int { return 1 }

func SumSquares(t *Team, x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

func AdamW(t *Team, p, g, m, v []float32, lr, beta1, beta2, eps, decay, bias1, bias2, gscale float32) {
	root := float32(math.Sqrt(float64(bias2)))
	for i, gi := range g {
		gi *= gscale
		p[i] -= lr * decay * p[i]
		m[i] = beta1*m[i] + (1-beta1)*gi
		v[i] = beta2*v[i] + (1-beta2)*gi*gi
		p[i] -= lr / bias1 * m[i] / (float32(math.Sqrt(float64(v[i])))/root + eps)
	}
}
