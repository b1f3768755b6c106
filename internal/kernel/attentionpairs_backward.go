package kernel

// pairHead is a key head of a row, or a piece of one, in a backward pass with products in
// bf16. Its tokens count from the first of its keys. The gradients of keys and values are
// summed as columns, [HeadDim, keys], so that P and dS are the right factors of these
// products as they are, with the queries down their rows.
type pairHead struct {
	backHead
	n, wide                    int      // keys and HeadDim, filled up to multiples of 32
	keys, values, keysDown     []uint32 // right factors of q·kᵀ, do·vᵀ and dS·k
	dkColumns, dvColumns       []float32
	head, t, m                 int // m queries of a head, the first of them t
	q, do, qColumns, doColumns []uint16
}

// computePairs is compute with products in bf16.
func (h *backHead) computePairs(w *worker, b, kv int) {
	s, d, n := h.s, h.s.HeadDim, h.keyEnd-h.firstKey
	if n <= 0 {
		return
	}
	kvWidth, group := s.KVHeads*d, s.Heads/s.KVHeads
	h.row = b * s.T
	at := (h.row+h.firstKey)*kvWidth + kv*d
	p := pairHead{backHead: *h, n: padded(n), wide: padded(d)}
	p.values = acrossRows(&w.values, copyRows(&w.halves, h.pairs.v[at:], kvWidth, n, d, p.wide), p.n, p.wide)
	keys := copyRows(&w.halves, h.pairs.k[at:], kvWidth, n, d, p.wide)
	p.keys = acrossRows(&w.keys, keys, p.n, p.wide)
	if h.makesQueries {
		p.keysDown = h.pairs.downRows(&w.keyRows, keys, p.n, p.wide)
	}
	if h.makesKeys {
		p.dkColumns, p.dvColumns = grow(&w.pairs.dk, d*p.n), grow(&w.pairs.dv, d*p.n)
		clear(p.dkColumns)
		clear(p.dvColumns)
	}
	for p.head = kv * group; p.head < (kv+1)*group; p.head++ {
		for block := h.firstQuery; block < h.queryEnd; block += pairQueries {
			p.t, p.m = block-h.firstKey, min(pairQueries, h.queryEnd-block)
			p.block(w)
		}
	}
	if h.makesKeys {
		code.transpose(h.attentionBackJob.dk[at:], kvWidth, p.dkColumns, p.n, d, n)
		code.transpose(h.attentionBackJob.dv[at:], kvWidth, p.dvColumns, p.n, d, n)
	}
}

// block adds what the queries at hand contribute.
func (h *pairHead) block(w *worker) {
	s, d, m := h.s, h.s.HeadDim, h.m
	t := h.row + h.firstKey + h.t
	width := s.Heads * d
	at := t*width + h.head*d
	for i := 0; i < m && h.makesQueries; i++ {
		clear(h.dq[at+i*width : at+i*width+d])
	}
	h.q = copyRows(&w.a, h.pairs.q[at:], width, m, d, h.wide)
	h.do = h.pairs.roundRows(&w.b, h.attentionBackJob.do[at:], width, m, d, h.wide)
	if h.makesKeys {
		h.qColumns = h.pairs.columns(&w.pairs.q, &w.halves, h.q, padded(m), h.wide)
		h.doColumns = h.pairs.columns(&w.pairs.do, &w.halves, h.do, padded(m), h.wide)
	}
	o := grow(&w.wide, d)
	for i := range m {
		code.widen.halves(o, h.pairs.o[at+i*width:at+i*width+d])
		w.delta[i] = code.dot(h.attentionBackJob.do[at+i*width:at+i*width+d], o)
		w.lse[i] = h.lse[(t+i)*s.Heads+h.head]
	}
	first := max(0, s.firstKey(h.positions, h.row, t-h.row, m)-h.firstKey)
	end := min(h.t+padded(m), h.n)
	for k0 := first; k0 < end; {
		k1 := min(k0/keyBlock*keyBlock+keyBlock, end)
		p, ds := h.scores(w, k0, k1)
		if h.makesKeys {
			h.addKeys(w, p, ds, k0, k1)
		}
		if h.makesQueries {
			h.addQueries(w, h.dq[at:], ds, k0, k1)
		}
		k0 = k1
	}
}

