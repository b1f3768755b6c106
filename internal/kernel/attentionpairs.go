package kernel

// This file is attention whose products are made in bf16 (see [BF16]); softmax and the
// sums of its rows are float32. Tokens count from the beginning of their row, queries
// are looked at in blocks that begin at multiples of 32 and keys in panels of 32, so
// that the two of a pair are always an even token and the next one.

// pairQueries is the number of queries whose scores are computed at a time.
const pairQueries = 64

// roundedHeads are results, queries, keys and values in bf16, and how they are multiplied.
// Without a pairing products are float32.
type roundedHeads struct {
	*pairing
	o, q, k, v []uint16
}

// AttentionRounded is the number of float32 numbers in whose place o, q, k and v are kept
// in bf16.
func AttentionRounded(s AttentionShape) int {
	return s.B * s.T * (s.Heads + s.KVHeads) * s.HeadDim
}

// heads divides memory of the size AttentionRounded.
func (s AttentionShape) heads(rounded []float32) roundedHeads {
	check(len(rounded) >= AttentionRounded(s), "AttentionBF16: rounded is too short")
	wide, narrow := s.B*s.T*s.Heads*s.HeadDim, s.B*s.T*s.KVHeads*s.HeadDim
	all := asHalves(rounded)
	k := all[2*wide:]
	return roundedHeads{activePairs(), all[:wide], all[wide : 2*wide], k[:narrow], k[narrow : 2*narrow]}
}

// AttentionBF16 is Attention with all products made in bf16: q, k, v and the
// exponentials are rounded. lse and the sums that o is divided by are made of
// exponentials that are not. rounded, of the size [AttentionRounded], receives o, q, k and
// v for the backward pass. A segment's bits depend on whether it begins at an even token.
func AttentionBF16(t *Team, o, lse, rounded, q, k, v []float32, positions []int32, s AttentionShape) {
	s.check()
	s.checkInputs(q, k, v)
	pairs := s.heads(rounded)
	t = t.single() // attend gives it back
	t.step = 2 * elementGrain
	for _, j := range []halvesJob{{pairs.q, q}, {pairs.k, k}, {pairs.v, v}} {
		t.jobs.halves = j
		t.share(&t.jobs.halves, len(j.dst), elementGrain)
	}
	t.attend(attentionJob{pairs: pairs, o: o, lse: lse, positions: positions, s: s, keys: s.T})
}

// AttentionBackwardBF16 is AttentionBackward with all products made in bf16: do, P and dS
// are rounded too, and D = Σ do·o is made of the rounded o. rounded is what AttentionBF16
// left.
func AttentionBackwardBF16(t *Team, dq, dk, dv, do, lse, rounded []float32, positions []int32, s AttentionShape) {
	s.check()
	t.attendBack(attentionBackJob{pairs: s.heads(rounded), dq: dq, dk: dk, dv: dv, do: do, lse: lse, positions: positions, s: s})
}

// A halvesJob rounds numbers to bf16.
type halvesJob struct {
	dst []uint16
	src []float32
}

func (j *halvesJob) run(_ *worker, lo, hi int) { code.widen.round(j.dst[lo:hi], j.src[lo:hi]) }

// roundRows rounds n rows of d numbers. They begin wide numbers apart, and behind them are rows
// of zeros up to a multiple of 32.
func (p *pairing) roundRows(buffer *[]float32, x []float32, stride, n, d, wide int) []uint16 {
	all := padded(n)
	rows := asHalves(grow(buffer, (all+panelCols)*wide/2)) // as many as gemm may read
	for i := range n {
		p.round(rows[i*wide:(i+1)*wide], x[i*stride:i*stride+d])
	}
	clear(rows[n*wide : all*wide])
	return rows
}

// copyRows is roundRows for numbers that are rounded already.
func copyRows(buffer *[]float32, x []uint16, stride, n, d, wide int) []uint16 {
	all := padded(n)
	rows := asHalves(grow(buffer, (all+panelCols)*wide/2))
	for i := range n {
		clear(rows[i*wide+copy(rows[i*wide:], x[i*stride:i*stride+d]) : (i+1)*wide])
	}
	clear(rows[n*wide : all*wide])
	return rows
}

// acrossRows makes panels of pairs for a product that sums over the columns of rows: one
// for each 32 of n rows.
func acrossRows(buffer *[]float32, rows []uint16, n, wide int) []uint32 {
	panels := grow(buffer, n*wide/2)
	for r := 0; r < n; r += panelCols {
		code.transpose(panels[r*wide/2:], panelCols, asFloats(rows[r*wide:(r+panelCols)*wide]), wide/2, panelCols, wide/2)
	}
	return asWords(panels)
}

