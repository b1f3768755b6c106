// Command _asm generates the assembly of package kernel. It is a module of its
// own, so that the program does not depend on the generator:
//
//	go run . -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg kernel
//
// What each function computes is said by the pure-Go functions of generic.go.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("amd64,!purego")
	gemm()
	gemv()
	packB()
	transpose()
	prefetch()
	add()
	scale()
	dot()
	dot3()
	sumSquares()
	exponentials()
	normalize()
	normBack()
	normBackW()
	rotate()
	swiglu()
	swigluBack()
	softmaxRows()
	softmaxBackRows()
	adamw()
	dropout()
	widenHalves()
	widenInt8()
	widenNF4()
	round()
	roundInPlace()
	roundSwap()
	peak()
	setMode()
	pause()
	Generate()
}
