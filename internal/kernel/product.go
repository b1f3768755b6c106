package kernel

import (
	"fmt"
	"slices"
	"strings"
)

// An Arithmetic says how the products inside a matrix product are made.
type Arithmetic int

const (
	// FP32 multiplies float32 numbers.
	FP32 Arithmetic = iota
	// BF16 rounds both factors to bf16 (see [RoundBF16]) and sums float32 numbers.
	// An element is a chain of fused multiply-adds over pairs of k, the second of a
	// pair before the first, which is what the instruction VDPBF16PS computes; an
	// odd k counts as followed by 0.
	BF16
)

func (a Arithmetic) String() string { return Arithmetics()[a] }

// Arithmetics lists the names of the arithmetics, at the place of each.
func Arithmetics() []string { return []string{FP32: "fp32", BF16: "bf16"} }

// ParseArithmetic reads fp32 or bf16.
func ParseArithmetic(name string) (Arithmetic, error) {
	i := slices.Index(Arithmetics(), name)
	if i < 0 {
		return FP32, fmt.Errorf("precision is %q, which is not supported (supported: %s)", name, strings.Join(Arithmetics(), ", "))
	}
	return Arithmetic(i), nil
}

// ProductNT computes C = A·Wᵀ, or C += A·Wᵀ with add: c [M, N], a [M, K], w [N, K].
func ProductNT(t *Team, how Arithmetic, c, a Matrix, w Weights, add bool) {
	check(a.Cols == w.Cols && c.Rows == a.Rows && c.Cols == w.Rows, "the shapes of A·Wᵀ do not fit")
	if how == FP32 && w.storage == Float32 && !w.panels {
		MatMulNT(t, c, a, Matrix{w.floats, w.Rows, w.Cols, w.Cols}, add)
		return
	}
	product(t, storedJob{how: how, c: c, w: w, k: w.Cols, transposed: true, add: add}, a, false)
}

// ProductNN computes C = A·W, or C += A·W with add: c [M, N], a [M, K], w [K, N].
func ProductNN(t *Team, how Arithmetic, c, a Matrix, w Weights, add bool) {
	check(a.Cols == w.Rows && c.Rows == a.Rows && c.Cols == w.Cols, "the shapes of A·W do not fit")
	if how == FP32 && w.storage == Float32 && !w.panels {
		MatMulNN(t, c, a, Matrix{w.floats, w.Rows, w.Cols, w.Cols}, add)
		return
	}
	product(t, storedJob{how: how, c: c, w: w, k: w.Rows, add: add}, a, false)
}

// A storedJob multiplies by a stored matrix: pieces of it are widened, a few rows and
// columns at a time, and multiplied as float32. With BF16 the left factor has been
// rounded beforehand, and in both factors the two of each pair have changed places.
type storedJob struct {
	how        Arithmetic
	c          Matrix
	a          operand
	w          Weights
	k          int
	transposed bool // C = A·Wᵀ
	add        bool
	byRows     bool // the items of the split are rows of C, not columns
}

// product shares a product among the threads; transposeA says that it is Aᵀ·W.
func product(t *Team, j storedJob, a Matrix, transposeA bool) {
	j.c.check()
	a.check()
	if j.c.Rows == 0 || j.c.Cols == 0 {
		return
	}
	t = t.single()
	defer t.release()
	t.step = 0
	if j.how == BF16 && code.pairs != nil && j.k > 0 {
		t.multiplyPairs(pairJob{pairing: code.pairs, c: j.c, w: j.w, k: j.k, transposed: j.transposed, add: j.add}, a, transposeA)
		return
	}
	switch {
	case j.how == FP32:
		j.a = operand{a.Data, a.Stride, 1}
	case transposeA:
		j.a = t.roundedRows(a)
	default:
		j.a = t.rounded(a)
	}
	if j.how == BF16 {
		j.k = even(j.k)
	}
	if t.multiplyRow(j) {
		return
	}
	at := &t.jobs.stored
	*at = j
	// Columns of whole blocks of the quantised storages are widened faster.
	columns := quantBlock
	if m, n := j.c.Rows, j.c.Cols; n >= 2*columns*t.threads {
		grain := max(1, productWorth/max(1, m*j.k*columns)) * columns
		t.share(at, n, grain)
	} else {
		at.byRows = true
		grain := max(1, productWorth/max(1, n*j.k*code.rows)) * code.rows
		t.share(at, m, grain)
	}
	at.w = Weights{}
}

func even(k int) int { return k + k&1 }

func (j *storedJob) run(w *worker, lo, hi int) {
	if j.byRows {
		j.multiply(w, j.c.Data[lo*j.c.Stride:], j.a.at(lo, 0), hi-lo, 0, j.c.Cols)
	} else {
		j.multiply(w, j.c.Data[lo:], j.a, j.c.Rows, lo, hi-lo)
	}
}

// wideCols is the number of columns of C whose part of the stored matrix is widened
// at a time; with blockK it fills a quarter of a small second-level cache.
const wideCols = 128

// multiply computes m rows and n columns of C, of which first is the first one.
func (j *storedJob) multiply(w *worker, c []float32, a operand, m, first, n int) {
	if j.k == 0 {
		w.multiply(c, j.c.Stride, a, operand{nil, 0, 1}, m, n, 0, j.add)
		return
	}
	j.columns(w, c, a, m, first, n, 0, j.add)
}

