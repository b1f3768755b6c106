package kernel

// A Matrix is a row-major view: element (i, j) is Data[i·Stride + j], and
// Stride >= Cols.
type Matrix struct {
	Data               []float32
	Rows, Cols, Stride int
}

func (m Matrix) check() {
	check(m.Rows >= 0 && m.Cols >= 0 && m.Stride >= m.Cols, "a matrix has a stride below its columns")
	check(m.Rows == 0 || m.Cols == 0 || len(m.Data) >= (m.Rows-1)*m.Stride+m.Cols, "a matrix is longer than its data")
}

// MatMulNN computes C = A·B, or C += A·B with add: c [M, N], a [M, K], b [K, N].
func MatMulNN(t *Team, c, a, b Matrix, add bool) {
	check(a.Cols == b.Rows && c.Rows == a.Rows && c.Cols == b.Cols, "the shapes of A·B do not fit")
	matmul(t, c, a, b, operand{a.Data, a.Stride, 1}, operand{b.Data, b.Stride, 1}, a.Cols, add)
}

// MatMulNT computes C = A·Bᵀ, or C += A·Bᵀ with add: c [M, N], a [M, K], b [N, K].
func MatMulNT(t *Team, c, a, b Matrix, add bool) {
	check(a.Cols == b.Cols && c.Rows == a.Rows && c.Cols == b.Rows, "the shapes of A·Bᵀ do not fit")
	matmul(t, c, a, b, operand{a.Data, a.Stride, 1}, operand{b.Data, 1, b.Stride}, a.Cols, add)
}

// MatMulTN computes C = Aᵀ·B, or C += Aᵀ·B with add: c [M, N], a [K, M], b [K, N].
func MatMulTN(t *Team, c, a, b Matrix, add bool) {
	check(a.Rows == b.Rows && c.Rows == a.Cols && c.Cols == b.Cols, "the shapes of Aᵀ·B do not fit")
	matmul(t, c, a, b, operand{a.Data, 1, a.Stride}, operand{b.Data, b.Stride, 1}, a.Rows, add)
}

// An operand is a factor of a product with the distances between its rows and
// between its columns, one of which is 1: a transpose is an exchange of the two.
type operand struct {
	data     []float32
	row, col int
}

func (o operand) at(i, j int) operand {
	o.data = o.data[i*o.row+j*o.col:]
	return o
}

type matmulJob struct {
	c       []float32
	cr      int
	a, b    operand
	m, n, k int
	add     bool
	byRows  bool // the items of the split are rows of C, not columns
}

func matmul(t *Team, c, ma, mb Matrix, a, b operand, k int, add bool) {
	c.check()
	ma.check()
	mb.check()
	if c.Rows == 0 || c.Cols == 0 {
		return
	}
	t = t.single()
	defer t.release()
	t.multiply(matmulJob{c: c.Data, cr: c.Stride, a: a, b: b, m: c.Rows, n: c.Cols, k: k, add: add})
}

// productWorth is the number of products that are worth a thread's while: about 5 µs of
// work at 50 a nanosecond.
const productWorth = 250_000

// multiply shares a product among the threads.
func (t *Team) multiply(job matmulJob) {
	t.step = 0
	j := &t.jobs.matmul
	*j = job
	worth := productWorth
	if j.m == 1 { // which makes fewer products a nanosecond
		worth = rowWorth
	}
	// Each part packs the whole of the other factor. B is packed always, A if it is
	// transposed: then the shorter of the two should be what is packed again.
	wide := j.n >= 2*code.cols*t.threads
	if wide && (j.a.col == 1 || j.b.col != 1 || j.m < j.n) {
		grain := max(1, worth/max(1, j.m*j.k*code.cols)) * code.cols
		if panels := (j.n + grain - 1) / grain; grain == code.cols && panels < 2*partsPerThread*t.threads && panels%t.threads > 0 {
			grain /= 2 // half panels, or a few threads would have a whole panel more than the rest
		}
		// Each part reads all of A: from memory, if it is as large as the logits' gradient.
		const large = 1 << 22
		if j.m*j.k > large {
			grain = max(grain, (j.n/t.threads+code.cols-1)/code.cols*code.cols)
		}
		t.share(j, j.n, grain)
	} else {
		j.byRows = true
		grain := max(1, worth/max(1, j.n*j.k*code.rows)) * code.rows
		t.share(j, j.m, grain)
	}
}

func (j *matmulJob) run(w *worker, lo, hi int) {
	if j.byRows {
		w.multiply(j.c[lo*j.cr:], j.cr, j.a.at(lo, 0), j.b, hi-lo, j.n, j.k, j.add)
	} else {
		w.multiply(j.c[lo:], j.cr, j.a, j.b.at(0, lo), j.m, hi-lo, j.k, j.add)
	}
}

// Sizes of the blocks that are packed at a time: a panel of B should stay in the
// first-level cache with a few rows of A, the blocks of A and B in the second. No
// result depends on them.
const (
	blockK = 512
	blockM = 168
	blockN = 768
)

// inPlaceRows is the number of rows of A below which packing B would cost more
// than reading it where it is.
const inPlaceRows = 24

