package kernel

// An AttentionShape is the shape of causal attention over B rows of T tokens.
// Heads/KVHeads neighbouring query heads share a key head. Scale multiplies the
// scores, usually 1/√HeadDim. With a Window above 0 a token attends to so many tokens
// at most, itself and those right before it. With a Cap above 0 a score, after Scale, is
// Cap·tanh(score/Cap), as in Gemma 2.
type AttentionShape struct {
	B, T, Heads, KVHeads, HeadDim int
	Scale                         float32
	Window                        int
	Cap                           float32
}

func (s AttentionShape) check() {
	check(s.B >= 0 && s.T >= 0 && s.KVHeads > 0 && s.Heads%s.KVHeads == 0 && s.HeadDim > 0 && s.Window >= 0 && s.Cap >= 0, "a wrong shape of attention")
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
	pairs           roundedHeads // without a pairing: products are float32
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
// segments of a packed row do not see each other, and of those to the last Window if
// that is fewer (Beltagy and others, 2020). The scores of a few queries
// exist at a time. A token's result depends on its segment alone, to the bit: it is
// the same packed with others or not. (Differs from the online softmax of Dao
// and others, 2022, in that the scores of a query are all there before the
// largest is taken; a thread's buffer grows with T, not with T².)
func Attention(t *Team, o, lse, q, k, v []float32, positions []int32, s AttentionShape) {
	s.check()
	s.checkInputs(q, k, v)
	t.attend(attentionJob{o: o, lse: lse, q: q, k: k, v: v, positions: positions, s: s, keys: s.T})
}

func (s AttentionShape) checkInputs(q, k, v []float32) {
	n := s.B * s.T
	check(len(q) >= n*s.Heads*s.HeadDim && len(k) >= n*s.KVHeads*s.HeadDim && len(v) >= n*s.KVHeads*s.HeadDim, "Attention: q, k or v is too short")
}

// attend does the work of Attention.
func (t *Team) attend(j attentionJob) {
	s, n := j.s, j.s.B*j.s.T
	check(len(j.o) >= n*s.Heads*s.HeadDim && len(j.lse) >= n*s.Heads && len(j.positions) >= n, "Attention: a slice is too short")
	t = t.single()
	t.jobs.attention = j
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
		head, next := i/j.splits, &w.next
		if *next = (upcoming{}); i+1 < hi && j.splits == 1 && j.keys == j.s.T {
			next.head(j.s, head+1, 1, j.k, j.v)
			next.head(j.s, head+1, group, j.q, j.o)
		}
		j.head(w, head/j.s.KVHeads, head%j.s.KVHeads, i%j.splits)
		next.rest()
	}
}

// start returns the first key of the segment of query t of row b, and the end of
// the queries from t on, before limit, that belong to it.
func (j *attentionJob) start(b, t, limit int) (start, end int) {
	return segment(j.positions, b*j.s.T, t, limit)
}

// seen returns the first key that query t attends to, of a segment that begins at start.
func (s AttentionShape) seen(start, t int) int {
	if s.Window > 0 {
		return max(start, t+1-s.Window)
	}
	return start
}

// alike is the number of queries from t on, before end, that attend from the same key on.
func (s AttentionShape) alike(start, t, end int) int {
	if s.Window == 0 {
		return end - t
	}
	return min(max(1, start+s.Window-t), end-t)
}