// columns does multiply's work from element from of the rows of A on.
func (j *storedJob) columns(w *worker, c []float32, a operand, m, first, n, from int, add bool) {
	depth := depthOf(j.k)
	for n0 := 0; n0 < n; n0 += wideCols {
		nb := min(wideCols, n-n0)
		for k0 := from; k0 < j.k; k0 += depth {
			kb := min(depth, j.k-k0)
			w.multiply(c[n0:], j.c.Stride, a.at(0, k0), j.widen(w, first+n0, nb, k0, kb), m, nb, kb, add || k0 > from)
		}
	}
}

// widen makes the right factor of columns n0 … n0+nb−1 of C and rows k0 … k0+kb−1.
func (j *storedJob) widen(w *worker, n0, nb, k0, kb int) operand {
	wide := grow(&w.wide, nb*kb)
	if j.transposed {
		j.rows(w, wide, n0, nb, k0, kb)
		return operand{wide, 1, kb}
	}
	for i := range kb {
		p := k0 + i
		if j.how == BF16 {
			p ^= 1
		}
		row := wide[i*nb : (i+1)*nb]
		if p >= j.w.Rows {
			clear(row)
			continue
		}
		j.w.Widen(row, p*j.w.Cols+n0)
		if j.how == BF16 && j.w.storage != BFloat16 {
			code.widen.inPlace(row)
		}
	}
	return operand{wide, nb, 1}
}

// rows widens kb columns of nb rows of W, whose columns are those of A. A part of rows in
// panels begins with a panel.
func (j *storedJob) rows(w *worker, dst []float32, row, nb, from, kb int) {
	n := min(kb, j.w.Cols-from)
	var words []float32
	for i := range nb {
		part, at := dst[i*kb:(i+1)*kb], (row+i)*j.w.Cols+from
		if j.w.panels {
			each := n / j.w.storage.wordCols()
			if i%panelRows == 0 {
				words = j.w.panelRows(grow(&w.halves, panelRows*each), row+i, min(panelRows, nb-i), from, n)
			}
			j.w.widenWords(part[:n], at, words[i%panelRows*each:][:each])
		} else {
			j.w.Widen(part[:n], at)
		}
		if j.how == BF16 {
			clear(part[n:])
			code.widen.swap(part, part)
		}
	}
}

// ProductTN computes C = Aᵀ·B, or C += Aᵀ·B with add: c [M, N], a [K, M], b [K, N],
// which is stored as float32.
func ProductTN(t *Team, how Arithmetic, c, a Matrix, b Weights, add bool) {
	check(a.Rows == b.Rows && c.Rows == a.Cols && c.Cols == b.Cols, "the shapes of Aᵀ·B do not fit")
	check(b.storage == Float32 && !b.panels, "ProductTN: B is not float32")
	if how == FP32 {
		MatMulTN(t, c, a, Matrix{b.floats, b.Rows, b.Cols, b.Cols}, add)
		return
	}
	product(t, storedJob{how: how, c: c, w: b, k: b.Rows, add: add}, a, true)
}

// A roundingJob rounds a matrix to bf16 and exchanges the two of each pair of columns,
// or of rows. An odd number of them is made even by zeros.
type roundingJob struct {
	dst    []float32
	a      Matrix
	byRows bool
}

// rounded returns A rounded to bf16 with the two of each pair of columns exchanged,
// in memory of the team.
func (t *Team) rounded(a Matrix) operand {
	cols := even(a.Cols)
	t.round(roundingJob{dst: grow(&t.left, a.Rows*cols), a: a}, a.Rows, cols)
	return operand{t.left, cols, 1}
}

// roundedRows returns the transpose of A rounded to bf16 with the two of each pair
// of its rows exchanged.
func (t *Team) roundedRows(a Matrix) operand {
	t.round(roundingJob{dst: grow(&t.left, even(a.Rows)*a.Cols), a: a, byRows: true}, even(a.Rows), a.Cols)
	return operand{t.left, 1, a.Cols}
}

func (t *Team) round(j roundingJob, rows, cols int) {
	t.step = 0
	t.jobs.rounding = j
	t.share(&t.jobs.rounding, rows, max(1, elementGrain/max(1, cols)))
}

func (j *roundingJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		if j.byRows {
			j.row(i)
		} else {
			j.columns(i)
		}
	}
}

// RoundedBytes returns the memory that a team keeps for the left factor of a product in
// bf16.
func RoundedBytes(rows, cols int) int64 {
	if code.pairs != nil {
		return 2 * int64(rows+panelCols) * int64(pairStride(cols))
	}
	return 4 * int64(rows) * int64(even(cols))
}

// row makes row i of a matrix whose rows change places.
func (j *roundingJob) row(i int) {
	cols := j.a.Cols
	row := j.dst[i*cols : (i+1)*cols]
	if i^1 >= j.a.Rows {
		clear(row)
		return
	}
	copy(row, j.a.Data[(i^1)*j.a.Stride:])
	code.widen.inPlace(row)
}

// columns makes row i of a matrix whose columns change places.
func (j *roundingJob) columns(i int) {
	cols := even(j.a.Cols)
	row, src := j.dst[i*cols:(i+1)*cols], j.a.Data[i*j.a.Stride:][:j.a.Cols]
	full := len(src) &^ 1
	code.widen.swap(row[:full], src[:full])
	if full < len(src) {
		last := [2]float32{src[full]}
		code.widen.swap(row[full:], last[:])
	}
}
