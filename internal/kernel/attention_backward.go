package kernel

import (
	"math"
	"runtime"
	"sync/atomic"
)

const (
	// keyBlock is the number of keys that the backward pass looks at together.
	keyBlock = 256
	// rangeStep is what the ranges of keys are multiples of: the columns of every level.
	rangeStep = 32
)

// attentionBackJob is the backward pass of some rows of attention. An item is a
// range of the keys of one key head. Ranges of one head go through its queries in
// the same order, each behind the one before it, because dq is a chain over the keys
// in their order: a range waits until the one before it has done with some queries.
// An item needs lower items only, and these are taken first.
type attentionBackJob struct {
	dq, dk, dv, do, o, lse, q, k, v []float32
	positions                       []int32
	s                               AttentionShape
	ranges                          int            // of the keys of a head
	progress                        []atomic.Int64 // by item: blocks of queries done
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
	j := &t.jobs.attentionBack
	progress := j.progress
	*j = attentionBackJob{dq: dq, dk: dk, dv: dv, do: do, o: o, lse: lse, q: q, k: k, v: v, positions: positions, s: s, ranges: 1}
	heads := s.B * s.KVHeads
	for heads > 0 && heads*j.ranges < 3*t.threads && t.threads > 1 && s.T >= 4*queryBlock*j.ranges {
		j.ranges *= 2
	}
	items := heads * j.ranges
	if len(progress) < items {
		progress = make([]atomic.Int64, items)
	}
	j.progress = progress
	for i := range items {
		progress[i].Store(0)
	}
	work := s.T * s.T * s.HeadDim * s.Heads / s.KVHeads / j.ranges
	t.split(j, items, max(1, 50_000/max(1, work)))
}

// bound is the first key of range r. Ranges have about the same number of pairs of
// a key and a query: the keys from T·√(1 − r/ranges) before the end on have the share
// 1 − r/ranges of all.
func (j *attentionBackJob) bound(r int) int {
	if r == j.ranges {
		return j.s.T
	}
	t := float64(j.s.T)
	return int(t-t*math.Sqrt(1-float64(r)/float64(j.ranges))) / rangeStep * rangeStep
}

// after waits until an item has done more than some blocks of queries.
func (j *attentionBackJob) after(item int, blocks int64) {
	for round := 1; j.progress[item].Load() <= blocks; round++ {
		if pause(); round%(16*spinRounds) == 0 {
			runtime.Gosched()
			yield()
		}
	}
}

func (j *attentionBackJob) run(w *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		if i+1 < hi && j.ranges == 1 {
			j.s.prefetch(i+1, j.s.Heads/j.s.KVHeads, j.q, j.do, j.o, j.dq)
			j.s.prefetch(i+1, 1, j.k, j.v, j.dk, j.dv)
		}
		j.head(w, i)
	}
}

// head computes everything that belongs to an item: one key head of one row, or a
// range of its keys.
func (j *attentionBackJob) head(w *worker, item int) {
	s, d := j.s, j.s.HeadDim
	head, r := item/j.ranges, item%j.ranges
	b, kv := head/s.KVHeads, head%s.KVHeads
	lo, hi := j.bound(r), j.bound(r+1)
	kvWidth := s.KVHeads * d
	at := (b*s.T+lo)*kvWidth + kv*d
	h := backHead{attentionBackJob: j, row: b * s.T, lo: lo, hi: hi, first: r == 0}
	if n := hi - lo; n > 0 {
		h.dk, h.dv = j.dk[at:], j.dv[at:]
		h.keysT = w.packRowsT(&w.keys, j.k[at:], kvWidth, n, d)
		h.valuesT = w.packRowsT(&w.values, j.v[at:], kvWidth, n, d)
		h.keys = w.packRows(&w.keyRows, j.k[at:], kvWidth, n, d)
		for t := range n {
			clear(h.dk[t*kvWidth : t*kvWidth+d])
			clear(h.dv[t*kvWidth : t*kvWidth+d])
		}
	}
	group, done := s.Heads/s.KVHeads, int64(0)
	for head := kv * group; head < (kv+1)*group; head++ {
		for block := 0; block < s.T; block += queryBlock {
			if r > 0 {
				j.after(item-1, done)
			}
			limit := min(block+queryBlock, s.T)
			for t := block; t < limit; {
				start, end := segment(j.positions, h.row, t, limit)
				h.queries(w, head, start, t, end-t)
				t = end
			}
			done++
			j.progress[item].Store(done)
		}
	}
}