// pairScores is the distance between rows of scores: an odd number of cache lines.
const pairScores = keyBlock + panelCols

// scores returns P and dS of the queries at hand and the keys k0 … k1-1, rounded.
func (h *pairHead) scores(w *worker, k0, k1 int) (p, ds []uint16) {
	const stride = pairScores
	m, wide := h.m, h.wide
	scores, dscores := grow(&w.scores, pairQueries*stride), grow(&w.dscores, pairQueries*stride)
	for n0 := k0; n0 < k1; n0 += panelCols {
		i := max(0, n0-h.t) // the queries before it see none of these keys
		to, panel, panelEnd := i*stride+n0-k0, n0*wide/2, (n0+panelCols)*wide/2
		h.pairs.gemm(w, scores[to:], stride, h.q[i*wide:], wide, h.keys[panel:panelEnd], m-i, panelCols, wide, false)
		h.pairs.gemm(w, dscores[to:], stride, h.do[i*wide:], wide, h.values[panel:panelEnd], m-i, panelCols, wide, false)
	}
	t := h.firstKey + h.t
	for i := 0; i < m; {
		start, stop := h.s.reach(h.positions, h.row, t+i, t+m)
		from := min(max(start-h.firstKey, k0), k1)
		at := i*stride + from - k0
		h.s.softmaxBack(w, scores[at:], dscores[at:], stride, stop-t-i, h.t+i+1-from, k1-from, w.lse[i:], w.delta[i:])
		for ; t+i < stop; i++ {
			seen := max(from, min(h.t+i+1, k1)) - k0
			for _, x := range [][]float32{scores, dscores} {
				row := x[i*stride : i*stride+k1-k0]
				clear(row[:from-k0])
				clear(row[seen:])
			}
		}
	}
	return h.pairs.roundRows(&w.pairs.p, scores, stride, m, k1-k0, stride), h.pairs.roundRows(&w.pairs.ds, dscores, stride, m, k1-k0, stride)
}

// addKeys adds to the gradients of the keys k0 … k1-1 and of their values.
func (h *pairHead) addKeys(w *worker, p, ds []uint16, k0, k1 int) {
	d, all := h.s.HeadDim, padded(h.m)
	for n0 := k0; n0 < k1; n0 += panelCols {
		i := max(0, n0-h.t)
		at, k := i*pairScores+n0-k0, all-i
		panel := asWords(grow(&w.pairs.panel, panelCols*k/2))
		h.pairs.interleave(panel, p[at:], pairScores, panelCols, k/2)
		h.pairs.gemm(w, h.dvColumns[n0:], h.n, h.doColumns[i:], all, panel, d, panelCols, k, true)
		h.pairs.interleave(panel, ds[at:], pairScores, panelCols, k/2)
		h.pairs.gemm(w, h.dkColumns[n0:], h.n, h.qColumns[i:], all, panel, d, panelCols, k, true)
	}
}

// addQueries adds to the gradients of the queries at hand what the keys k0 … k1-1
// contribute.
func (h *pairHead) addQueries(w *worker, dq []float32, ds []uint16, k0, k1 int) {
	d, width := h.s.HeadDim, h.s.Heads*h.s.HeadDim
	below := max(0, min(h.t-k0, k1-k0)) // keys that all of the queries come behind
	for c := 0; c < d; c += panelCols {
		nc, keys := min(panelCols, d-c), h.keysDown[c*h.n/2+k0/2*panelCols:]
		if below > 0 {
			h.pairs.gemm(w, dq[c:], width, ds, pairScores, keys, h.m, nc, below, true)
		}
		for i := 0; i < h.m; i += panelCols {
			if k := min(h.t+i+panelCols, k1) - k0 - below; k > 0 {
				h.pairs.gemm(w, dq[i*width+c:], width, ds[i*pairScores+below:], pairScores, keys[below/2*panelCols:], min(panelCols, h.m-i), nc, k, true)
			}
		}
	}
}
