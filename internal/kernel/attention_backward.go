package kernel

import "math"

const (
	// keyBlock is the number of keys that the backward pass looks at together.
	keyBlock = 256
	// pieceStep is what pieces of a head begin at multiples of.
	pieceStep = 32
)

// attentionBackJob is the backward pass of some rows of attention. The first items
// are whole key heads, each with its queries. Where the heads do not come out even
// among the threads, those left over are cut: pieces of the keys, which make dk and
// dv, and pieces of the queries, which make dq. Both compute the scores, so that a
// head in pieces costs 7 products in place of 5; no bit is different.
type attentionBackJob struct {
	pairs                           roundedHeads // without a pairing: products are float32
	dq, dk, dv, do, o, lse, q, k, v []float32
	positions                       []int32
	s                               AttentionShape
	whole, pieces                   int // heads that are not cut; pieces of each kind that the others are cut to
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
	s.checkInputs(q, k, v)
	check(len(o) >= s.B*s.T*s.Heads*s.HeadDim, "AttentionBackward: o is too short")
	t.attendBack(attentionBackJob{dq: dq, dk: dk, dv: dv, do: do, o: o, lse: lse, q: q, k: k, v: v, positions: positions, s: s})
}

// attendBack does the work of AttentionBackward.
func (t *Team) attendBack(job attentionBackJob) {
	s := job.s
	n := s.B * s.T
	wide, narrow := n*s.Heads*s.HeadDim, n*s.KVHeads*s.HeadDim
	check(len(job.dq) >= wide && len(job.do) >= wide && len(job.lse) >= n*s.Heads &&
		len(job.dk) >= narrow && len(job.dv) >= narrow && len(job.positions) >= n,
		"AttentionBackward: a slice is too short")
	t = t.single()
	heads := s.B * s.KVHeads
	j := &t.jobs.attentionBack
	*j = job
	j.whole = heads
	if left := heads % t.threads; left > 0 && 7*left < 5*t.threads && heads < 3*t.threads && s.T >= 4*queryBlock {
		j.whole, j.pieces = heads-left, (t.threads+left-1)/left
	}
	work := s.T * s.T * s.HeadDim * s.Heads / s.KVHeads
	t.split(j, j.whole+2*j.pieces*(heads-j.whole), max(1, 50_000/max(1, work)))
}

// keysFrom is where piece r of the keys begins. Pieces have about the same number of
// pairs of a key and a query: (T − key)² goes down by equal steps.
func (j *attentionBackJob) keysFrom(r int) int {
	if r == j.pieces {
		return j.s.T
	}
	t := float64(j.s.T)
	return int(t-t*math.Sqrt(1-float64(r)/float64(j.pieces))) / pieceStep * pieceStep
}

// queriesFrom is where piece r of the queries begins: query² goes up by equal steps.
func (j *attentionBackJob) queriesFrom(r int) int {
	if r == j.pieces {
		return j.s.T
	}
	return int(float64(j.s.T)*math.Sqrt(float64(r)/float64(j.pieces))) / pieceStep * pieceStep
}

func (j *attentionBackJob) run(w *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		if i+1 < min(hi, j.whole) {
			j.s.prefetch(i+1, j.s.Heads/j.s.KVHeads, j.q, j.do, j.o, j.dq)
			j.s.prefetch(i+1, 1, j.k, j.v, j.dk, j.dv)
		}
		h := backHead{attentionBackJob: j, keyEnd: j.s.T, queryEnd: j.s.T, makesKeys: true, makesQueries: true}
		head := i
		if i >= j.whole {
			cut := i - j.whole
			head = j.whole + cut/(2*j.pieces)
			if r := cut % (2 * j.pieces); r < j.pieces {
				h.firstKey, h.keyEnd, h.makesQueries = j.keysFrom(r), j.keysFrom(r+1), false
				h.firstQuery = h.firstKey
			} else {
				r -= j.pieces
				h.firstQuery, h.queryEnd, h.makesKeys = j.queriesFrom(r), j.queriesFrom(r+1), false
				h.keyEnd = h.queryEnd
			}
		}
		if j.pairs.pairing != nil {
			h.computePairs(w, head/j.s.KVHeads, head%j.s.KVHeads)
		} else {
			h.compute(w, head/j.s.KVHeads, head%j.s.KVHeads)
		}
	}
}

// backHead is a key head of a row or a piece of one, with its keys and values packed.
type backHead struct {
	*attentionBackJob
	row                  int // index of the row's first token
	firstKey, keyEnd     int // counted from the row's first token
	firstQuery, queryEnd int
	makesKeys            bool // makes dk and dv of its keys
	makesQueries         bool // makes dq of its queries
	dk, dv               []float32
	keysT, valuesT, keys []float32
}

