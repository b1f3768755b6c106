package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// peakChains is the number of independent chains of multiply-adds of a round,
// more than latency times throughput of any CPU.
const peakChains = 12

// peak runs n rounds of multiply-adds that touch no memory; each is
// 2·lanes·peakChains operations.
func peak() {
	function("peakRounds", "(n int)", func() {
		n := Load(Param("n"), GP64())
		x, y := zero(), zero()
		var sum [peakChains]VecVirtual
		for i := range sum {
			sum[i] = zero()
		}
		Label("round")
		for _, s := range sum {
			VFMADD231PS(x, y, s)
		}
		DECQ(n)
		JNE(LabelRef("round"))
	})
}

// setMode sets the mode of floating-point arithmetic, MXCSR, and returns the old one.
func setMode() {
	TEXT("setMode", NOSPLIT, "func(mode uint32) (old uint32)")
	VSTMXCSR(memory(ReturnIndex(0)))
	VLDMXCSR(memory(Param("mode")))
	RET()
}

// pause tells the CPU that a loop waits.
func pause() {
	TEXT("pause", NOSPLIT, "func()")
	PAUSE()
	RET()
}
