package kernel

// An AttentionShape is the shape of causal attention over B rows of T tokens.
// Heads/KVHeads neighbouring query heads share a key head. Scale multiplies the
// scores, usually 1/√HeadDim.
type AttentionShape struct {
	B, T, Heads, KVHeads, HeadDim int
	Scale                         float32
}

func (s AttentionShape) check() {
	check(s.B >= 0 && s.T >= 0 && s.KVHeads > 0 && s.Heads%s.KVHeads == 0 && s.HeadDim > 0, "a wrong shape of attention")
}

// AttentionScratch is the number of elements of scratch that AttentionBackward
// needs: none, its blocks live with the threads of the team.
func AttentionScratch(s AttentionShape) int { return 0 }

const (
	// queryBlock is the number of queries whose scores are computed at a time.
	queryBlock = 48
	// triangleStep is the number of queries, or keys, between which the edge of the
	// causal triangle is followed.
	triangleStep = 12
)

// attentionJob is one or several rows of causal attention. An item is a piece of
// the queries of one key head: every splits-th block of queryBlock queries.
type attentionJob struct {
	o, lse, q, k, v []float32
	positions       []int32 // nil: one segment
	s               AttentionShape
	keys            int // rows of k and v for each of the B rows
	first           int // the index of a row's first query among the keys
	splits          int
}

// Attention computes causal attention
//
//	o = softmax(Scale·q·kᵀ)·v,  lse = log Σ exp(Scale·q·kᵀ)
//
// for q, o [B·T, Heads·HeadDim], k, v [B·T, KVHeads·HeadDim], lse [B·T, Heads].
// Token t of a row attends to the tokens t − positions[t] … t of the row, so that
// segments of a packed row do not see each other. The scores of a few queries
// exist at a time. A token's result depends on its segment alone, to the bit: it is
// the same packed with others or not. (Differs from the online softmax of Dao
// and others, 2022, in that the scores of a query are all there before the
// largest is taken; a thread's buffer grows with T, not with T².)
func Attention(t *Team, o, lse, q, k, v []float32, positions []int32, s AttentionShape) {
	s.check()
	n := s.B * s.T
	check(len(o) >= n*s.Heads*s.HeadDim && len(q) >= n*s.Heads*s.HeadDim && len(lse) >= n*s.Heads &&
		len(k) >= n*s.KVHeads*s.HeadDim && len(v) >= n*s.KVHeads*s.HeadDim && len(positions) >= n,
		"Attention: a slice is too short")
	t = t.single()
	t.jobs.attention = attentionJob{o: o, lse: lse, q: q, k: k, v: v, positions: positions, s: s, keys: s.T}
	t.splitAttention(&t.jobs.attention)
}

// CachedAttention is Attention for n queries of one row that stand at first …
// first+n-1, over the rows 0 … first+n-1 of a cache of keys and values, all one
// segment: q, o [n, Heads·HeadDim]; kcache, vcache [capacity, KVHeads·HeadDim].
// B and T of the shape are not looked at. The bits are those of Attention.
func CachedAttention(t *Team, o, q, kcache, vcache []float32, first, n int, s AttentionShape) {
	s.B, s.T = 1, n
	s.check()
	check(first >= 0 && len(o) >= n*s.Heads*s.HeadDim && len(q) >= n*s.Heads*s.HeadDim &&
		len(kcache) >= (first+n)*s.KVHeads*s.HeadDim && len(vcache) >= (first+n)*s.KVHeads*s.HeadDim,
		"CachedAttention: a slice is too short")
	t = t.single()
	t.jobs.attention = attentionJob{o: o, q: q, k: kcache, v: vcache, s: s, keys: first + n, first: first}
	t.splitAttention(&t.jobs.attention)
}

