package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fold adds or compares 16 lanes, lane i with lane i + half the width, down to
// one, and returns the register that holds it in its lowest lane.
func fold(lanes [2]VecVirtual, op func(x, y, dst Op)) Op {
	op(lanes[1], lanes[0], lanes[0])
	low, high := lanes[0].AsX(), XMM()
	VEXTRACTF128(U8(1), lanes[0], high)
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
		sum := [2]VecVirtual{zero(), zero()}
		each(length("x"), func(s span) {
			VFMADD231PS(s.load(p[0]), s.load(p[1]), sum[s.half])
		})
		Store(fold(sum, addPS).(Register), ReturnIndex(0))
	})
}

func dot3() {
	function("dot3", "(x, y, z []float32) float32", func() {
		p := base("x", "y", "z")
		sum := [2]VecVirtual{zero(), zero()}
		each(length("x"), func(s span) {
			xy := s.load(p[0])
			VMULPS(s.load(p[1]), xy, xy)
			VFMADD231PS(s.load(p[2]), xy, sum[s.half])
		})
		Store(fold(sum, addPS).(Register), ReturnIndex(0))
	})
}

// sumSquares keeps its 16 lanes in four registers of float64.
func sumSquares() {
	function("sumSquares", "(x []float32) float64", func() {
		p := base("x")
		var sum [4]VecVirtual
		for i := range sum {
			sum[i] = zero()
		}
		each(length("x"), func(s span) {
			x, high := s.load(p[0]), XMM()
			VEXTRACTF128(U8(1), x, high)
			for i, part := range []Op{x.AsX(), high} {
				d := YMM()
				VCVTPS2PD(part, d)
				VFMADD231PD(d, d, sum[2*s.half+i])
			}
		})
		VADDPD(sum[2], sum[0], sum[0])
		VADDPD(sum[3], sum[1], sum[1])
		VADDPD(sum[1], sum[0], sum[0])
		low, high := sum[0].AsX(), XMM()
		VEXTRACTF128(U8(1), sum[0], high)
		VADDPD(high, low, low)
		VUNPCKHPD(low, low, high)
		VADDSD(high, low, low)
		Store(low, ReturnIndex(0))
	})
}
