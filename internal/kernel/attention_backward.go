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
		next := &w.next
		if *next = (upcoming{}); i+1 < min(hi, j.whole) {
			next.head(j.s, i+1, 1, j.k, j.v, j.dk, j.dv)
			next.head(j.s, i+1, j.s.Heads/j.s.KVHeads, j.q, j.do, j.o, j.dq)
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
		next.rest()
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
	keysT, valuesT       []float32
	keys                 rows
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
		h.keys = w.rowsOf(&w.keyRows, h.k[at:], kvWidth, n, d)
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

// backQueries are m neighbouring queries of a head and segment, the first of them token
// t, counted from the first of the keys, as is the start of their segment.
type backQueries struct {
	t, m      int
	start     int
	q, do, dq []float32
	qs, dos   rows
	again     bool // another head has contributed to dk and dv of the keys
}

// queries adds what m queries of a head, the first at t, contribute.
func (h *backHead) queries(w *worker, head, start, t, m int) {
	s, d := h.s, h.s.HeadDim
	width := s.Heads * d
	at := (h.row+t)*width + head*d
	first, end := max(s.seen(start, t), h.firstKey)-h.firstKey, min(t+m, h.keyEnd)-h.firstKey
	if first >= end {
		return
	}
	b := backQueries{t: t - h.firstKey, m: m, start: start - h.firstKey, q: h.q[at:], do: h.do[at:], dq: h.dq[at:], again: head%(s.Heads/s.KVHeads) > 0}
	b.qs, b.dos = w.rowsOf(&w.a, b.q, width, m, d), w.rowsOf(&w.b, b.do, width, m, d)
	for i := range m {
		w.delta[i] = code.dot(b.do[i*width:i*width+d], h.o[at+i*width:at+i*width+d])
		w.lse[i] = h.lse[(h.row+t+i)*s.Heads+head]
	}
	for k0 := first; k0 < end; {
		k1 := min(k0/keyBlock*keyBlock+keyBlock, end)
		h.block(w, &b, k0, k1, k0 > first)
		k0 = k1
	}
}

// block adds what some queries and the keys k0 … k1-1 contribute to each other; add says
// that other keys have contributed to dq.
func (h *backHead) block(w *worker, b *backQueries, k0, k1 int, add bool) {
	const stride = keyBlock + 16 // no power of two: columns of the scores are read too
	s, d, cols := h.s, h.s.HeadDim, code.cols
	wide, m, n := s.Heads*d, b.m, k1-k0
	packed := h.keyEnd - h.firstKey
	from := k0 / cols * cols
	scores, dscores := grow(&w.scores, m*stride), grow(&w.dscores, m*stride)
	for n0 := from; n0 < k1; n0 += cols {
		br, n := width(min(cols, packed-n0)), min(cols, k1-n0)
		seenBy(n0-b.t, n, m, func(i, m, n int) {
			at := i*stride + n0 - from
			code.gemm(scores[at:], stride, b.q[i*wide:], wide, 1, h.keysT[n0*d:], br, m, n, d, false)
			code.gemm(dscores[at:], stride, b.do[i*wide:], wide, 1, h.valuesT[n0*d:], br, m, n, d, false)
			w.next.some()
		})
	}
	p, dp := scores[k0-from:], dscores[k0-from:]
	for i := 0; i < m; {
		first := min(max(s.seen(b.start, b.t+i)-k0, 0), n) // keys that come before the window
		rows := s.alike(max(b.start, k0), b.t+i, b.t+m)
		at := i * stride
		clear(p[at : at+first])
		clear(dp[at : at+first])
		s.softmaxBack(w, p[at+first:], dp[at+first:], stride, rows, b.t+i+1-k0-first, n-first, w.lse[i:], w.delta[i:])
		i += rows
	}
	for i := range m {
		if seen := max(0, b.t+i+1-k0); seen < n {
			clearEdge(p[i*stride+seen:])
			clearEdge(dp[i*stride+seen:])
		}
	}
	// All queries see the keys before the first of them; from there on the triangle begins.
	below := max(0, min(b.t-k0, n))
	for c := 0; c < d; c += cols {
		if h.makesKeys {
			h.addToKeys(w, b, p, dp, stride, k0, n, below, c)
		}
		if h.makesQueries {
			h.addToQueries(w, b, dp, stride, k0, n, below, c, add)
		}
	}
}

// addToKeys adds to the columns of dk and dv from c on. The first query that sees a key
// is its own, so what contributes first is at the edge of the triangle.
func (h *backHead) addToKeys(w *worker, b *backQueries, p, dp []float32, stride, k0, n, below, c int) {
	kvWidth, nc := h.s.KVHeads*h.s.HeadDim, min(code.cols, h.s.HeadDim-c)
	at := k0*kvWidth + c
	if below > 0 {
		q, br := b.qs.panel(0, c)
		do, _ := b.dos.panel(0, c)
		code.gemm(h.dv[at:], kvWidth, p, 1, stride, do, br, below, nc, b.m, true)
		code.gemm(h.dk[at:], kvWidth, dp, 1, stride, q, br, below, nc, b.m, true)
	}
	for key := below; key < n; key += triangleStep {
		count := min(triangleStep, n-key)
		i := k0 + key - b.t // the first query that sees the key
		q, br := b.qs.panel(i, c)
		do, _ := b.dos.panel(i, c)
		code.gemm(h.dv[at+key*kvWidth:], kvWidth, p[i*stride+key:], 1, stride, do, br, count, nc, b.m-i, b.again)
		code.gemm(h.dk[at+key*kvWidth:], kvWidth, dp[i*stride+key:], 1, stride, q, br, count, nc, b.m-i, b.again)
		w.next.some()
	}
}

// addToQueries adds to the columns of dq from c on, or sets them without add.
func (h *backHead) addToQueries(w *worker, b *backQueries, dp []float32, stride, k0, n, below, c int, add bool) {
	wide, nc := h.s.Heads*h.s.HeadDim, min(code.cols, h.s.HeadDim-c)
	if below > 0 {
		keys, br := h.keys.panel(k0, c)
		code.gemm(b.dq[c:], wide, dp, stride, 1, keys, br, b.m, nc, below, add)
		add = true
	}
	for i := 0; i < b.m && below < n; i += triangleStep {
		count := min(triangleStep, b.m-i)
		seen := min(b.t+i+count-k0, n) // by the last of these queries
		if seen > below {
			keys, br := h.keys.panel(k0+below, c)
			code.gemm(b.dq[i*wide+c:], wide, dp[i*stride+below:], stride, 1, keys, br, count, nc, seen-below, add)
			w.next.some()
		}
	}
}