// compute computes everything that belongs to key head kv of row b.
func (h *backHead) compute(w *worker, b, kv int) {
	s, d, n := h.s, h.s.HeadDim, h.keyEnd-h.firstKey
	if n <= 0 {
		return
	}
	kvWidth := s.KVHeads * d
	h.row = b * s.T
	at := (h.row+h.firstKey)*kvWidth + kv*d
	h.dk, h.dv = h.attentionBackJob.dk[at:], h.attentionBackJob.dv[at:]
	h.keysT = w.packRowsT(&w.keys, h.k[at:], kvWidth, n, d)
	h.valuesT = w.packRowsT(&w.values, h.v[at:], kvWidth, n, d)
	if h.makesQueries {
		h.keys = w.packRows(&w.keyRows, h.k[at:], kvWidth, n, d)
	}
	for t := 0; t < n && h.makesKeys; t++ {
		clear(h.dk[t*kvWidth : t*kvWidth+d])
		clear(h.dv[t*kvWidth : t*kvWidth+d])
	}
	group := s.Heads / s.KVHeads
	for head := kv * group; head < (kv+1)*group; head++ {
		for block := h.firstQuery; block < h.queryEnd; block += queryBlock {
			limit := min(block+queryBlock, h.queryEnd)
			for t := block; t < limit; {
				start, end := segment(h.positions, h.row, t, limit)
				h.queries(w, head, start, t, end-t)
				t = end
			}
		}
	}
}

// queries adds what m queries of a head, the first at t, contribute.
func (h *backHead) queries(w *worker, head, start, t, m int) {
	s, d := h.s, h.s.HeadDim
	width := s.Heads * d
	at := (h.row+t)*width + head*d
	q, do, o, dq := h.q[at:], h.do[at:], h.o[at:], h.dq[at:]
	for i := 0; i < m && h.makesQueries; i++ {
		clear(dq[i*width : i*width+d])
	}
	first, end := max(start, h.firstKey), min(t+m, h.keyEnd)
	if first >= end {
		return
	}
	packedQ := w.packRows(&w.a, q, width, m, d)
	packedDo := w.packRows(&w.b, do, width, m, d)
	for i := range m {
		w.delta[i] = code.dot(do[i*width:i*width+d], o[i*width:i*width+d])
		w.lse[i] = h.lse[(h.row+t+i)*s.Heads+head]
	}
	// From here on tokens are counted from the first of the keys.
	first, end, t = first-h.firstKey, end-h.firstKey, t-h.firstKey
	for k0 := first; k0 < end; {
		k1 := min(k0/keyBlock*keyBlock+keyBlock, end)
		h.block(w, q, do, dq, packedQ, packedDo, k0, k1, t, m)
		k0 = k1
	}
}

// block adds what m queries from t on and the keys k0 … k1-1 contribute to each other.
func (h *backHead) block(w *worker, q, do, dq, packedQ, packedDo []float32, k0, k1, t, m int) {
	const stride = keyBlock + 16 // no power of two: columns of the scores are read too
	s, d, cols := h.s, h.s.HeadDim, code.cols
	wide, kvWidth := s.Heads*d, s.KVHeads*d
	packed := h.keyEnd - h.firstKey
	from := k0 / cols * cols
	scores, dscores := grow(&w.scores, m*stride), grow(&w.dscores, m*stride)
	for n0 := from; n0 < k1; n0 += cols {
		i, n := max(0, n0-t), min(cols, k1-n0)
		at, br := i*stride+n0-from, width(min(cols, packed-n0))
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
		if h.makesKeys {
			qs, dos := packedQ[c*m:], packedDo[c*m:]
			if below > 0 {
				code.gemm(h.dv[k0*kvWidth+c:], kvWidth, p, 1, stride, dos, br, below, nc, m, true)
				code.gemm(h.dk[k0*kvWidth+c:], kvWidth, dp, 1, stride, qs, br, below, nc, m, true)
			}
			for key := below; key < n; key += triangleStep {
				rows := min(triangleStep, n-key)
				i := k0 + key - t // the first query that sees the key
				at := (k0+key)*kvWidth + c
				code.gemm(h.dv[at:], kvWidth, p[i*stride+key:], 1, stride, dos[i*br:], br, rows, nc, m-i, true)
				code.gemm(h.dk[at:], kvWidth, dp[i*stride+key:], 1, stride, qs[i*br:], br, rows, nc, m-i, true)
			}
		}
		if h.makesQueries {
			keys := h.keys[c*packed+k0*br:]
			if below > 0 {
				code.gemm(dq[c:], wide, dp, stride, 1, keys, br, m, nc, below, true)
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
}
