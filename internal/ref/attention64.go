package ref

import "math"

// Attention64Shape is the shape of Attention64: B rows of T tokens, Heads query
// heads that share KVHeads key heads in groups of Heads/KVHeads neighbours.
// A score with a Cap above 0 is Cap·tanh(score/Cap).
type Attention64Shape struct {
	B, T, Heads, KVHeads, HeadDim int
	Cap                           float64
}

// each calls f for every query (row i of q, head h) with the rows of k and v it
// attends to, first … i, and the key head.
func (s Attention64Shape) each(positions []int32, f func(i, h, kv, first int)) {
	for i := range s.B * s.T {
		for h := range s.Heads {
			f(i, h, h/(s.Heads/s.KVHeads), i-int(positions[i]))
		}
	}
}

// weights returns softmax(scale·q·k) over rows first … i, and the derivatives of the
// scores by what they are before the cap.
func (s Attention64Shape) weights(q, k []float64, i, h, kv, first int, scale float64) (p, slopes []float64) {
	d := s.HeadDim
	p, slopes = make([]float64, i-first+1), make([]float64, i-first+1)
	largest, sum := math.Inf(-1), 0.0
	for j := range p {
		for e := range d {
			p[j] += scale * q[(i*s.Heads+h)*d+e] * k[((first+j)*s.KVHeads+kv)*d+e]
		}
		slopes[j] = 1
		if s.Cap > 0 {
			y, slope := SoftCap64(p[j:j+1], s.Cap)
			p[j], slopes[j] = y[0], slope[0]
		}
		largest = max(largest, p[j])
	}
	for j := range p {
		p[j] = math.Exp(p[j] - largest)
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
	return p, slopes
}

// Attention64 is o = softmax(scale·q·kᵀ)·v, where the token in row i attends to
// rows i−positions[i] … i.
func Attention64(q, k, v []float64, positions []int32, s Attention64Shape, scale float64) (o []float64) {
	o = make([]float64, len(q))
	d := s.HeadDim
	s.each(positions, func(i, h, kv, first int) {
		weights, _ := s.weights(q, k, i, h, kv, first, scale)
		for j, p := range weights {
			for e := range d {
				o[(i*s.Heads+h)*d+e] += p * v[((first+j)*s.KVHeads+kv)*d+e]
			}
		}
	})
	return o
}

// AttentionBackward64 goes through dv = pᵀ·do, dp = do·vᵀ and the softmax's
// ds = p·(dp − Σ p·dp).
func AttentionBackward64(do, q, k, v []float64, positions []int32, s Attention64Shape, scale float64) (dq, dk, dv []float64) {
	dq, dk, dv = make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))
	d := s.HeadDim
	s.each(positions, func(i, h, kv, first int) {
		p, slopes := s.weights(q, k, i, h, kv, first, scale)
		dp := make([]float64, len(p))
		mean, qi := 0.0, (i*s.Heads+h)*d
		for j := range p {
			kj := ((first+j)*s.KVHeads + kv) * d
			for e := range d {
				dv[kj+e] += p[j] * do[qi+e]
				dp[j] += do[qi+e] * v[kj+e]
			}
			mean += p[j] * dp[j]
		}
		for j := range p {
			ds, kj := scale*slopes[j]*p[j]*(dp[j]-mean), ((first+j)*s.KVHeads+kv)*d
			for e := range d {
				dq[qi+e] += ds * k[kj+e]
				dk[kj+e] += ds * q[qi+e]
			}
		}
	})
	return dq, dk, dv
}

// RoPE64 turns the pairs (i, i+d/2) of every head of x [n, heads·d] by
// position·base^(−2i/d), or back if inverse.
func RoPE64(x []float64, positions []int32, heads, d int, base float64, inverse bool) (y []float64) {
	y = make([]float64, len(x))
	for t, position := range positions {
		for h := range heads {
			at := (t*heads + h) * d
			for i := range d / 2 {
				angle := float64(position) * math.Pow(base, -2*float64(i)/float64(d))
				if inverse {
					angle = -angle
				}
				sin, cos := math.Sincos(angle)
				a, b := x[at+i], x[at+i+d/2]
				y[at+i], y[at+i+d/2] = a*cos-b*sin, b*cos+a*sin
			}
		}
	}
	return y
}
