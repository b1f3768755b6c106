package kernel

import (
	"fmt"
	"math"

	"gotune/internal/pages"
)

// A Storage says how the numbers of a frozen matrix are kept in memory.
type Storage int

// The ways to store a matrix, and the bits that an element takes.
const (
	Float32  Storage = iota // 32
	BFloat16                // 16: the upper half of a float32
	Int8                    // 8.5: see [Quantise]
	NF4                     // 4.13: see [Quantise]
)

func (s Storage) String() string {
	switch s {
	case Float32:
		return "fp32"
	case BFloat16:
		return "bf16"
	case Int8:
		return "int8"
	case NF4:
		return "nf4"
	}
	return fmt.Sprintf("storage %d", int(s))
}

// Weights is a matrix that is only read, in one of the storages, row-major or in panels
// (see InPanels). Its value is made of float32 numbers: every product widens them first.
type Weights struct {
	Rows, Cols int
	storage    Storage
	panels     bool      // see InPanels
	floats     []float32 // Float32
	halves     []uint16  // BFloat16
	codes      []byte    // Int8: one each, two's complement; NF4: two in a byte, the first in the upper half
	scales     []float32 // Int8: of each block; NF4: of each group of blocks
	blocks     []byte    // NF4: codes of the blocks' scales
	offset     float32   // NF4: the mean of the blocks' scales
}

// Dense is a matrix of float32 numbers; data is not copied.
func Dense(data []float32, rows, cols int) Weights {
	check(rows >= 0 && cols >= 0 && len(data) == rows*cols, "Dense: the data does not have the size of the matrix")
	return Weights{Rows: rows, Cols: cols, floats: data}
}

// Halves is a matrix of bf16 numbers; data is not copied.
func Halves(data []uint16, rows, cols int) Weights {
	check(rows >= 0 && cols >= 0 && len(data) == rows*cols, "Halves: the data does not have the size of the matrix")
	return Weights{Rows: rows, Cols: cols, storage: BFloat16, halves: data}
}

// Storage returns how the matrix is stored.
func (w Weights) Storage() Storage { return w.storage }

// Len returns the number of elements.
func (w Weights) Len() int { return w.Rows * w.Cols }

// Blank is a matrix of a size without elements, to count memory with.
func Blank(s Storage, rows, cols int) Weights { return Weights{Rows: rows, Cols: cols, storage: s} }

// Bytes returns the memory that the matrix takes.
func (w Weights) Bytes() int64 {
	n := int64(w.Len())
	blocks := (n + quantBlock - 1) / quantBlock
	switch w.storage {
	case BFloat16:
		return 2 * n
	case Int8:
		return n + 4*blocks
	case NF4:
		return (n+1)/2 + blocks + 4*((blocks+quantGroup-1)/quantGroup)
	}
	return 4 * n
}

// Float32s returns the elements as float32 numbers: those of the matrix itself
// if they are stored so, else new ones.
func (w Weights) Float32s() []float32 {
	if w.storage == Float32 && !w.panels {
		return w.floats
	}
	all := pages.Make[float32](w.Len())
	w.Widen(all, 0)
	return all
}

// Widen sets dst to the elements that begin with number from, row after row.
func (w *Weights) Widen(dst []float32, from int) {
	switch {
	case w.panels:
		for i := range dst {
			dst[i] = w.element(from + i)
		}
	case w.storage == Float32:
		copy(dst, w.floats[from:from+len(dst)])
	case w.storage == BFloat16:
		code.widen.halves(dst, w.halves[from:from+len(dst)])
	case w.storage == Int8:
		w.widenCodes(dst, from, w.codes[from:])
	case w.storage == NF4:
		w.widenCodes(dst, from, w.codes[from/2:])
	}
}