// downRows makes panels of pairs for a product that sums over rows: one for each 32
// columns.
func (p *pairing) downRows(buffer *[]float32, rows []uint16, n, wide int) []uint32 {
	panels := asWords(grow(buffer, n*wide/2))
	for c := 0; c < wide; c += panelCols {
		p.interleave(panels[c*n/2:(c+panelCols)*n/2], rows[c:], wide, panelCols, n/2)
	}
	return panels
}

// columns returns the transpose of n rows.
func (p *pairing) columns(buffer, panels *[]float32, rows []uint16, n, wide int) []uint16 {
	p.downRows(panels, rows, n, wide)
	columns := grow(buffer, (wide+panelCols)*n/2)
	for c := 0; c < wide; c += panelCols {
		code.transpose(columns[c*n/2:], n/2, (*panels)[c*n/2:], panelCols, n/2, panelCols)
	}
	return asHalves(columns)
}

// headPairs is head with products in bf16.
func (j *attentionJob) headPairs(w *worker, b, kv, split int) {
	s, d := j.s, j.s.HeadDim
	kvWidth, group, n, wide := s.KVHeads*d, s.Heads/s.KVHeads, padded(s.T), padded(d)
	at := b*s.T*kvWidth + kv*d
	keys := acrossRows(&w.keys, copyRows(&w.halves, j.pairs.k[at:], kvWidth, s.T, d, wide), n, wide)
	values := j.pairs.downRows(&w.values, copyRows(&w.halves, j.pairs.v[at:], kvWidth, s.T, d, wide), n, wide)
	for block := split * pairQueries; block < s.T; block += j.splits * pairQueries {
		for h := kv * group; h < (kv+1)*group; h++ {
			j.queriesPairs(w, b, h, block, min(pairQueries, s.T-block), keys, values)
		}
	}
}

// queriesPairs computes m queries of a head, the first of them t.
func (j *attentionJob) queriesPairs(w *worker, b, h, t, m int, keys, values []uint32) {
	s, d, p := j.s, j.s.HeadDim, &j.pairs
	wide, width, n := padded(d), s.Heads*d, padded(s.T)
	at := (b*s.T+t)*width + h*d
	q := copyRows(&w.a, j.pairs.q[at:], width, m, d, wide)
	from, end := s.firstKey(j.positions, b*s.T, t, m), t+padded(m)
	stride := (end - from) | panelCols
	scores := grow(&w.scores, pairQueries*stride)
	for n0 := from; n0 < end; n0 += panelCols {
		i := max(0, n0-t) // the queries before it see none of these keys
		p.gemm(w, scores[i*stride+n0-from:], stride, q[i*wide:], wide, keys[n0*wide/2:(n0+panelCols)*wide/2], m-i, panelCols, wide, false)
	}
	for i := 0; i < m; {
		start, stop := s.reach(j.positions, b*s.T, t+i, t+m)
		s.softmax(scores[i*stride+start-from:], stride, stop-t-i, t+i+1-start, w.largest[i:], w.sum[i:])
		for ; t+i < stop; i++ {
			row := scores[i*stride : i*stride+end-from]
			clear(row[:start-from])
			clear(row[t+i+1-from:])
			if j.lse != nil {
				j.lse[(b*s.T+t+i)*s.Heads+h] = logSum(w.largest[i], w.sum[i])
			}
		}
	}
	e := p.roundRows(&w.a, scores, stride, m, end-from, stride)
	for c := 0; c < d; c += panelCols {
		nc := min(panelCols, d-c)
		v := values[c*n/2+from/2*panelCols:]
		below := t - from // keys that all of these queries come behind
		if below > 0 {
			p.gemm(w, j.o[at+c:], width, e, stride, v, m, nc, below, false)
		}
		for i := 0; i < m; i += panelCols {
			p.gemm(w, j.o[at+i*width+c:], width, e[i*stride+below:], stride, v[below/2*panelCols:], min(panelCols, m-i), nc, i+panelCols, below > 0)
		}
	}
	for i := range m {
		row := j.o[at+i*width : at+i*width+d]
		code.scale(row, row, 1/w.sum[i], false)
		code.widen.round(p.o[at+i*width:at+i*width+d], row)
	}
}

// firstKey returns the first key that any of m queries from t on attends to, or up to 31
// fewer: a multiple of 32.
func (s AttentionShape) firstKey(positions []int32, row, t, m int) int {
	first := t
	for i := 0; i < m; {
		start, end := s.reach(positions, row, t+i, t+m)
		first, i = min(first, start), end-t
	}
	return first &^ (panelCols - 1)
}