// backHead is a key head, or a range of its keys, with the keys and values packed.
type backHead struct {
	*attentionBackJob
	row                  int  // index of the row's first token
	lo, hi               int  // the keys, counted from the row's first
	first                bool // this is the first range
	dk, dv               []float32
	keysT, valuesT, keys []float32
}

// queries adds what m queries of a head, the first at t, contribute.
func (h *backHead) queries(w *worker, head, start, t, m int) {
	s, d := h.s, h.s.HeadDim
	width := s.Heads * d
	at := (h.row+t)*width + head*d
	q, do, o, dq := h.q[at:], h.do[at:], h.o[at:], h.dq[at:]
	if h.first {
		for i := range m {
			clear(dq[i*width : i*width+d])
		}
	}
	first, end := max(start, h.lo), min(t+m, h.hi)
	if first >= end {
		return
	}
	packedQ := w.packRows(&w.a, q, width, m, d)
	packedDo := w.packRows(&w.b, do, width, m, d)
	for i := range m {
		w.delta[i] = code.dot(do[i*width:i*width+d], o[i*width:i*width+d])
		w.lse[i] = h.lse[(h.row+t+i)*s.Heads+head]
	}
	// From here on keys, and queries with them, are counted from the first of the range.
	for k0, k1 := first-h.lo, 0; k0 < end-h.lo; k0 = k1 {
		k1 = min(k0/keyBlock*keyBlock+keyBlock, end-h.lo)
		h.block(w, q, do, dq, packedQ, packedDo, k0, k1, t-h.lo, m)
	}
}

// block adds what m queries from t on and the keys k0 … k1-1 contribute to each other.
func (h *backHead) block(w *worker, q, do, dq, packedQ, packedDo []float32, k0, k1, t, m int) {
	const stride = keyBlock + 16 // no power of two: columns of the scores are read too
	s, d, cols := h.s, h.s.HeadDim, code.cols
	width, kvWidth := s.Heads*d, s.KVHeads*d
	from := k0 / cols * cols
	scores, dscores := grow(&w.scores, m*stride), grow(&w.dscores, m*stride)
	for n0 := from; n0 < k1; n0 += cols {
		i, n := max(0, n0-t), min(cols, k1-n0)
		at := i*stride + n0 - from
		code.gemm(scores[at:], stride, q[i*width:], width, 1, h.keysT[n0*d:], cols, m-i, n, d, false)
		code.gemm(dscores[at:], stride, do[i*width:], width, 1, h.valuesT[n0*d:], cols, m-i, n, d, false)
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
		keys, qs, dos := h.keys[c*(h.hi-h.lo)+k0*cols:], packedQ[c*m:], packedDo[c*m:]
		if below > 0 {
			code.gemm(h.dv[k0*kvWidth+c:], kvWidth, p, 1, stride, dos, cols, below, nc, m, true)
			code.gemm(h.dk[k0*kvWidth+c:], kvWidth, dp, 1, stride, qs, cols, below, nc, m, true)
			code.gemm(dq[c:], width, dp, stride, 1, keys, cols, m, nc, below, true)
		}
		for key := below; key < n; key += triangleStep {
			rows := min(triangleStep, n-key)
			i := k0 + key - t // the first query that sees the key
			at := (k0+key)*kvWidth + c
			code.gemm(h.dv[at:], kvWidth, p[i*stride+key:], 1, stride, dos[i*cols:], cols, rows, nc, m-i, true)
			code.gemm(h.dk[at:], kvWidth, dp[i*stride+key:], 1, stride, qs[i*cols:], cols, rows, nc, m-i, true)
		}
		for i := 0; i < m && below < n; i += triangleStep {
			rows := min(triangleStep, m-i)
			seen := min(t+i+rows-k0, n) // by the last of these queries
			if seen > below {
				code.gemm(dq[i*width+c:], width, dp[i*stride+below:], stride, 1, keys[below*cols:], cols, rows, nc, seen-below, true)
			}
		}
	}
}
