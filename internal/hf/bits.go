package hf

import (
	"encoding/binary"
	"math"
)

// widen turns stored elements into float32; every F16 and BF16 value has an
// equal float32.
func widen(dst []float32, src []byte, d DType) {
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case F16:
		for i := range dst {
			dst[i] = fromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
}

// fromHalf widens an IEEE 754 binary16 value.
func fromHalf(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero and subnormals: fraction · 2⁻²⁴
		v := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// RoundBF16 returns the nearest bfloat16 of v, ties to even, as its 16 bits.
func RoundBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40 // stays a NaN even if its low bits are cut off
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// narrow stores float32 values as the type d, which is F32 or BF16.
func narrow(dst []byte, src []float32, d DType) {
	if d == BF16 {
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], RoundBF16(v))
		}
		return
	}
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}
