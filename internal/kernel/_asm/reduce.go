package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fold adds or compares 16 lanes, lane i with lane i + half the width, down to
// one, and returns the register that holds it in its lowest lane.
func fold(lanes []VecVirtual, op func(x, y, dst Op)) Op {
	if wide() {
		half := YMM()
		VEXTRACTF64X4(U8(1), lanes[0], half)
		op(half, lanes[0].AsY(), lanes[0].AsY())
	} else {
		op(lanes[1], lanes[0], lanes[0])
	}
	low, high := lanes[0].AsX(), XMM()
	VEXTRACTF128(U8(1), lanes[0].AsY(), high)
	op(high, low, low)
	VMOVHLPS(low, low, high)
	op(high, low, low)
	VMOVSHDUP(low, high)
	op(high, low, low)
	return low
}

func addPS(x, y, dst Op) { VADDPS(x, y, dst) }
func maxPS(x, y, dst Op) { VMAXPS(x, y, dst) }

func dot() {
	function("dot", "(x, y []float32) float32", func() {
		p := base("x", "y")
		sum := zeros()
		each(length("x"), func(s span) {
			VFMADD231PS(s.load(p[0]), s.load(p[1]), sum[s.half])
		})
		Store(fold(sum, addPS).(Register), ReturnIndex(0))
	})
}

func dot3() {
	function("dot3", "(x, y, z []float32) float32", func() {
		p := base("x", "y", "z")
		sum := zeros()
		each(length("x"), func(s span) {
			xy := s.load(p[0])
			VMULPS(s.load(p[1]), xy, xy)
			VFMADD231PS(s.load(p[2]), xy, sum[s.half])
		})
		Store(fold(sum, addPS).(Register), ReturnIndex(0))
	})
}

// sumSquares keeps its 16 lanes in registers of float64.
func sumSquares() {
	function("sumSquares", "(x []float32) float64", func() {
		p := base("x")
		sum := append(zeros(), zeros()...)
		each(length("x"), func(s span) {
			var parts []Op
			if x := s.load(p[0]); wide() {
				high := YMM()
				VEXTRACTF64X4(U8(1), x, high)
				parts = []Op{x.AsY(), high}
			} else {
				high := XMM()
				VEXTRACTF128(U8(1), x, high)
				parts = []Op{x.AsX(), high}
			}
			for i, part := range parts {
				d := vector()
				VCVTPS2PD(part, d)
				VFMADD231PD(d, d, sum[2*s.half+i])
			}
		})
		if wide() {
			VADDPD(sum[1], sum[0], sum[0])
			half := YMM()
			VEXTRACTF64X4(U8(1), sum[0], half)
			VADDPD(half, sum[0].AsY(), sum[0].AsY())
		} else {
			VADDPD(sum[2], sum[0], sum[0])
			VADDPD(sum[3], sum[1], sum[1])
			VADDPD(sum[1], sum[0], sum[0])
		}
		low, high := sum[0].AsX(), XMM()
		VEXTRACTF128(U8(1), sum[0].AsY(), high)
		VADDPD(high, low, low)
		VUNPCKHPD(low, low, high)
		VADDSD(high, low, low)
		Store(low, ReturnIndex(0))
	})
}
