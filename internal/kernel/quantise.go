package kernel

import (
	"math"
	"slices"
	"sort"
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

// dynamic8 is the code book of the scales of NF4's blocks, less their mean: an 8-bit
// float whose fraction is the longer the larger the number (Dettmers 2015,
// arXiv:1511.04561; Dettmers et al. 2022, arXiv:2110.02861). For e = 0 … 6 it holds
// ±10^(e−6) times the middles of 2^e equal parts of 0.1 … 1, and 0 and 1. The
// arithmetic is float32, so that the values have bitsandbytes' bits.
var dynamic8 = func() (book [256]float32) {
	const low, high = float32(0.1), float32(1)
	values := []float32{0, 1}
	for e := range 7 {
		parts := 1 << e
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
			values = append(values, v, -v)
		}
	}
	slices.Sort(values)
	copy(book[:], values)
	return book
}()

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
	w := Dense(data, rows, cols)
	w.storage = s
	switch s {
	case BFloat16:
		w.halves = make([]uint16, len(data))
		code.widen.round(w.halves, data)
	case Int8:
		w.quantiseInt8(data)
	case NF4:
		w.quantiseNF4(data)
	default:
		return w
	}
	w.floats = nil
	return w
}

func (w *Weights) quantiseInt8(data []float32) {
	w.codes = make([]byte, len(data))
	for i, block := range eachOf(data, quantBlock) {
		top := largest(block)
		scale := top / 127
		w.scales = append(w.scales, scale)
		if scale == 0 {
			continue
		}
		for j, v := range block {
			q := math.RoundToEven(float64(v) / float64(scale))
			w.codes[i*quantBlock+j] = byte(int8(min(127, max(-127, q))))
		}
	}
}

func (w *Weights) quantiseNF4(data []float32) {
	w.codes = make([]byte, (len(data)+1)/2)
	var scales []float32
	for i, block := range eachOf(data, quantBlock) {
		top := largest(block)
		scales = append(scales, top)
		inverse := reciprocal(top)
		for j, v := range block {
			c := nearestNF4(float32(v * inverse))
			at := i*quantBlock + j
			w.codes[at/2] |= c << (4 * (1 - at%2))
		}
	}
	w.quantiseScales(scales)
}

// quantiseScales is the second quantisation, of the scales of blocks.
func (w *Weights) quantiseScales(scales []float32) {
	sum := 0.0
	for _, s := range scales {
		sum += float64(s)
	}
	w.offset = float32(sum / float64(max(1, len(scales))))
	rest := make([]float32, len(scales))
	for i, s := range scales {
		rest[i] = s - w.offset
	}
	for _, group := range eachOf(rest, quantGroup) {
		top := largest(group)
		w.scales = append(w.scales, top)
		inverse := reciprocal(top)
		for _, v := range group {
			w.blocks = append(w.blocks, nearest8(float32(v*inverse)))
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

// nearestNF4 returns the code of the value nearest to v; between two, the upper one
// is taken from above the middle.
func nearestNF4(v float32) byte {
	c := byte(0)
	for c < 15 && v > (nf4[c]+nf4[c+1])/2 {
		c++
	}
	return c
}

// nearest8 returns the code in dynamic8 of the value nearest to v.
func nearest8(v float32) byte {
	c := sort.Search(256, func(i int) bool { return dynamic8[i] >= v })
	switch {
	case c == 256:
		return 255
	case c > 0 && v-dynamic8[c-1] <= dynamic8[c]-v:
		return byte(c - 1)
	}
	return byte(c)
}