// reach returns the first key that query t of a row attends to, and the end of the
// queries from t on, before limit, that attend from the same key on.
func (s AttentionShape) reach(positions []int32, row, t, limit int) (first, end int) {
	start, end := segment(positions, row, t, limit)
	return s.seen(start, t), t + s.alike(start, t, end)
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
	if j.pairs.pairing != nil {
		j.headPairs(w, b, kv, split)
		return
	}
	s, d := j.s, j.s.HeadDim
	width, kvWidth := s.Heads*d, s.KVHeads*d
	keys, values := j.k[b*j.keys*kvWidth+kv*d:], j.v[b*j.keys*kvWidth+kv*d:]
	if s.T == 1 && j.lse == nil {
		j.one(w, kv, operand{keys, 1, kvWidth}, operand{values, kvWidth, 1})
		return
	}
	packedK := w.packRowsT(&w.keys, keys, kvWidth, j.keys, d)
	factor := w.rowsOf(&w.values, values, kvWidth, j.keys, d)
	for block := split * queryBlock; block < s.T; block += j.splits * queryBlock {
		limit := min(block+queryBlock, s.T)
		for t := block; t < limit; {
			start, end := j.start(b, t, limit)
			for h := kv * s.Heads / s.KVHeads; h < (kv+1)*s.Heads/s.KVHeads; h++ {
				at := (b*s.T+t)*width + h*d
				j.queries(w, operand{j.q[at:], width, 1}, j.o[at:], packedK, factor, start, j.first+t, end-t)
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
	first := j.s.seen(0, j.keys-1)
	keys.data, values.data = keys.data[first*keys.col:], values.data[first*values.row:]
	count := j.keys - first
	stride := (count + 15) &^ 15
	scores, sum := grow(&w.scores, n*stride), grow(&w.wide, n)
	q, o := j.q[kv*n*d:], j.o[kv*n*d:]
	code.prefetch(values.data, values.row, count, d)
	// A register's worth of keys takes no longer than one: those behind the last one, where
	// the cache has any, are left out of the sums.
	all := count
	if (stride-1)*keys.col+d <= len(keys.data) {
		all = stride
	}
	for h := range n {
		row := scores[h*stride:]
		w.multiply(row, stride, operand{q[h*d:], d, 1}, keys, 1, all, d, false)
		j.s.softmax(row, stride, 1, count, w.largest[:1], sum[h:h+1])
	}
	if next := kv + 1; next < j.s.KVHeads {
		code.prefetch(keys.data[d:], keys.col, count, d)
	}
	w.multiply(o, d, operand{scores, stride, 1}, values, n, d, count, false)
	for h := range n {
		row := o[h*d : (h+1)*d]
		code.scale(row, row, 1/sum[h], false)
	}
}

// queries computes m queries of a segment that begins at key index start, the first of
// them at key index t, and leaves their lse in w.lse.
func (j *attentionJob) queries(w *worker, q operand, o, packedK []float32, values rows, segment, t, m int) {
	cols, d := code.cols, j.s.HeadDim
	start := j.s.seen(segment, t) // by the first of the queries; the others may see fewer
	from := start / cols * cols   // panels of keys begin at multiples of cols
	end := t + m
	stride := (end-from+cols-1)/cols*cols + cols
	scores := grow(&w.scores, m*stride)
	for n0 := from; n0 < end; n0 += cols {
		br, n := width(min(cols, j.keys-n0)), min(cols, end-n0)
		seenBy(n0-t, n, m, func(i, m, n int) {
			code.gemm(scores[i*stride+n0-from:], stride, q.data[i*q.row:], q.row, 1, packedK[n0*d:], br, m, n, d, false)
			w.next.some()
		})
	}
	p := scores[start-from:]
	for i := 0; i < m; {
		seen, n := j.s.seen(segment, t+i), j.s.alike(segment, t+i, end)
		clear(p[i*stride : i*stride+seen-start])
		j.s.softmax(p[i*stride+seen-start:], stride, n, t+i+1-seen, w.largest[i:], w.sum[i:])
		i += n
	}
	for i := range m {
		clearEdge(p[i*stride+t+i+1-start:])
		w.lse[i] = logSum(w.largest[i], w.sum[i])
	}
	for c := 0; c < d; c += cols {
		n := min(cols, d-c)
		v, br := values.panel(start, c)
		if t > start {
			code.gemm(o[c:], q.row, p, stride, 1, v, br, m, n, t-start, false)
		}
		// The keys from t on, in steps with the queries that see them.
		p, v := p[t-start:], v[(t-start)*br:]
		for i := 0; i < m; i += triangleStep {
			rows := min(triangleStep, m-i)
			code.gemm(o[i*q.row+c:], q.row, p[i*stride:], stride, 1, v, br, rows, n, i+rows, t > start)
			w.next.some()
		}
	}
	for i := range m {
		row := o[i*q.row : i*q.row+d]
		code.scale(row, row, 1/w.sum[i], false)
	}
}

// seenBy calls product for the queries, of m, that see some of n keys: those that see the
// first half of them alone, and the rest. The first key is seen from query first on.
func seenBy(first, n, m int, product func(i, m, n int)) {
	i := max(0, first)
	if half := code.cols / 2; n > half {
		if rest := min(m, first+half); rest > i {
			product(i, rest-i, half)
			i = rest
		}
	}
	if i < m {
		product(i, m-i, n)
	}
}

// clearEdge clears what follows the keys that a query sees, as far as products over
// triangleStep queries and keys at the edge of the triangle read it.
func clearEdge(p []float32) {
	*(*[triangleStep]float32)(p) = [triangleStep]float32{}
}

// rows are rows of d elements as the second factor of a product over the rows.
type rows struct {
	data []float32
	d    int
	step int // from row to row; 0: in panels of code.cols columns, the last narrower, each with n rows
	n    int
}

// rowsOf returns n rows of d elements as they are if panels of them are as wide as the
// matrix kernel reads and do not share a few sets of the cache, else packed.
func (w *worker) rowsOf(buffer *[]float32, x []float32, stride, n, d int) rows {
	cols := code.cols
	if last := d % cols; (last == 0 || width(last) == last) && stride%sharedSets != 0 {
		return rows{data: x, d: d, step: stride}
	}
	packed := grow(buffer, (d+cols-1)/cols*cols*n)
	for p := 0; p < d; p += cols {
		code.packB(packed[p*n:], x[p:], stride, min(cols, d-p), n)
	}
	return rows{data: packed, d: d, n: n}
}

// panel returns the columns from c on, a multiple of code.cols, of the rows from first on,
// and the step from row to row.
func (r rows) panel(first, c int) (panel []float32, step int) {
	if r.step > 0 {
		return r.data[first*r.step+c:], r.step
	}
	step = width(min(code.cols, r.d-c))
	return r.data[c*r.n+first*step:], step
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
