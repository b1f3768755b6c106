package kernel

import (
	"math"
	"slices"
)

// A codebook is 256 numbers in rising order, of which a byte names one, and a table
// for finding the nearest of a number from -1 to 1.
type codebook struct {
	values [256]float32
	// starts has for numbers that are not negative and for those that are, cell by
	// cell of their sizes, the code of the largest value that is not above any of the
	// cell's numbers, or 0.
	starts [2][bookCells]byte
}

// The cells of a code book are sizes whose float32 have the first bits in common: the
// exponent and six bits of the fraction, so that a cell holds two values at the most.
// All sizes below 2⁻²², which is less than half of the smallest value, are one cell.
const (
	bookShift  = 23 - 6
	bookLowest = (127 - 22) << 6
	bookCells  = 127<<6 - bookLowest + 1
)

func bookCell(size uint32) int {
	return min(bookCells-1, max(0, int(size>>bookShift)-bookLowest))
}

// The dynamic code books are 8-bit floats whose fraction is the longer the larger the
// number (Dettmers 2015, arXiv:1511.04561; Dettmers et al. 2022, arXiv:2110.02861,
// section 1.3). For e = 0 … 6 the signed one holds ±10^(e−6) times the middles of 2^e
// equal parts of 0.1 … 1, the unsigned one 10^(e−6) times the middles of 2^(e+1) parts;
// both hold 0 and 1. The arithmetic is float32, so that the values have the bits of
// bitsandbytes' create_dynamic_map.
var signed8, unsigned8 = dynamicBook(true), dynamicBook(false)

func dynamicBook(signed bool) *codebook {
	const low, high = float32(0.1), float32(1)
	values := []float32{0, 1}
	for e := range 7 {
		parts := 1 << e
		if !signed {
			parts *= 2
		}
		step := float64((high - low) / float32(parts))
		edge := func(i int) float32 {
			if i < (parts+1)/2 {
				return float32(float64(low) + step*float64(i))
			}
			return float32(float64(high) - step*float64(parts-i))
		}
		factor := float32(math.Pow(10, float64(e-6)))
		for i := range parts {
			v := float32(factor * float32(float32(edge(i)+edge(i+1))/2))
			values = append(values, v)
			if signed {
				values = append(values, -v)
			}
		}
	}
	slices.Sort(values)
	b := &codebook{}
	copy(b.values[:], values)
	for cell := range bookCells {
		least, next := float32(0), math.Float32frombits(uint32(cell+1+bookLowest)<<bookShift)
		if cell > 0 {
			least = math.Float32frombits(uint32(cell+bookLowest) << bookShift)
		}
		b.starts[0][cell], b.starts[1][cell] = b.last(least), b.last(-next)
	}
	return b
}

// last returns the code of the largest value that is not above v, or 0.
func (b *codebook) last(v float32) byte {
	c := 0
	for c < 255 && b.values[c+1] <= v {
		c++
	}
	return byte(c)
}

// nearest returns the code of the value nearest to v, which is from -1 to 1; between two
// it is the lower one.
func (b *codebook) nearest(v float32) byte {
	bits := math.Float32bits(v)
	c := b.starts[bits>>31][bookCell(bits&^(1<<31))]
	for c < 255 && b.values[c+1] <= v {
		c++
	}
	if c < 255 && b.values[c+1]-v < v-b.values[c] {
		c++
	}
	return c
}

// DynamicBook returns the signed or the unsigned dynamic code book of 8 bits.
func DynamicBook(signed bool) [256]float32 {
	if signed {
		return signed8.values
	}
	return unsigned8.values
}