// splitAttention splits the queries of a key head only if there are few heads,
// because each piece packs the keys and values anew.
func (t *Team) splitAttention(j *attentionJob) {
	heads := j.s.B * j.s.KVHeads
	j.splits = 1
	for heads > 0 && heads*j.splits < 3*t.threads && j.s.T >= 4*queryBlock*j.splits {
		j.splits *= 2
	}
	work := j.s.T * j.keys * j.s.HeadDim * j.s.Heads / j.s.KVHeads / j.splits
	t.split(j, heads*j.splits, max(1, 100_000/max(1, work)))
}

func (j *attentionJob) run(w *worker, lo, hi int) {
	group := j.s.Heads / j.s.KVHeads
	for i := lo; i < hi; i++ {
		head := i / j.splits
		if i+1 < hi && j.splits == 1 && j.keys == j.s.T {
			j.s.prefetch(head+1, group, j.q, j.o)
			j.s.prefetch(head+1, 1, j.k, j.v)
		}
		j.head(w, head/j.s.KVHeads, head%j.s.KVHeads, i%j.splits)
	}
}

// prefetch brings the rows of a head (counted over all B rows) nearer, in tensors
// that are width heads wide for each key head, unless they are large: the rows of
// one head lie apart, so that the hardware does not foresee them.
func (s AttentionShape) prefetch(head, width int, tensors ...[]float32) {
	const large = 1 << 13
	d := width * s.HeadDim
	if s.T*d > large {
		return
	}
	at := (head/s.KVHeads*s.T*s.KVHeads + head%s.KVHeads) * d
	for _, x := range tensors {
		code.prefetch(x[at:], s.KVHeads*d, s.T, d)
	}
}

// start returns the first key that query t of row b attends to, and the end of
// the queries from t on, before limit, that start at the same key.
func (j *attentionJob) start(b, t, limit int) (start, end int) {
	return segment(j.positions, b*j.s.T, t, limit)
}

func segment(positions []int32, row, t, limit int) (start, end int) {
	if positions == nil {
		return 0, limit
	}
	start = t - int(positions[row+t])
	check(start >= 0, "a position is larger than its index in the row")
	for end = t + 1; end < limit && end-int(positions[row+end]) == start; {
		end++
	}
	return start, end
}

func (j *attentionJob) head(w *worker, b, kv, split int) {
	s, d := j.s, j.s.HeadDim
	width, kvWidth := s.Heads*d, s.KVHeads*d
	keys, values := j.k[b*j.keys*kvWidth+kv*d:], j.v[b*j.keys*kvWidth+kv*d:]
	if s.T == 1 && j.lse == nil {
		j.one(w, kv, operand{keys, 1, kvWidth}, operand{values, kvWidth, 1})
		return
	}
	packedK := w.packRowsT(&w.keys, keys, kvWidth, j.keys, d)
	packedV := w.packRows(&w.values, values, kvWidth, j.keys, d)
	for block := split * queryBlock; block < s.T; block += j.splits * queryBlock {
		limit := min(block+queryBlock, s.T)
		for t := block; t < limit; {
			start, end := j.start(b, t, limit)
			for h := kv * s.Heads / s.KVHeads; h < (kv+1)*s.Heads/s.KVHeads; h++ {
				at := (b*s.T+t)*width + h*d
				j.queries(w, operand{j.q[at:], width, 1}, j.o[at:], packedK, packedV, start, j.first+t, end-t)
				if j.lse != nil {
					for i := range end - t {
						j.lse[(b*s.T+t+i)*s.Heads+h] = w.lse[i]
					}
				}
			}
			t = end
		}
	}
}

