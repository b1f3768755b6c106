package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exponential replaces x by eˣ; see exp.go of package kernel for the method. The
// power of two is added to the exponent; where that would leave the range, the
// result is 0 or infinity instead. A NaN passes.
func exponential(x VecVirtual) {
	n, r, r2, p, q, low, high := YMM(), YMM(), YMM(), YMM(), YMM(), YMM(), YMM()
	const less, greater = 0x11, 0x1e
	VCMPPS(U8(less), all("expMin", -87.3365), x, low)
	VCMPPS(U8(greater), allWords("expMax", 0x42b17217), x, high)
	VMULPS(all("log2e", 1.44269504088896341), x, n)
	VROUNDPS(U8(8), n, n) // to nearest even
	VMOVAPS(x, r)
	VFNMADD231PS(all("ln2Hi", 0.693359375), n, r)
	VFNMADD231PS(all("ln2Lo", -2.12194440e-4), n, r)
	VMULPS(r, r, r2)
	VMOVUPS(all("expC5", 0.008368716575205326), p)
	VFMADD213PS(all("expC4", 0.04166838899254799), r, p)
	VFMADD231PS(all("expC6", 0.001381459878757596), r2, p)
	VMOVUPS(all("expC3", 0.1666652113199234), q)
	VFMADD213PS(all("expC2", 0.4999999403953552), r, q)
	VFMADD213PS(q, r2, p)
	VFMADD213PS(r, r2, p)
	VADDPS(all("one", 1), p, p)
	VCVTPS2DQ(n, n)
	VPSLLD(U8(23), n, n)
	VPADDD(n, p, p)
	VANDNPS(p, low, p)
	VBLENDVPS(high, allWords("inf", 0x7f800000), p, x)
}

func exponentials() {
	function("exp", "(dst, x []float32)", func() {
		p := base("dst", "x")
		each(length("dst"), func(s span) {
			y := s.load(p[1])
			exponential(y)
			s.store(y, p[0])
		})
	})
}

// sigmoidDenominator returns 1 + e⁻ᵍ.
func sigmoidDenominator(gate VecVirtual) VecVirtual {
	e := YMM()
	VXORPS(allWords("signs", 1<<31), gate, e)
	exponential(e)
	VADDPS(all("one", 1), e, e)
	return e
}

func swiglu() {
	function("swiglu", "(y, gate, up []float32)", func() {
		p := base("y", "gate", "up")
		each(length("y"), func(s span) {
			gate := s.load(p[1])
			e := sigmoidDenominator(gate)
			VDIVPS(e, gate, gate)
			VMULPS(s.load(p[2]), gate, gate)
			s.store(gate, p[0])
		})
	})
}

func swigluBack() {
	function("swigluBack", "(dgate, dup, dy, gate, up []float32, addG, addU bool)", func() {
		p := base("dgate", "dup", "dy", "gate", "up")
		loop := func(addG, addU bool) func() {
			return func() {
				each(length("dgate"), func(s span) {
					gate, dy, up := s.load(p[3]), s.load(p[2]), s.load(p[4])
					e := sigmoidDenominator(gate)
					sigma, silu := YMM(), YMM()
					VMOVUPS(all("one", 1), sigma)
					VDIVPS(e, sigma, sigma)
					VMULPS(sigma, gate, silu)
					VMOVUPS(all("one", 1), e)
					VSUBPS(sigma, e, e)
					VMULPS(silu, e, e)
					VADDPS(e, sigma, e) // σ + s·(1 − σ)
					VMULPS(dy, up, up)
					VMULPS(e, up, up)
					VMULPS(dy, silu, silu)
					s.put(up, p[0], addG)
					s.put(silu, p[1], addU)
				})
			}
		}
		when("addG",
			func() { when("addU", loop(true, true), loop(true, false)) },
			func() { when("addU", loop(false, true), loop(false, false)) })
	})
}

// rows emits a loop over the m rows of a matrix; body gets the number of elements
// of a row, first + i but not below 0 nor above limit.
func rows(m, stride, first Register, limit Op, pointers, results []Register, body func(n func() Register)) {
	top, done := label("row"), label("done")
	Label(top)
	TESTQ(m, m)
	JEQ(LabelRef(done))
	body(func() Register {
		n, bound := GP64(), GP64()
		MOVQ(first, n)
		MOVQ(limit, bound)
		CMPQ(n, bound)
		CMOVQGT(bound, n)
		XORQ(bound, bound)
		TESTQ(n, n)
		CMOVQLT(bound, n)
		return n
	})
	for _, p := range pointers {
		ADDQ(stride, p)
	}
	for _, r := range results {
		ADDQ(U8(4), r)
	}
	INCQ(first)
	DECQ(m)
	JMP(LabelRef(top))
	Label(done)
}

func integer(name string) Register { return Load(Param(name), GP64()) }

func strideOf(name string) Register {
	r := integer(name)
	SHLQ(U8(2), r)
	return r
}

// softmaxRows finds the largest x·s of a row, −Inf for no elements, and then
// writes exp(x·s − largest) and sums it. The first pass goes over a NaN; it shows
// in the sum.
func softmaxRows() {
	function("softmaxRows", "(x []float32, stride, m, n int, s float32, largest, sum []float32)", func() {
		p, f := base("x", "largest", "sum"), scalar("s")
		m, n, stride := integer("m"), integer("n"), strideOf("stride")
		rows(m, stride, n, n, p[:1], p[1:], func(count func() Register) {
			largest := [2]VecVirtual{YMM(), YMM()}
			for _, y := range largest {
				VMOVUPS(allWords("minusInf", 0xff800000), y)
			}
			each(count(), func(s span) {
				y := s.load(p[0])
				VMULPS(f, y, y)
				if s.mask != nil {
					none := YMM()
					VMOVUPS(allWords("minusInf", 0xff800000), none)
					VBLENDVPS(s.mask, y, none, y)
				}
				VMAXPS(largest[s.half], y, largest[s.half])
			})
			most := YMM()
			top := fold(largest, maxPS)
			VMOVSS(top, Mem{Base: p[1]})
			VBROADCASTSS(top, most)
			sum := [2]VecVirtual{zero(), zero()}
			each(count(), func(s span) {
				y := s.load(p[0])
				VMULPS(f, y, y)
				VSUBPS(most, y, y)
				exponential(y)
				s.store(y, p[0])
				if s.mask != nil {
					VANDPS(s.mask, y, y)
				}
				VADDPS(y, sum[s.half], sum[s.half])
			})
			VMOVSS(fold(sum, addPS), Mem{Base: p[2]})
		})
	})
}

func softmaxBackRows() {
	function("softmaxBackRows", "(x, dp []float32, stride, m, n, limit int, s float32, lse, delta []float32)", func() {
		p, f := base("x", "dp", "lse", "delta"), scalar("s")
		m, n, stride := integer("m"), integer("n"), strideOf("stride")
		rows(m, stride, n, memory(Param("limit")), p[:2], p[2:], func(count func() Register) {
			lse, delta := YMM(), YMM()
			VBROADCASTSS(Mem{Base: p[2]}, lse)
			VBROADCASTSS(Mem{Base: p[3]}, delta)
			each(count(), func(s span) {
				y := s.load(p[0])
				VMULPS(f, y, y)
				VSUBPS(lse, y, y)
				exponential(y)
				s.store(y, p[0])
				d := s.load(p[1])
				VSUBPS(delta, d, d)
				VMULPS(y, d, d)
				VMULPS(f, d, d)
				s.store(d, p[1])
			})
		})
	})
}
