package kernel

import (
	"math"
	"unsafe"
)

// A pairing is a way to multiply pairs of bf16 numbers in the CPU. Where a level has
// none, bf16 products are float32 products of rounded numbers.
type pairing struct {
	name string
	// rows is the number of rows of C that a call should be a multiple of.
	rows int
	// round rounds to bf16 and pads with zeros to a multiple of 32 numbers.
	round func(dst []uint16, src []float32)
	// interleave makes a panel of pairs of rows: dst[32p + j] holds element j of row 2p in
	// its lower half and that of row 2p+1 in its upper one, for n <= 32 columns; the
	// other columns are 0. Rows are stride numbers apart.
	interleave func(dst []uint32, src []uint16, stride, n, pairs int)
	// gemm computes C[m,n] = A[m,k]·B[k,n], n <= 32, from 0 or, with add, from the old C.
	// Rows of A are ar numbers apart, and 32 of them may be read behind the last; B is a
	// panel of interleaved pairs. k is a multiple of 32.
	gemm func(w *worker, c []float32, cr int, a []uint16, ar int, b []uint32, m, n, k int, add bool)
}

// pairingFloats makes bf16 products of float32 products of rounded numbers, at any level.
var pairingFloats = pairing{rows: 1, round: roundRow, interleave: interleaveGo, gemm: gemmWidened}

// activePairs returns the pairing of the active level.
func activePairs() *pairing {
	if code.pairs != nil {
		return code.pairs
	}
	return &pairingFloats
}

func roundRow(dst []uint16, src []float32) {
	code.widen.round(dst[:len(src)], src)
	clear(dst[len(src):padded(len(src))])
}

func interleaveGo(dst []uint32, src []uint16, stride, n, pairs int) {
	for p := range pairs {
		row, low, high := dst[p*panelCols:(p+1)*panelCols], src[2*p*stride:][:n], src[(2*p+1)*stride:][:n]
		for j := range n {
			row[j] = uint32(low[j]) | uint32(high[j])<<16
		}
		clear(row[n:])
	}
}

// gemmWidened exchanges the two of each pair, because the second is multiplied first.
func gemmWidened(w *worker, c []float32, cr int, a []uint16, ar int, b []uint32, m, n, k int, add bool) {
	left, right := grow(&w.wide, m*k), grow(&w.tile, panelCols*k)
	for i := range m {
		row := left[i*k : (i+1)*k]
		code.widen.halves(row, a[i*ar:i*ar+k])
		code.widen.swap(row, row)
	}
	for p := 0; p < k; p += 2 {
		first, second := right[p*panelCols:][:panelCols], right[(p+1)*panelCols:][:panelCols]
		for j, pair := range b[p/2*panelCols:][:panelCols] {
			first[j], second[j] = math.Float32frombits(pair&0xffff0000), math.Float32frombits(pair<<16)
		}
	}
	for j := 0; j < n; j += code.cols {
		code.gemm(c[j:], cr, left, k, 1, right[j:], panelCols, m, min(code.cols, n-j), k, add)
	}
}

// panelCols is the number of columns of a panel, and the number of k that are padded
// to.
const panelCols = 32

// Blocks of a product of pairs, as in a float32 product. No result depends on them.
const (
	pairDepth = 768
	pairM     = 224 // a multiple of all rows
	pairN     = 256
)

// pairStride is the distance between rows of the left factor: an odd number of cache
// lines, so that the same places of neighbouring rows fall into different sets of a
// cache.
func pairStride(k int) int { return padded(k) | panelCols }

func padded(n int) int { return (n + panelCols - 1) / panelCols * panelCols }

// asHalves uses memory for bf16 numbers, asWords for pairs of them.
func asHalves(f []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(f))), 2*len(f))
}

func asWords(f []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(f))), len(f))
}

// asFloats sees pairs as float32 numbers, to move them; there is an even number of
// halves.
func asFloats(h []uint16) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(h))), len(h)/2)
}

// A pairJob is a product of pairs: A has been rounded into rows of pairs, B is packed
// a block at a time.
type pairJob struct {
	*pairing
	c          Matrix
	a          []uint16
	ar         int
	w          Weights
	k          int // of W; rows of A are padded
	transposed bool
	add        bool
	byRows     bool
}

// multiplyPairs computes what j says with the factor a, which is transposed for a
// product Aᵀ·B.
func (t *Team) multiplyPairs(j pairJob, a Matrix, transposeA bool) {
	rows := a.Rows
	if transposeA {
		rows = a.Cols
	}
	j.ar = pairStride(j.k)
	j.a = asHalves(grow(&t.left, (rows+panelCols)*j.ar/2))
	pack := &t.jobs.pairPack
	*pack = pairPackJob{pairing: j.pairing, dst: j.a, stride: j.ar, a: a}
	grain := max(1, elementGrain/max(1, j.ar))
	if transposeA {
		pack.transposed = true
		t.share(pack, (rows+panelCols-1)/panelCols, max(1, grain/panelCols))
	} else {
		t.share(pack, rows, grain)
	}
	at := &t.jobs.pairs
	*at = j
	const worth = 500_000 // as in matmul, at twice the speed
	m, n := j.c.Rows, j.c.Cols
	if n >= 2*panelCols*t.threads {
		t.share(at, n, max(1, worth/max(1, m*j.k*panelCols))*panelCols)
	} else {
		at.byRows = true
		t.share(at, m, max(1, worth/max(1, n*j.k*j.rows))*j.rows)
	}
	at.w = Weights{}
}

func (j *pairJob) run(w *worker, lo, hi int) {
	if j.byRows {
		j.multiply(w, j.c.Data[lo*j.c.Stride:], j.a[lo*j.ar:], hi-lo, 0, j.c.Cols)
	} else {
		j.multiply(w, j.c.Data[lo:], j.a, j.c.Rows, lo, hi-lo)
	}
}

