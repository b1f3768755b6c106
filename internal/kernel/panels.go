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
	floats    func(c, x, b []float32, n, k int, add bool, next []byte)
	halves    func(c, x []float32, b []uint16, n, k int, add bool, next []byte)
	int8, nf4 func(c, x []float32, b []byte, scales []float32, sr, n, k int, add bool, next []byte)
}

// InPanels returns a copy of the matrix that products of one row are faster with: 32 rows
// are a panel, in which word after word of 32 bits (1, 2, 4 or 8 columns) of all the rows
// lie side by side. The scales stay as they are. Every product and Widen take either
// layout, and no result depends on it; C = A·W is slow with this one. The matrix itself is
// returned if it does not consist of whole panels and blocks, or the active level has no
// code for them.
func (w Weights) InPanels() Weights {
	if code.panels == nil || w.panels || w.Rows%panelRows != 0 || w.Cols%quantBlock != 0 {
		return w
	}
	p := w
	p.panels = true
	from, to := w.words(), []float32(nil)
	switch w.storage {
	case Float32:
		p.floats = pages.Make[float32](w.Len())
	case BFloat16:
		p.halves = pages.Make[uint16](w.Len())
	default:
		p.codes = pages.Make[byte](len(w.codes))
	}
	to = p.words()
	each := w.rowWords()
	for at := 0; at < len(from); at += panelRows * each {
		code.transpose(to[at:], panelRows, from[at:], each, panelRows, each)
	}
	return p
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

// panelRow brings the words of columns from … from+n−1 of a row in panels together, where
// n and from are whole words.
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
