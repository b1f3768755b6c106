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
			dst[i] = WidenF16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
}

// WidenF16 returns the float32 equal to an IEEE 754 binary16 value.
func WidenF16(h uint16) float32 {
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

// RoundF16 returns the nearest IEEE 754 binary16 of v, ties to even, as its 16 bits.
// What is beyond the largest, 65504, by half a step or more becomes infinite.
func RoundF16(v float32) uint16 {
	b := math.Float32bits(v)
	sign, magnitude := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case magnitude > 0x7f800000:
		return sign | 0x7e00 // a NaN
	case magnitude >= 0x47800000: // 65536
		return sign | 0x7c00
	case magnitude < 0x38800000: // 2⁻¹⁴: a subnormal, a multiple of 2⁻²⁴
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(magnitude))*0x1p24))
	}
	magnitude -= 112 << 23 // the bias of the exponent is 15 in place of 127
	return sign | uint16((magnitude+0xfff+magnitude>>13&1)>>13)
}

// narrow stores float32 values as the type d. It returns false for the first value that
// is finite and that d cannot hold.
func narrow(dst []byte, src []float32, d DType) (float32, bool) {
	for i, v := range src {
		switch d {
		case F16:
			h := RoundF16(v)
			if h&0x7fff == 0x7c00 && !math.IsInf(float64(v), 0) {
				return v, false
			}
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		case BF16:
			binary.LittleEndian.PutUint16(dst[2*i:], RoundBF16(v))
		default:
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	}
	return 0, true
}
