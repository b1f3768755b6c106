// Command _asm generates the assembly of package kernel, one level at a time. It is a
// module of its own, so that the program does not depend on the generator:
//
//	go run . -level avx2 -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg kernel
//	go run . -level avx512 -out ../avx512_amd64.s -stubs ../avx512_amd64.go -pkg kernel
//
// What each function computes is said by the pure-Go functions of generic.go.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	name := flag.String("level", "avx2", "avx2 or avx512")
	flag.Parse()
	ConstraintExpr("amd64,!purego")
	switch *name {
	case "avx2":
		level = avx2
	case "avx512":
		level = avx512
	default:
		log.Fatalf("there is no level %q", *name)
	}
	gemm()
	for _, s := range storages {
		s.gemv()
		s.panels()
	}
	packB()
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
	dropout()
	peak()
	// What AVX-512 would not make faster, or does not change, exists once.
	if level == avx2 {
		transpose()
		prefetch()
		add()
		scale()
		adamw()
		widenHalves()
		widenInt8()
		widenNF4()
		round()
		roundInPlace()
		roundSwap()
		setMode()
		pause()
	}
	Generate()
}
