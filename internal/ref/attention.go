package ref

// An AttentionShape is that of package kernel.
type AttentionShape struct {
	B, T, Heads, KVHeads, HeadDim int
	Scale                         float32
	Cap                           float32 // 0: none
}

// score returns a score from q·k, and its derivative but for Scale.
func (s AttentionShape) score(product float32) (score, slope float32) {
	if s.Cap == 0 {
		return mul32(product, s.Scale), 1
	}
	var y, d [1]float32
	SoftCap(y[:], d[:], []float32{product}, s.Scale, s.Cap)
	return y[0], d[0]
}

// Attention is causal attention over the segments that positions give.
func Attention(o, lse, q, k, v []float32, positions []int32, s AttentionShape) {
	d, group := s.HeadDim, s.Heads/s.KVHeads
	for t := range s.B * s.T {
		first := t - int(positions[t])
		for h := range s.Heads {
			qAt := (t*s.Heads + h) * d
			kv := func(j int) int { return (j*s.KVHeads + h/group) * d }
			p := make([]float32, t+1-first)
			for j := range p {
				for e := range d {
					p[j] = fma32(q[qAt+e], k[kv(first+j)+e], p[j])
				}
				p[j], _ = s.score(p[j])
			}
			largest, sum := softmax(p, 1)
			lse[t*s.Heads+h] = logSum(largest, sum)
			for e := range d {
				o[qAt+e] = 0
				for j := range p {
					o[qAt+e] = fma32(p[j], v[kv(first+j)+e], o[qAt+e])
				}
				o[qAt+e] = mul32(o[qAt+e], 1/sum)
			}
		}
	}
}

// AttentionBackward is the backward pass of Attention. Heads are gone through
// before tokens, because that is the order of the sums in dk and dv.
func AttentionBackward(dq, dk, dv, do, o, lse, q, k, v []float32, positions []int32, s AttentionShape) {
	d, group := s.HeadDim, s.Heads/s.KVHeads
	clear(dq)
	clear(dk)
	clear(dv)
	for h := range s.Heads {
		for t := range s.B * s.T {
			at := (t*s.Heads + h) * d
			delta := Dot(do[at:at+d], o[at:at+d])
			for j := t - int(positions[t]); j <= t; j++ {
				kv := (j*s.KVHeads + h/group) * d
				var score, dp float32
				for e := range d {
					score = fma32(q[at+e], k[kv+e], score)
					dp = fma32(do[at+e], v[kv+e], dp)
				}
				score, slope := s.score(score)
				p := Exp32(sub32(score, lse[t*s.Heads+h]))
				ds := mul32(mul32(mul32(p, sub32(dp, delta)), slope), s.Scale)
				for e := range d {
					dv[kv+e] = fma32(p, do[at+e], dv[kv+e])
					dk[kv+e] = fma32(ds, q[at+e], dk[kv+e])
					dq[at+e] = fma32(ds, k[kv+e], dq[at+e])
				}
			}
		}
	}
}
