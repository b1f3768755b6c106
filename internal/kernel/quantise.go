package kernel

import (
	"math"
	"slices"

	"gotune/internal/pages"
)

const (
	quantBlock = 64  // elements that share a scale
	quantGroup = 256 // scales of NF4 that share a scale
)

// nf4 is the code book of the NormalFloat of four bits: quantiles of the normal
// distribution, half of them on each side of an exact 0, divided by the largest
// (Dettmers et al. 2023, QLoRA, arXiv:2305.14314, appendix E; the values are those
// of bitsandbytes).
var nf4 = [16]float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

// Quantise stores a matrix. With Float32 the data is not copied; with BFloat16 it
// is rounded as by [RoundBF16]. The other storages cut the elements, row after
// row, into blocks of 64 and keep what is largest in each, without its sign, as its
// scale:
//
//   - Int8: an element is q·scale/127 with q = −127 … 127, the nearest; a scale
//     is a float32, kept divided by 127.
//   - NF4: an element is the nearest of 16 values times the scale. The scales are
//     quantised again ("double quantisation"): less their mean, in groups of 256
//     with a scale each, to the nearest of 256 values. Code books, order and
//     rounding are those of QLoRA and bitsandbytes.
//
// Infinities and NaN are not kept by Int8 and NF4.
func Quantise(s Storage, data []float32, rows, cols int) Weights {
	if s == Float32 {
		return Dense(data, rows, cols)
	}
	q := NewQuantiser(s, rows, cols)
	q.Add(data)
	return q.Weights()
}

// A Quantiser is [Quantise] of a matrix that is given piece by piece, so that its
// float32 numbers are never in memory as a whole. Float32 is none of its storages.
type Quantiser struct {
	w    Weights
	done int       // elements so far
	tops []float32 // NF4: the largest of each block, without its sign
}

// NewQuantiser begins a matrix.
func NewQuantiser(s Storage, rows, cols int) *Quantiser {
	check(s == BFloat16 || s == Int8 || s == NF4, "NewQuantiser: the storage is none of BFloat16, Int8 and NF4")
	q := &Quantiser{w: Blank(s, rows, cols)}
	n := q.w.Len()
	blocks := (n + quantBlock - 1) / quantBlock
	switch s {
	case BFloat16:
		q.w.halves = pages.Make[uint16](n)
	case Int8:
		q.w.codes, q.w.scales = pages.Make[byte](n), make([]float32, 0, blocks)
	case NF4:
		q.w.codes, q.w.blocks = pages.Make[byte]((n+1)/2), make([]byte, 0, blocks)
		q.tops = make([]float32, 0, blocks)
	}
	return q
}

// Add takes the next elements, row after row. Their number is a multiple of 64, but
// for the last ones.
func (q *Quantiser) Add(data []float32) {
	check(q.done+len(data) <= q.w.Len() && q.done%quantBlock == 0, "Quantiser: the piece does not fit")
	from := q.done
	q.done += len(data)
	switch q.w.storage {
	case BFloat16:
		code.widen.round(q.w.halves[from:q.done], data)
	case Int8:
		q.addInt8(data, q.w.codes[from:q.done])
	case NF4:
		q.addNF4(data, q.w.codes[from/2:(q.done+1)/2])
	}
}

// Weights returns the matrix, all of whose elements have been given.
func (q *Quantiser) Weights() Weights {
	check(q.done == q.w.Len(), "Quantiser: elements are missing")
	if q.w.storage == NF4 {
		q.w.quantiseScales(q.tops)
	}
	return q.w
}

func (q *Quantiser) addInt8(data []float32, codes []byte) {
	for i, block := range eachOf(data, quantBlock) {
		scale := largest(block) / 127
		q.w.scales = append(q.w.scales, scale)
		if scale == 0 {
			continue
		}
		for j, v := range block {
			c := math.RoundToEven(float64(v) / float64(scale))
			codes[i*quantBlock+j] = byte(int8(min(127, max(-127, c))))
		}
	}
}

func (q *Quantiser) addNF4(data []float32, codes []byte) {
	for i, block := range eachOf(data, quantBlock) {
		top := largest(block)
		q.tops = append(q.tops, top)
		inverse := reciprocal(top)
		for j, v := range block {
			at := i*quantBlock + j
			codes[at/2] |= nearestNF4(float32(v*inverse)) << (4 * (1 - at%2))
		}
	}
}

// quantiseScales is the second quantisation, of the scales of blocks.
func (w *Weights) quantiseScales(scales []float32) {
	sum := 0.0
	for _, s := range scales {
		sum += float64(s)
	}
	w.offset = float32(sum / float64(max(1, len(scales))))
	for i := range scales {
		scales[i] -= w.offset
	}
	for _, group := range eachOf(scales, quantGroup) {
		top := largest(group)
		w.scales = append(w.scales, top)
		inverse := reciprocal(top)
		for _, v := range group {
			w.blocks = append(w.blocks, signed8.nearest(float32(v*inverse)))
		}
	}
}

// eachOf cuts a slice into parts of n elements; the last may be shorter.
func eachOf(x []float32, n int) func(yield func(i int, part []float32) bool) {
	return func(yield func(int, []float32) bool) {
		i := 0
		for part := range slices.Chunk(x, n) {
			if !yield(i, part) {
				return
			}
			i++
		}
	}
}

// reciprocal is 1/v, and 0 for a v whose reciprocal would be infinite.
func reciprocal(v float32) float32 {
	if v < 0x1p-126 {
		return 0
	}
	return 1 / v
}

func largest(x []float32) float32 {
	top := float32(0)
	for _, v := range x {
		top = max(top, float32(math.Abs(float64(v))))
	}
	return top
}

// middles are those of neighbours in nf4, and a last one that nothing is above.
var middles = func() (m [16]float32) {
	for c := range 15 {
		m[c] = (nf4[c] + nf4[c+1]) / 2
	}
	m[15] = 2
	return m
}()

// nf4Cells cuts −1 … 1 into so many cells, each of which holds one middle at most.
const nf4Cells = 256

// below is the number of middles below each cell, which is taken a little wider than
// it is, for the rounding of the number of a cell.
var below = func() (counts [nf4Cells]byte) {
	for i := range counts {
		edge := 2*(float64(i)-0.01)/nf4Cells - 1
		for _, m := range middles[:15] {
			if float64(m) < edge {
				counts[i]++
			}
		}
	}
	return counts
}()

// nearestNF4 returns the code of the value nearest to v; between two, the upper one
// is taken from above the middle. It is the number of middles below v.
func nearestNF4(v float32) byte {
	cell := int((v + 1) * (nf4Cells / 2))
	c := below[min(nf4Cells-1, max(0, cell))]
	if v > middles[c&15] {
		c++
	}
	return c
}