// widenCodes is Widen of a quantised matrix given the codes of these elements.
func (w *Weights) widenCodes(dst []float32, from int, codes []byte) {
	if w.storage == Int8 {
		w.eachBlock(dst, from, func(dst []float32, at int, scale float32) {
			even, codes := len(dst)&^15, codes[at-from:]
			code.widen.int8(dst[:even], codes[:even], scale)
			widenInt8Go(dst[even:], codes[even:len(dst)], scale)
		})
		return
	}
	w.eachBlock(dst, from, func(dst []float32, at int, scale float32) {
		codes := codes[at/2-from/2:]
		if at%2 != 0 {
			dst[0] = float32(nf4[codes[0]&15] * scale)
			dst, codes = dst[1:], codes[1:]
		}
		even := len(dst) &^ 15
		code.widen.nf4(dst[:even], codes[:even/2], scale)
		widenNF4Go(dst[even:], codes[even/2:], scale)
	})
}

// widenWords is Widen of a part of a row given the words of its elements.
func (w *Weights) widenWords(dst []float32, from int, words []float32) {
	switch w.storage {
	case Float32:
		copy(dst, words)
	case BFloat16:
		code.widen.halves(dst, asHalves(words)[:len(dst)])
	default:
		w.widenCodes(dst, from, bytesOf(words))
	}
}

// eachBlock calls widen for the parts of dst that lie in one block, with the
// number of their first element and the block's scale.
func (w *Weights) eachBlock(dst []float32, from int, widen func(dst []float32, from int, scale float32)) {
	for len(dst) > 0 {
		n := min(quantBlock-from%quantBlock, len(dst))
		widen(dst[:n], from, w.scale(from/quantBlock))
		dst, from = dst[n:], from+n
	}
}

// scale returns the scale of a block.
func (w *Weights) scale(block int) float32 {
	if w.storage == Int8 {
		return w.scales[block]
	}
	return float32(signed8.values[w.blocks[block]]*w.scales[block/quantGroup]) + w.offset
}

// A widening holds the loops of one level that change the form of numbers; the Go
// functions below define what each computes.
type widening struct {
	halves  func(dst []float32, src []uint16)          // from bf16
	int8    func(dst []float32, src []byte, s float32) // len(dst) is a multiple of 16
	nf4     func(dst []float32, src []byte, s float32) // len(dst) is a multiple of 16
	round   func(dst []uint16, src []float32)          // to bf16
	inPlace func(x []float32)                          // to bf16 and back
	swap    func(dst, src []float32)                   // to bf16 and back, pairs exchanged; len(src) is even, dst may be src
}

var widenGeneric = widening{
	halves: widenHalvesGo, int8: widenInt8Go, nf4: widenNF4Go,
	round: roundGo, inPlace: roundInPlaceGo, swap: roundSwapGo,
}

func widenHalvesGo(dst []float32, src []uint16) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(src[i]) << 16)
	}
}

func widenInt8Go(dst []float32, src []byte, s float32) {
	for i := range dst {
		dst[i] = float32(int8(src[i])) * s
	}
}

func widenNF4Go(dst []float32, src []byte, s float32) {
	for i := range dst {
		c := src[i/2]
		if i%2 == 0 {
			c >>= 4
		}
		dst[i] = nf4[c&15] * s
	}
}

// RoundBF16 returns the nearest bf16 number, of two that are as near the one with
// an even last bit. Subnormal numbers become 0, as in the instructions of CPUs,
// and a NaN stays one.
func RoundBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	switch {
	case v != v:
		return uint16(bits>>16) | 0x40
	case bits&0x7f800000 == 0:
		return uint16(bits>>16) & 0x8000
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func roundGo(dst []uint16, src []float32) {
	for i := range dst {
		dst[i] = RoundBF16(src[i])
	}
}

func throughBF16(v float32) float32 { return math.Float32frombits(uint32(RoundBF16(v)) << 16) }

func roundInPlaceGo(x []float32) {
	for i, v := range x {
		x[i] = throughBF16(v)
	}
}

func roundSwapGo(dst, src []float32) {
	for i := 0; i < len(src); i += 2 {
		dst[i], dst[i+1] = throughBF16(src[i+1]), throughBF16(src[i])
	}
}
