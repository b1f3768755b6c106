package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eights emits a loop over n elements, a multiple of 8; n is destroyed and offset
// counts elements.
func eights(n Register, body func(offset Register)) {
	loop, done := label("loop"), label("done")
	offset := GP64()
	XORQ(offset, offset)
	Label(loop)
	CMPQ(offset, n)
	JGE(LabelRef(done))
	body(offset)
	ADDQ(U8(8), offset)
	JMP(LabelRef(loop))
	Label(done)
}

// widenHalves turns bf16 into float32; len(dst) is a multiple of 8.
func widenHalves() {
	function("widenHalves", "(dst []float32, src []uint16)", func() {
		p := base("dst", "src")
		eights(length("dst"), func(i Register) {
			y := YMM()
			VPMOVZXWD(Mem{Base: p[1], Index: i, Scale: 2}, y)
			VPSLLD(U8(16), y, y)
			VMOVUPS(y, Mem{Base: p[0], Index: i, Scale: 4})
		})
	})
}

// widenInt8 computes dst = src·s; len(dst) is a multiple of 8.
func widenInt8() {
	function("widenInt8", "(dst []float32, src []byte, s float32)", func() {
		p, s := base("dst", "src"), scalar("s")
		eights(length("dst"), func(i Register) {
			y := YMM()
			VPMOVSXBD(Mem{Base: p[1], Index: i, Scale: 1}, y)
			VCVTDQ2PS(y, y)
			VMULPS(s, y, y)
			VMOVUPS(y, Mem{Base: p[0], Index: i, Scale: 4})
		})
	})
}

// nf4Book holds the values of package kernel's nf4.
var nf4Book = []float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

// widenNF4 computes dst = nf4[code]·s for two codes in each byte, the upper one
// first; len(dst) is a multiple of 16.
func widenNF4() {
	function("widenNF4", "(dst []float32, src []byte, s float32)", func() {
		p, s, n := base("dst", "src"), scalar("s"), length("dst")
		var bits []uint32
		for _, v := range nf4Book {
			bits = append(bits, math.Float32bits(v))
		}
		book := words("nf4", bits...)
		low, high, mask := YMM(), YMM(), YMM()
		VMOVUPS(book, low)
		VMOVUPS(book.Offset(32), high)
		VPCMPEQD(mask, mask, mask)
		VPSRLD(U8(28), mask, mask)
		look := func(c VecVirtual) VecVirtual {
			below, above, upper := YMM(), YMM(), YMM()
			VPERMPS(low, c, below)
			VPERMPS(high, c, above)
			VPSLLD(U8(28), c, upper) // bit 3 becomes the sign
			VBLENDVPS(upper, above, below, below)
			VMULPS(s, below, below)
			return below
		}
		SHRQ(U8(1), n)
		eights(n, func(i Register) {
			c, first := YMM(), YMM()
			VPMOVZXBD(Mem{Base: p[1], Index: i, Scale: 1}, c)
			VPSRLD(U8(4), c, first)
			VPAND(mask, c, c)
			a, b := look(first), look(c)
			even, odd, lower, upper := YMM(), YMM(), YMM(), YMM()
			VUNPCKLPS(b, a, even)
			VUNPCKHPS(b, a, odd)
			VPERM2F128(U8(0x20), odd, even, lower)
			VPERM2F128(U8(0x31), odd, even, upper)
			VMOVUPS(lower, Mem{Base: p[0], Index: i, Scale: 8})
			VMOVUPS(upper, Mem{Base: p[0], Index: i, Scale: 8, Disp: 32})
		})
	})
}

// rounded returns float32 numbers rounded to bf16, as bits in the upper halves of
// words: to the nearest, to an even last bit between two, subnormal numbers to 0,
// NaN to NaN.
func rounded(x VecVirtual) VecVirtual {
	y, t, odd := YMM(), YMM(), YMM()
	VPSRLD(U8(16), x, odd)
	VPAND(allWords("bf16_one", 1), odd, odd)
	VPADDD(allWords("bf16_half", 0x7fff), x, y)
	VPADDD(odd, y, y)
	// A NaN keeps its upper half and gets the quiet bit.
	VCMPPS(U8(3), x, x, t)
	quiet := YMM()
	VPOR(allWords("bf16_quiet", 0x400000), x, quiet)
	VBLENDVPS(t, quiet, y, y)
	// An exponent of 0 leaves the sign alone.
	VPAND(allWords("bf16_exponent", 0x7f800000), x, t)
	zeros, sign := zero(), YMM()
	VPCMPEQD(zeros, t, t)
	VPAND(allWords("bf16_sign", 0x80000000), x, sign)
	VBLENDVPS(t, sign, y, y)
	return y
}

// round turns float32 into bf16; len(dst) is a multiple of 8.
func round() {
	function("round", "(dst []uint16, src []float32)", func() {
		p := base("dst", "src")
		eights(length("dst"), func(i Register) {
			x := YMM()
			VMOVUPS(Mem{Base: p[1], Index: i, Scale: 4}, x)
			y := rounded(x)
			VPSRLD(U8(16), y, y)
			upper := YMM()
			VEXTRACTI128(U8(1), y, upper.AsX())
			VPACKUSDW(upper.AsX(), y.AsX(), y.AsX())
			VMOVDQU(y.AsX(), Mem{Base: p[0], Index: i, Scale: 2})
		})
	})
}

// roundInPlace rounds float32 to bf16 and back; len(x) is a multiple of 8.
func roundInPlace() {
	function("roundInPlace", "(x []float32)", func() {
		p := base("x")
		eights(length("x"), func(i Register) {
			x := YMM()
			VMOVUPS(Mem{Base: p[0], Index: i, Scale: 4}, x)
			y := rounded(x)
			VPAND(allWords("bf16_upper", 0xffff0000), y, y)
			VMOVUPS(y, Mem{Base: p[0], Index: i, Scale: 4})
		})
	})
}

// roundSwap rounds float32 to bf16 and back and exchanges the two of each pair;
// len(src) is a multiple of 8.
func roundSwap() {
	function("roundSwap", "(dst, src []float32)", func() {
		p := base("dst", "src")
		eights(length("src"), func(i Register) {
			x := YMM()
			VMOVUPS(Mem{Base: p[1], Index: i, Scale: 4}, x)
			y := rounded(x)
			VPAND(allWords("bf16_upper", 0xffff0000), y, y)
			VPERMILPS(U8(0xb1), y, y)
			VMOVUPS(y, Mem{Base: p[0], Index: i, Scale: 4})
		})
	})
}