// multiply computes C[m,n] = A[m,k]·B[k,n] (+ C) on one thread. Blocks of B are
// packed into panels as wide as the matrix kernel, unless A has so few rows that
// this would not pay; A is packed if it is transposed.
func (w *worker) multiply(c []float32, cr int, a, b operand, m, n, k int, add bool) {
	if k == 0 {
		for i := range m {
			if !add {
				clear(c[i*cr : i*cr+n])
			}
		}
		return
	}
	if full, even := n&^15, k&^7; m == 1 && a.col == 1 && b.row == 1 && full > 0 && even > 0 {
		for step, j := rowStep(k), 0; j < full; j += step {
			code.gemv(c[j:], a.data, b.data[j*b.col:(full-1)*b.col+k], b.col, min(step, full-j), even, add, nil)
		}
		if even < k {
			w.blocks(c, cr, a.at(0, even), b.at(even, 0), m, full, k-even, true)
		}
		if full == n {
			return
		}
		c, b, n = c[full:], b.at(0, full), n-full
	}
	if full := n / code.cols * code.cols; b.col == 1 && m <= inPlaceRows && full > 0 {
		depth := depthOf(k)
		for k0 := 0; k0 < k; k0 += depth {
			inPlace(c, cr, a.at(0, k0), b.at(k0, 0), m, full, min(depth, k-k0), add || k0 > 0)
		}
		if full == n {
			return
		}
		c, b, n = c[full:], b.at(0, full), n-full
	}
	w.blocks(c, cr, a, b, m, n, k, add)
}

// depthOf cuts k into equal blocks of at most blockK, multiples of 8.
func depthOf(k int) int {
	pieces := (k + blockK - 1) / blockK
	return ((k+pieces-1)/pieces + 7) &^ 7
}

// blocks computes a product with all of B packed.
func (w *worker) blocks(c []float32, cr int, a, b operand, m, n, k int, add bool) {
	depth := depthOf(k)
	for n0 := 0; n0 < n; n0 += blockN {
		nb := min(blockN, n-n0)
		for k0 := 0; k0 < k; k0 += depth {
			kb := min(depth, k-k0)
			packed := w.packB(b.at(k0, n0), nb, kb)
			for m0 := 0; m0 < m; m0 += blockM {
				mb := min(blockM, m-m0)
				w.block(c[m0*cr+n0:], cr, w.packA(a.at(m0, k0), nb, mb, kb), packed, mb, nb, kb, add || k0 > 0)
			}
		}
	}
}

// inPlace multiplies by B where it is; n is a multiple of code.cols.
func inPlace(c []float32, cr int, a, b operand, m, n, k int, add bool) {
	for n0 := 0; n0 < n; n0 += code.cols {
		code.gemm(c[n0:], cr, a.data, a.row, a.col, b.data[n0:], b.row, m, code.cols, k, add)
	}
}

// packB copies a block of B into panels of code.cols columns, the last of them as
// wide as it must be.
func (w *worker) packB(b operand, n, k int) []float32 {
	cols := code.cols
	panels := (n + cols - 1) / cols
	packed := grow(&w.b, panels*cols*k)
	for p := range panels {
		n := min(cols, n-p*cols)
		panel := packed[p*cols*k:][:width(n)*k]
		if from := b.at(0, p*cols); b.col == 1 {
			code.packB(panel, from.data, b.row, n, k)
		} else {
			packTransposed(panel, from.data, b.col, n, k)
		}
	}
	return packed
}

// packA copies a block of A if its elements lie badly, unless it is used too little
// to be worth it: a transposed one whose columns are not close together, and rows
// whose beginnings share a few sets of the cache.
func (w *worker) packA(a operand, n, m, k int) operand {
	if n <= 2*code.cols {
		return a
	}
	const stride = blockK + 16 // no power of two
	switch {
	case a.col > 64:
		packed := grow(&w.a, m*stride)
		code.transpose(packed, stride, a.data, a.col, k, m)
		return operand{packed, stride, 1}
	case a.col == 1 && a.row%sharedSets == 0 && m > 8:
		packed := grow(&w.a, m*stride)
		for i := range m {
			copy(packed[i*stride:][:k], a.data[i*a.row:])
		}
		return operand{packed, stride, 1}
	}
	return a
}

// sharedSets is a distance in elements at which addresses fall into the same set
// of a first-level cache.
const sharedSets = 1024

// packTransposed fills a panel of k rows with element (p, j) = x[j·stride + p] for
// j < n and 0 for the other columns.
func packTransposed(panel, x []float32, stride, n, k int) {
	w := width(n)
	if n < w {
		clear(panel)
	}
	code.transpose(panel, w, x, stride, n, k)
}

// block multiplies a block of A by packed panels of B.
func (w *worker) block(c []float32, cr int, a operand, packed []float32, m, n, k int, add bool) {
	cols := code.cols
	for n0 := 0; n0 < n; n0 += cols {
		n := min(cols, n-n0)
		code.gemm(c[n0:], cr, a.data, a.row, a.col, packed[n0*k:], width(n), m, n, k, add)
	}
}
