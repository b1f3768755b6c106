package kernel

// keyBlock is the number of keys that the backward pass looks at together.
const keyBlock = 256

type attentionBackJob struct {
	dq, dk, dv, do, o, lse, q, k, v []float32
	positions                       []int32
	s                               AttentionShape
}

// AttentionBackward computes the gradients of Attention for the gradient do of
// its result, from what it left in o and lse; the shapes of dq, dk, dv are those of
// q, k, v. With P = exp(Scale·q·kᵀ − lse), recomputed block by block, and
// D = Σ do·o over a head:
//
//	dv = Pᵀ·do,  dS = P·(do·vᵀ − D)·Scale,  dq = dS·k,  dk = dSᵀ·q
//
// An element of dk and dv is one chain over the query heads of its group and,
// within a head, over the queries in their order. scratch is not used.
func AttentionBackward(t *Team, dq, dk, dv, do, o, lse, q, k, v []float32, positions []int32, s AttentionShape, scratch []float32) {
	s.check()
	n := s.B * s.T
	wide, narrow := n*s.Heads*s.HeadDim, n*s.KVHeads*s.HeadDim
	check(len(dq) >= wide && len(do) >= wide && len(o) >= wide && len(q) >= wide && len(lse) >= n*s.Heads &&
		len(dk) >= narrow && len(dv) >= narrow && len(k) >= narrow && len(v) >= narrow && len(positions) >= n,
		"AttentionBackward: a slice is too short")
	t = t.single()
	t.jobs.attentionBack = attentionBackJob{dq, dk, dv, do, o, lse, q, k, v, positions, s}
	work := s.T * s.T * s.HeadDim * s.Heads / s.KVHeads
	t.split(&t.jobs.attentionBack, s.B*s.KVHeads, max(1, 50_000/max(1, work)))
}

func (j *attentionBackJob) run(w *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		if i+1 < hi {
			j.s.prefetch(i+1, j.s.Heads/j.s.KVHeads, j.q, j.do, j.o, j.dq)
			j.s.prefetch(i+1, 1, j.k, j.v, j.dk, j.dv)
		}
		j.head(w, i/j.s.KVHeads, i%j.s.KVHeads)
	}
}

// head computes everything that belongs to one key head of one row.
func (j *attentionBackJob) head(w *worker, b, kv int) {
	s, d := j.s, j.s.HeadDim
	kvWidth := s.KVHeads * d
	at := b*s.T*kvWidth + kv*d
	h := backHead{
		attentionBackJob: j,
		row:              b * s.T,
		dk:               j.dk[at:],
		dv:               j.dv[at:],
		keysT:            w.packRowsT(&w.keys, j.k[at:], kvWidth, s.T, d),
		valuesT:          w.packRowsT(&w.values, j.v[at:], kvWidth, s.T, d),
		keys:             w.packRows(&w.keyRows, j.k[at:], kvWidth, s.T, d),
	}
	for t := range s.T {
		clear(h.dk[t*kvWidth : t*kvWidth+d])
		clear(h.dv[t*kvWidth : t*kvWidth+d])
	}
	group := s.Heads / s.KVHeads
	for head := kv * group; head < (kv+1)*group; head++ {
		for block := 0; block < s.T; block += queryBlock {
			limit := min(block+queryBlock, s.T)
			for t := block; t < limit; {
				start, end := segment(j.positions, h.row, t, limit)
				h.queries(w, head, start, t, end-t)
				t = end
			}
		}
	}
}

// backHead is a key head with its packed keys and values.
type backHead struct {
	*attentionBackJob
	row                  int // index of the row's first token
	dk, dv               []float32
	keysT, valuesT, keys []float32
}

// queries adds what m queries of a head, the first at t, contribute.
func (h *backHead) queries(w *worker, head, start, t, m int) {
	s, d := h.s, h.s.HeadDim
	width := s.Heads * d
	at := (h.row+t)*width + head*d
	q, do, o, dq := h.q[at:], h.do[at:], h.o[at:], h.dq[at:]
	packedQ := w.packRows(&w.a, q, width, m, d)
	packedDo := w.packRows(&w.b, do, width, m, d)
	for i := range m {
		w.delta[i] = code.dot(do[i*width:i*width+d], o[i*width:i*width+d])
		w.lse[i] = h.lse[(h.row+t+i)*s.Heads+head]
		clear(dq[i*width : i*width+d])
	}
	for k0 := start; k0 < t+m; {
		k1 := min(k0/keyBlock*keyBlock+keyBlock, t+m)
		h.block(w, q, do, dq, packedQ, packedDo, k0, k1, t, m)
		k0 = k1
	}
}

// block adds what m queries from t on and the keys k0 … k1-1 contribute to each other.
func (h *backHead) block(w *worker, q, do, dq, packedQ, packedDo []float32, k0, k1, t, m int) {
	const stride = keyBlock + 16 // no power of two: columns of the scores are read too
	s, d, cols := h.s, h.s.HeadDim, code.cols
	wide, kvWidth := s.Heads*d, s.KVHeads*d
	from := k0 / cols * cols
	scores, dscores := grow(&w.scores, m*stride), grow(&w.dscores, m*stride)
	for n0 := from; n0 < k1; n0 += cols {
		i, n := max(0, n0-t), min(cols, k1-n0)
		at, br := i*stride+n0-from, width(min(cols, s.T-n0))
		code.gemm(scores[at:], stride, q[i*wide:], wide, 1, h.keysT[n0*d:], br, m-i, n, d, false)
		code.gemm(dscores[at:], stride, do[i*wide:], wide, 1, h.valuesT[n0*d:], br, m-i, n, d, false)
	}
	p, dp, n := scores[k0-from:], dscores[k0-from:], k1-k0
	code.softmaxBack(p, dp, stride, m, t+1-k0, n, s.Scale, w.lse[:], w.delta[:])
	for i := range m {
		seen := max(0, min(t+i+1-k0, n))
		clear(p[i*stride+seen : i*stride+n])
		clear(dp[i*stride+seen : i*stride+n])
	}
	// All m queries see the keys before t; from there on the triangle begins.
	below := max(0, min(t-k0, n))
	for c := 0; c < d; c += cols {
		nc := min(cols, d-c)
		br := width(nc)
		keys, qs, dos := h.keys[c*s.T+k0*br:], packedQ[c*m:], packedDo[c*m:]
		if below > 0 {
			code.gemm(h.dv[k0*kvWidth+c:], kvWidth, p, 1, stride, dos, br, below, nc, m, true)
			code.gemm(h.dk[k0*kvWidth+c:], kvWidth, dp, 1, stride, qs, br, below, nc, m, true)
			code.gemm(dq[c:], wide, dp, stride, 1, keys, br, m, nc, below, true)
		}
		for key := below; key < n; key += triangleStep {
			rows := min(triangleStep, n-key)
			i := k0 + key - t // the first query that sees the key
			at := (k0+key)*kvWidth + c
			code.gemm(h.dv[at:], kvWidth, p[i*stride+key:], 1, stride, dos[i*br:], br, rows, nc, m-i, true)
			code.gemm(h.dk[at:], kvWidth, dp[i*stride+key:], 1, stride, qs[i*br:], br, rows, nc, m-i, true)
		}
		for i := 0; i < m && below < n; i += triangleStep {
			rows := min(triangleStep, m-i)
			seen := min(t+i+rows-k0, n) // by the last of these queries
			if seen > below {
				code.gemm(dq[i*wide+c:], wide, dp[i*stride+below:], stride, 1, keys[below*br:], br, rows, nc, seen-below, true)
			}
		}
	}
}