// one computes a single query of each head that shares a key head. Keys and values are
// used where they are: to pack them would take longer than to multiply.
func (j *attentionJob) one(w *worker, kv int, keys, values operand) {
	d, n := j.s.HeadDim, j.s.Heads/j.s.KVHeads
	stride := (j.keys + 15) &^ 15
	scores, sum := grow(&w.scores, n*stride), grow(&w.wide, n)
	q, o := j.q[kv*n*d:], j.o[kv*n*d:]
	code.prefetch(values.data, values.row, j.keys, d)
	// A register's worth of keys takes no longer than one: those behind the last one, where
	// the cache has any, are left out of the sums.
	all := j.keys
	if (stride-1)*keys.col+d <= len(keys.data) {
		all = stride
	}
	for h := range n {
		row := scores[h*stride:]
		w.multiply(row, stride, operand{q[h*d:], d, 1}, keys, 1, all, d, false)
		code.softmax(row, stride, 1, j.keys, j.s.Scale, w.largest[:1], sum[h:h+1])
	}
	if next := kv + 1; next < j.s.KVHeads {
		code.prefetch(keys.data[d:], keys.col, j.keys, d)
	}
	w.multiply(o, d, operand{scores, stride, 1}, values, n, d, j.keys, false)
	for h := range n {
		row := o[h*d : (h+1)*d]
		code.scale(row, row, 1/sum[h], false)
	}
}

// queries computes m queries, the first of them at key index t, over the keys
// from start on, and leaves their lse in w.lse.
func (j *attentionJob) queries(w *worker, q operand, o, packedK, packedV []float32, start, t, m int) {
	cols, d := code.cols, j.s.HeadDim
	from := start / cols * cols // panels of keys begin at multiples of cols
	end := t + m
	stride := (end-from+cols-1)/cols*cols + cols
	scores := grow(&w.scores, m*stride)
	for n0 := from; n0 < end; n0 += cols {
		i := max(0, n0-t) // the queries before it see none of these keys
		code.gemm(scores[i*stride+n0-from:], stride, q.data[i*q.row:], q.row, 1, packedK[n0*d:], width(min(cols, j.keys-n0)), m-i, min(cols, end-n0), d, false)
	}
	p := scores[start-from:]
	code.softmax(p, stride, m, t+1-start, j.s.Scale, w.largest[:], w.sum[:])
	for i := range m {
		clear(p[i*stride+t+i+1-start : i*stride+end-start])
		w.lse[i] = logSum(w.largest[i], w.sum[i])
	}
	for c := 0; c < d; c += cols {
		n := min(cols, d-c)
		br := width(n)
		v := packedV[c*j.keys+start*br:]
		if t > start {
			code.gemm(o[c:], q.row, p, stride, 1, v, br, m, n, t-start, false)
		}
		// The keys from t on, in steps with the queries that see them.
		p, v := p[t-start:], v[(t-start)*br:]
		for i := 0; i < m; i += triangleStep {
			rows := min(triangleStep, m-i)
			code.gemm(o[i*q.row+c:], q.row, p[i*stride:], stride, 1, v, br, rows, n, i+rows, t > start)
		}
	}
	for i := range m {
		row := o[i*q.row : i*q.row+d]
		code.scale(row, row, 1/w.sum[i], false)
	}
}

// packRows packs n rows of d elements as the second factor of a product over the
// rows: panels of code.cols columns, the last narrower, each with all n rows.
func (w *worker) packRows(buffer *[]float32, x []float32, stride, n, d int) []float32 {
	cols := code.cols
	packed := grow(buffer, (d+cols-1)/cols*cols*n)
	for p := 0; p < d; p += cols {
		code.packB(packed[p*n:], x[p:], stride, min(cols, d-p), n)
	}
	return packed
}

// packRowsT packs n rows of d elements as the second factor of a product over the
// d elements: panels of code.cols rows, the last narrower.
func (w *worker) packRowsT(buffer *[]float32, x []float32, stride, n, d int) []float32 {
	cols := code.cols
	packed := grow(buffer, (n+cols-1)/cols*cols*d)
	for p := 0; p < n; p += cols {
		n := min(cols, n-p)
		packTransposed(packed[p*d:][:width(n)*d], x[p*stride:], stride, n, d)
	}
	return packed
}
