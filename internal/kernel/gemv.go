package kernel

import "unsafe"

// storedRows multiplies one row by rows of a stored matrix, which are widened in
// registers: c[n] = x[k]·Bᵀ, from 0 or, with add, from the old c, as gemv does. Row j of B
// begins at element j·br of it. What is behind the rows in b will be used next, then what
// is in next. n is a multiple of 16.
type storedRows struct {
	halves func(c, x []float32, b []uint16, br, n, k int, add bool, next []byte) // k is a multiple of 16
	// Each block of quantBlock columns has a scale: that of row j in columns from
	// quantBlock·i on is scales[i·sr + j]. k is a multiple of quantBlock.
	int8, nf4 func(c, x []float32, b []byte, scales []float32, sr, br, n, k int, add bool, next []byte)
}

// rowStep is the number of rows, a multiple of 32, that a call multiplies by, so that it
// stays short.
func rowStep(k int) int { return max(1, 1<<18/k/32) * 32 }

// A rowJob multiplies one row by a stored matrix, C = x·Wᵀ. The items are rows of W.
type rowJob struct {
	storedJob
	whole int // columns that are widened in registers; the rest is widened beforehand
}

// rowWorth is the number of elements of W that are worth a thread's while.
const rowWorth = 25_000

// multiplyRow does the product if the active level has code for it.
func (t *Team) multiplyRow(j storedJob) bool {
	if code.stored == nil || j.how != FP32 || !j.transposed || j.c.Rows != 1 || j.k < 16 {
		return false
	}
	at := &t.jobs.row
	*at = rowJob{storedJob: j}
	switch {
	case j.w.panels:
		if code.panels == nil {
			return false
		}
		at.whole = j.k
	case j.w.storage == BFloat16:
		at.whole = j.k &^ 15
	case j.k%quantBlock == 0:
		at.whole = j.k
	default:
		return false
	}
	grain, parts := t.rowParts(j.c.Cols, j.k)
	t.shareIn(at, j.c.Cols, grain, parts)
	at.w = Weights{}
	return true
}

// rowParts returns how the rows of a matrix of k columns are split: in as many parts as
// there are threads, since each part waits for memory at its start, unless the matrix is so
// large that a disturbed thread would be waited for longer.
func (t *Team) rowParts(rows, k int) (grain, parts int) {
	const long = 4_000_000
	grain = max(1, rowWorth/max(1, k)/32) * 32
	units := (rows + grain - 1) / grain
	if t.threads > 1 && rows*k > long*t.threads {
		return grain, t.partsOf(units)
	}
	return grain, min(units, t.threads)
}

// ahead is the number of rows that are brought nearer before they are used.
const ahead = 40

// upcoming returns the rows that a thread will probably use after its part: those of a
// part that nobody took yet.
func (j *rowJob) upcoming(w *worker) []byte {
	t := w.team
	if s := t.state.Load(); t.threads > 1 && open(s) {
		lo, hi := partOf(int(s&stateMask), t.parts, t.items, t.grain)
		return j.w.bytesOf(lo, min(hi, lo+ahead))
	}
	return nil
}

// bytesOf returns the memory of rows lo … hi−1 without their scales.
func (m *Weights) bytesOf(lo, hi int) []byte {
	lo, hi = lo*m.Cols, hi*m.Cols
	switch m.storage {
	case BFloat16:
		return bytesOf(m.halves[lo:hi])
	case Int8:
		return m.codes[lo:hi]
	case NF4:
		return m.codes[lo/2 : hi/2]
	}
	return bytesOf(m.floats[lo:hi])
}

func bytesOf[T float32 | uint16](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(x[0])))
}

func (j *rowJob) run(w *worker, lo, hi int) {
	full := lo + (hi-lo)&^15
	var next []byte
	if !j.w.panels {
		next = j.upcoming(w)
	}
	for step, row := rowStep(j.k), lo; row < full; row += step {
		if row+step < full {
			j.rows(w, row, step, full, nil)
		} else {
			j.rows(w, row, full-row, full, next)
		}
	}
	if j.whole < j.k {
		j.columns(w, j.c.Data[lo:], j.a, 1, lo, full-lo, j.whole, true)
	}
	j.columns(w, j.c.Data[full:], j.a, 1, full, hi-full, 0, j.add)
}

// rows multiplies by n rows from row on; rows before limit come next, then
// what is in next.
func (j *rowJob) rows(w *worker, row, n, limit int, next []byte) {
	c, x, k := j.c.Data[row:], j.a.data, j.k
	if j.w.panels {
		j.panels(w, c, row, n)
		return
	}
	switch j.w.storage {
	case BFloat16:
		code.stored.halves(c, x, j.w.halves[row*k:limit*k], k, n, j.whole, j.add, next)
	case Int8:
		code.stored.int8(c, x, j.w.codes[row*k:limit*k], j.w.scalesOf(w, row, n), n, k, n, k, j.add, next)
	case NF4:
		code.stored.nf4(c, x, j.w.codes[row*k/2:limit*k/2], j.w.scalesOf(w, row, n), n, k, n, k, j.add, next)
	}
}

// panels is rows where these lie in panels.
func (j *rowJob) panels(w *worker, c []float32, row, n int) {
	x, k := j.a.data, j.k
	from, to := row*k, (row+n)*k
	switch j.w.storage {
	case Float32:
		code.panels.floats(c, x, j.w.floats[from:to], n, k, j.add)
	case BFloat16:
		code.panels.halves(c, x, j.w.halves[from:to], n, k, j.add)
	case Int8:
		code.panels.int8(c, x, j.w.codes[from:to], j.w.scalesOf(w, row, n), n, n, k, j.add)
	case NF4:
		code.panels.nf4(c, x, j.w.codes[from/2:to/2], j.w.scalesOf(w, row, n), n, n, k, j.add)
	}
}

// scalesOf returns the scales of n rows, which are made of whole blocks: those of the
// first block of every row, then those of the second.
func (m *Weights) scalesOf(w *worker, row, n int) []float32 {
	each := m.Cols / quantBlock
	scales, first := grow(&w.scales, n*each), row*each
	rows := m.scales
	if m.storage == NF4 {
		rows, first = grow(&w.wide, n*each), 0
		for i := range rows {
			rows[i] = m.scale(row*each + i)
		}
	}
	code.transpose(scales, n, rows[first:], each, n, each)
	return scales
}
