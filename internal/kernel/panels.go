package kernel

import (
	"unsafe"

	"gotune/internal/pages"
)

// panelRows is the number of rows of a panel.
const panelRows = 32

// panelled multiplies one row by rows of a matrix in panels, see [Weights.InPanels]: what
// storedRows does. n is a multiple of panelRows, k of quantBlock.
type panelled struct {
	floats    func(c, x, b []float32, n, k int, add bool)
	halves    func(c, x []float32, b []uint16, n, k int, add bool)
	int8, nf4 func(c, x []float32, b []byte, scales []float32, sr, n, k int, add bool)
}

// InPanels returns a copy of the matrix that products of one row are faster with: 32 rows
// are a panel, in which word after word of 32 bits (1, 2, 4 or 8 columns) of all the rows
// lie side by side. The scales stay as they are. Every product and Widen take either
// layout, and no result depends on it; C = A·W is slow with this one. The matrix itself is
// returned if it does not consist of whole panels and blocks, or the active level has no
// code for them.
func (w Weights) InPanels(t *Team) Weights {
	if code.panels == nil || w.panels || w.Rows%panelRows != 0 || w.Cols%quantBlock != 0 {
		return w
	}
	p := w
	p.panels = true
	switch w.storage {
	case Float32:
		p.floats = pages.Make[float32](w.Len())
	case BFloat16:
		p.halves = pages.Make[uint16](w.Len())
	default:
		p.codes = pages.Make[byte](len(w.codes))
	}
	t = t.single()
	t.jobs.inPanels = inPanelsJob{p.words(), w.words(), w.rowWords()}
	t.split(&t.jobs.inPanels, w.Rows/panelRows, max(1, elementGrain/(panelRows*w.rowWords())))
	t.jobs.inPanels = inPanelsJob{}
	return p
}

// Panels reports whether the matrix is laid out in panels.
func (w *Weights) Panels() bool { return w.panels }

type inPanelsJob struct {
	to, from []float32
	each     int // words of a row
}

func (j *inPanelsJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		at := i * panelRows * j.each
		code.transpose(j.to[at:], panelRows, j.from[at:], j.each, panelRows, j.each)
	}
}

// words sees the elements as words of 32 bits, which can be moved as float32 numbers.
func (w *Weights) words() []float32 {
	b := w.bytesOf(0, w.Rows)
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// wordCols is the number of columns in a word.
func (s Storage) wordCols() int { return []int{Float32: 1, BFloat16: 2, Int8: 4, NF4: 8}[s] }

// rowWords is the number of words of a row.
func (w *Weights) rowWords() int { return w.Cols / w.storage.wordCols() }

// panelRows sets dst to the words of columns from … from+n−1, which are whole words, of rows
// of one panel, row after row.
func (w *Weights) panelRows(dst []float32, row, rows, from, n int) []float32 {
	each, cols := w.rowWords(), w.storage.wordCols()
	dst = dst[:rows*n/cols]
	panel := w.words()[row*each+from/cols*panelRows:]
	code.transpose(dst, n/cols, panel, panelRows, n/cols, rows)
	return dst
}

// element returns an element of a matrix in panels.
func (w *Weights) element(i int) float32 {
	row, col := i/w.Cols, i%w.Cols
	cols := w.storage.wordCols()
	at := row/panelRows*panelRows*w.Cols + col/cols*cols*panelRows + row%panelRows*cols + col%cols
	var x [1]float32
	switch w.storage {
	case Float32:
		return w.floats[at]
	case BFloat16:
		widenHalvesGo(x[:], w.halves[at:at+1])
	case Int8:
		widenInt8Go(x[:], w.codes[at:at+1], w.scale(i/quantBlock))
	case NF4:
		x[0] = float32(nf4[w.codes[at/2]>>(4*(1-at%2))&15] * w.scale(i/quantBlock))
	}
	return x[0]
}

// rowsJob multiplies one row by several matrices in panels. The items are all their rows.
type rowsJob []rowJob

// RowProducts computes C = a·Wᵀ for the rows c and matrices of(i) in panels, as ProductNT in
// FP32 would, one row a and all matrices at a time.
func RowProducts(t *Team, c []Matrix, a Matrix, of func(i int) Weights) {
	t = t.single()
	defer t.release()
	all, rows := t.jobs.rows[:0], 0
	for i, c := range c {
		w := of(i)
		check(w.panels && a.Rows == 1 && c.Rows == 1 && a.Cols == w.Cols && c.Cols == w.Rows, "RowProducts: the shapes do not fit, or a matrix is not in panels")
		if code.panels == nil {
			ProductNT(t, FP32, c, a, w, false)
			continue
		}
		all = append(all, rowJob{storedJob{c: c, a: operand{a.Data, a.Stride, 1}, w: w, k: w.Cols, transposed: true}, w.Cols})
		rows += w.Rows
	}
	if t.jobs.rows = all; len(all) > 0 {
		t.step = 0
		grain, parts := t.rowParts(rows, a.Cols)
		t.shareIn(&t.jobs.rows, rows, grain, parts)
		clear(all)
	}
}

func (j *rowsJob) run(w *worker, lo, hi int) {
	for i := range *j {
		one := &(*j)[i]
		rows := one.w.Rows
		if from, to := max(lo, 0), min(hi, rows); from < to {
			one.run(w, from, to)
		}
		lo, hi = lo-rows, hi-rows
	}
}
