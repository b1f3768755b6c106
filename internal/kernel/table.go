package kernel

// A table holds the loops of one level. The Go functions in generic.go define
// what each computes. Slices that are read or written together have the length of
// the first one unless it says otherwise; callers check that.
type table struct {
	// mode is the mode of floating-point arithmetic that the loops are called in; 0
	// is the mode that Go sets.
	mode uint32

	// rows and cols give the size of the block of C that the matrix kernel keeps in registers.
	rows, cols int

	// gemm computes C[m,n] = A[m,k]·B[k,n], n <= cols, from 0 or, with add, from the old C.
	// A's element (i, p) is a[i·ar + p·ac]; B's row p is b[p·br:], of which width(n)
	// elements may be read.
	gemm func(c []float32, cr int, a []float32, ar, ac int, b []float32, br int, m, n, k int, add bool)
	// gemv computes c[n] = x[k]·Bᵀ, from 0 or, with add, from the old c; row j of B is
	// b[j·br:]. n is a multiple of 16, k one of 8. What is behind the rows in b will be
	// used next, then what is in next.
	gemv func(c, x, b []float32, br, n, k int, add bool, next []byte)
	// stored does the same with rows that are stored in another way; nil: they are
	// widened beforehand.
	stored *storedRows
	panels *panelled // nil: matrices are not laid out in panels
	// packB copies k rows of n elements, n <= cols, from b[p·br:] to dst[p·width(n):], the rest of a row 0.
	packB func(dst, b []float32, br, n, k int)
	// transpose writes dst[j·dr + i] = src[i·sr + j] for rows × cols elements of src.
	transpose func(dst []float32, dr int, src []float32, sr, rows, cols int)

	// prefetch announces that n rows of d elements will be used soon.
	prefetch func(x []float32, stride, n, d int)

	add        func(dst, a, b []float32)                              // dst = a + b
	scale      func(dst, x []float32, s float32, add bool)            // dst = s·x
	dot        func(x, y []float32) float32                           // Σ x·y
	dot3       func(x, y, z []float32) float32                        // Σ (x·y)·z
	sumSquares func(x []float32) float64                              // Σ x², in float64
	exp        func(dst, x []float32)                                 // dst = eˣ
	normalize  func(y, x, w []float32, inv float32)                   // y = (x·inv)·w
	normBack   func(dx, dy, w, x []float32, inv, c float32, add bool) // dx = (dy·w)·inv − c·x
	normBackW  func(dw, dy, x []float32, inv float32)                 // dw = dy·(x·inv) + dw, fused
	// rotate turns heads pairs of half vectors: (a, b) → (a·cos − b·sin, b·cos + a·sin).
	// len(cos) is half the width of a head.
	rotate     func(y, x, cos, sin []float32, heads int, inverse, add bool)
	swiglu     func(y, gate, up []float32)
	swigluBack func(dgate, dup, dy, gate, up []float32, addG, addU bool)
	// softmax works on m rows of x, stride apart; row i has n+i elements. It writes
	// exp(x·s − largest) over them and keeps the largest x·s and the sum of each row.
	softmax func(x []float32, stride, m, n int, s float32, largest, sum []float32)
	// softmaxBack works on m rows of scores and of dp, stride apart; row i has n+i
	// elements, but not fewer than 0 nor more than limit. It turns scores into
	// probabilities, p = exp(x·s − lse), and dp into their gradient before scaling,
	// dp = p·(dp − delta)·s.
	softmaxBack func(x, dp []float32, stride, m, n, limit int, s float32, lse, delta []float32)
	adamw       func(p, g, m, v []float32, c *adamwConstants)
	dropout     func(y, x []float32, d *dropoutConstants, first uint32, add bool)
	widen       *widening
	pairs       *pairing // nil: bf16 products are float32 products of rounded numbers
	// peak runs n rounds of independent multiply-adds on registers and returns
	// the number of floating-point operations that were done.
	peak func(n int) float64
}

// width is the number of columns that a panel of n columns of B is packed with, the
// narrowest that the matrix kernels have code for.
func width(n int) int {
	for _, w := range []int{8, 16} {
		if n <= w {
			return w
		}
	}
	return code.cols
}
