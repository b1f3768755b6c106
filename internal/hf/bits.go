package hf

import (
	"encoding/binary"
	"fmt"
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

// RoundHalf returns the nearest IEEE 754 binary16 value of v, ties to even, as its 16
// bits. What is too large for it becomes an infinity.
func RoundHalf(v float32) uint16 {
	b := math.Float32bits(v)
	sign, size := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case v != v:
		return sign | 0x7e00
	case size >= 0x477ff000: // 65520, from where on the nearest is beyond the largest
		return sign | 0x7c00
	case size < 0x38800000: // below 2⁻¹⁴, subnormals: a multiple of 2⁻²⁴
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(size))*0x1p24))
	}
	return sign | uint16((size-112<<23+0xfff+size>>13&1)>>13)
}

// narrow stores float32 values as the type d.
func narrow(dst []byte, src []float32, d DType) {
	switch d {
	case BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], RoundBF16(v))
		}
	case F16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], RoundHalf(v))
		}
	default:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	}
}

// fits returns an error where a finite number would become an infinity.
func fits(src []float32, d DType) error {
	if d != F16 {
		return nil
	}
	for _, v := range src {
		if x := math.Abs(float64(v)); x >= 65520 && !math.IsInf(x, 1) {
			return fmt.Errorf("it holds %g, and the largest number of float16 is 65504: write bfloat16 or float32", v)
		}
	}
	return nil
}