// multiply computes m rows and n columns of C, of which first is the first one.
func (j *pairJob) multiply(w *worker, c []float32, a []uint16, m, first, n int) {
	k := padded(j.k)
	pieces := (k + pairDepth - 1) / pairDepth
	depth := padded((k + pieces - 1) / pieces)
	for n0 := 0; n0 < n; n0 += pairN {
		nb := min(pairN, n-n0)
		for k0 := 0; k0 < k; k0 += depth {
			kb := min(depth, k-k0)
			panels := j.packB(w, first+n0, nb, k0, kb)
			for m0 := 0; m0 < m; m0 += pairM {
				mb := min(pairM, m-m0)
				for p := 0; p < nb; p += panelCols {
					j.gemm(w, c[m0*j.c.Stride+n0+p:], j.c.Stride, a[m0*j.ar+k0:], j.ar, panels[p*kb/2:(p+panelCols)*kb/2], mb, min(panelCols, nb-p), kb, j.add || k0 > 0)
				}
			}
		}
	}
}

// packB makes panels of columns n0 … n0+nb−1 and rows k0 … k0+kb−1 of the right factor.
// Rows from k on are 0.
func (j *pairJob) packB(w *worker, n0, nb, k0, kb int) []uint32 {
	packed := grow(&w.b, padded(nb)*kb/2)
	for p := 0; p < nb; p += panelCols {
		panel, n := packed[p*kb/2:(p+panelCols)*kb/2], min(panelCols, nb-p)
		if j.transposed {
			j.packRows(w, panel, n0+p, n, k0, kb)
		} else {
			j.packColumns(w, asWords(panel), n0+p, n, k0, kb)
		}
	}
	return asWords(packed)
}

// packRows makes a panel of n rows of W, whose columns are k.
func (j *pairJob) packRows(w *worker, panel []float32, row, n, k0, kb int) {
	if n < panelCols {
		clear(panel)
	}
	cols := j.w.Cols
	if j.w.panels && j.w.storage == BFloat16 && n == panelRows && k0+kb <= cols {
		copy(panel, j.w.words()[row*cols/2+k0/2*panelRows:][:panelRows*kb/2])
		return
	}
	if j.w.storage == BFloat16 && !j.w.panels && cols%2 == 0 && k0+kb <= cols {
		code.transpose(panel, panelCols, asFloats(j.w.halves[row*cols+k0:][:(n-1)*cols+kb]), cols/2, n, kb/2)
		return
	}
	rows := asHalves(grow(&w.halves, n*kb/2))
	for i := range n {
		j.halves(w, rows[i*kb:(i+1)*kb], (row+i)*cols+k0, min(kb, cols-k0))
	}
	code.transpose(panel, panelCols, asFloats(rows[:n*kb]), kb/2, n, kb/2)
}

// packColumns makes a panel of n columns of W, whose rows are k.
func (j *pairJob) packColumns(w *worker, panel []uint32, col, n, k0, kb int) {
	cols, have := j.w.Cols, min(kb, j.w.Rows-k0)
	pairs := 0 // that lie ready
	if j.w.storage == BFloat16 && !j.w.panels {
		pairs = have / 2
		j.interleave(panel, j.w.halves[k0*cols+col:], cols, n, pairs)
	}
	rest := asHalves(grow(&w.halves, panelCols*kb/2))[:panelCols*(kb-2*pairs)]
	for i := range kb - 2*pairs {
		row := rest[i*panelCols : (i+1)*panelCols]
		if k := k0 + 2*pairs + i; k < j.w.Rows {
			j.halves(w, row, k*cols+col, n)
		} else {
			clear(row)
		}
	}
	j.interleave(panel[pairs*panelCols:], rest, panelCols, n, kb/2-pairs)
}

// halves sets dst to n elements of W rounded to bf16, and the others to 0.
func (j *pairJob) halves(w *worker, dst []uint16, from, n int) {
	switch {
	case j.w.storage == BFloat16 && !j.w.panels:
		clear(dst[copy(dst, j.w.halves[from:from+n]):])
		return
	case j.w.storage == Float32 && !j.w.panels:
		j.round(dst, j.w.floats[from:from+n])
	default:
		wide := grow(&w.wide, n)
		j.w.Widen(wide, from)
		j.round(dst, wide)
	}
	clear(dst[min(len(dst), padded(n)):])
}

// A pairPackJob rounds A into rows of pairs, or Aᵀ in groups of 32 columns.
type pairPackJob struct {
	*pairing
	dst        []uint16
	stride     int
	a          Matrix
	transposed bool
}

func (j *pairPackJob) run(w *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		if j.transposed {
			j.columns(w, i*panelCols, min(panelCols, j.a.Cols-i*panelCols))
		} else {
			j.round(j.dst[i*j.stride:(i+1)*j.stride], j.a.Data[i*j.a.Stride:][:j.a.Cols])
		}
	}
}

// columns makes n rows of Aᵀ.
func (j *pairPackJob) columns(w *worker, first, n int) {
	k := j.stride
	rows := asHalves(grow(&w.halves, k*panelCols/2))
	for p := range k {
		row := rows[p*panelCols : (p+1)*panelCols]
		if p < j.a.Rows {
			j.round(row, j.a.Data[p*j.a.Stride+first:][:n])
		} else {
			clear(row)
		}
	}
	panel := grow(&w.wide, k/2*panelCols)
	j.interleave(asWords(panel), rows, panelCols, n, k/2)
	code.transpose(asFloats(j.dst[first*k:]), k/2, panel, panelCols, k/2, n)
}
