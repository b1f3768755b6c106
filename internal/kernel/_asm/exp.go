package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exponential holds the constants of eˣ; see exp.go of package kernel for the method.
type exponential struct {
	min, max, log2e, ln2Hi, ln2Lo, c2, c3, c4, c5, c6, one, inf Op
}

func newExponential() exponential {
	return exponential{
		min: all("expMin", -87.3365), max: allWords("expMax", 0x42b17217),
		log2e: all("log2e", 1.44269504088896341), ln2Hi: all("ln2Hi", 0.693359375), ln2Lo: all("ln2Lo", -2.12194440e-4),
		c2: all("expC2", 0.4999999403953552), c3: all("expC3", 0.1666652113199234), c4: all("expC4", 0.04166838899254799),
		c5: all("expC5", 0.008368716575205326), c6: all("expC6", 0.001381459878757596),
		one: all("one", 1), inf: allWords("inf", 0x7f800000),
	}
}

// replace makes eˣ of x. The power of two is added to the exponent; where that would
// leave the range, the result is 0 or infinity instead. A NaN passes.
func (e exponential) replace(x VecVirtual) {
	n, r, r2, p, q := vector(), vector(), vector(), vector(), vector()
	var low, high Register
	const less, notLess, greater = 0x11, 0x15, 0x1e
	if wide() {
		low, high = K(), K()
		VCMPPS(U8(notLess), e.min, x, low)
	} else {
		low, high = vector(), vector()
		VCMPPS(U8(less), e.min, x, low)
	}
	VCMPPS(U8(greater), e.max, x, high)
	VMULPS(e.log2e, x, n)
	if nearest := U8(8); wide() { // to nearest even
		VRNDSCALEPS(nearest, n, n)
	} else {
		VROUNDPS(nearest, n, n)
	}
	VMOVAPS(x, r)
	VFNMADD231PS(e.ln2Hi, n, r)
	VFNMADD231PS(e.ln2Lo, n, r)
	VMULPS(r, r, r2)
	VMOVUPS(e.c5, p)
	VFMADD213PS(e.c4, r, p)
	VFMADD231PS(e.c6, r2, p)
	VMOVUPS(e.c3, q)
	VFMADD213PS(e.c2, r, q)
	VFMADD213PS(q, r2, p)
	VFMADD213PS(r, r2, p)
	VADDPS(e.one, p, p)
	VCVTPS2DQ(n, n)
	VPSLLD(U8(23), n, n)
	if wide() {
		VPADDD_Z(n, p, low, x)
		VMOVAPS(e.inf, high, x)
	} else {
		VPADDD(n, p, p)
		VANDNPS(p, low, p)
		VBLENDVPS(high, e.inf, p, x)
	}
}

func exponentials() {
	function("exp", "(dst, x []float32)", func() {
		p, e := base("dst", "x"), newExponential()
		each(length("dst"), func(s span) {
			y := s.load(p[1])
			e.replace(y)
			s.store(y, p[0])
		})
	})
}

// sigmoid holds the constants of the logistic function.
type sigmoid struct {
	exponential
	signs Op
}

func newSigmoid() sigmoid { return sigmoid{newExponential(), allWords("signs", 1<<31)} }

// denominator returns 1 + e⁻ᵍ.
func (s sigmoid) denominator(gate VecVirtual) VecVirtual {
	e := vector()
	VXORPS(s.signs, gate, e)
	s.replace(e)
	VADDPS(s.one, e, e)
	return e
}

func swiglu() {
	function("swiglu", "(y, gate, up []float32)", func() {
		p, sigmoid := base("y", "gate", "up"), newSigmoid()
		each(length("y"), func(s span) {
			gate := s.load(p[1])
			e := sigmoid.denominator(gate)
			VDIVPS(e, gate, gate)
			VMULPS(s.load(p[2]), gate, gate)
			s.store(gate, p[0])
		})
	})
}

func swigluBack() {
	function("swigluBack", "(dgate, dup, dy, gate, up []float32, addG, addU bool)", func() {
		p, sigmoid := base("dgate", "dup", "dy", "gate", "up"), newSigmoid()
		loop := func(addG, addU bool) func() {
			return func() {
				each(length("dgate"), func(s span) {
					gate, dy, up := s.load(p[3]), s.load(p[2]), s.load(p[4])
					e := sigmoid.denominator(gate)
					sigma, silu := vector(), vector()
					VMOVUPS(sigmoid.one, sigma)
					VDIVPS(e, sigma, sigma)
					VMULPS(sigma, gate, silu)
					VMOVUPS(sigmoid.one, e)
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
		e, minusInf := newExponential(), allWords("minusInf", 0xff800000)
		rows(m, stride, n, n, p[:1], p[1:], func(count func() Register) {
			var largest []VecVirtual
			for half := range halves() {
				largest = append(largest, vector())
				VMOVUPS(minusInf, largest[half])
			}
			each(count(), func(s span) {
				y := s.load(p[0])
				VMULPS(f, y, y)
				s.keep(y, minusInf)
				VMAXPS(largest[s.half], y, largest[s.half])
			})
			most := vector()
			top := fold(largest, maxPS)
			VMOVSS(top, Mem{Base: p[1]})
			VBROADCASTSS(top, most)
			sum := zeros()
			each(count(), func(s span) {
				y := s.load(p[0])
				VMULPS(f, y, y)
				VSUBPS(most, y, y)
				e.replace(y)
				s.store(y, p[0])
				s.keep(y, nil)
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
		e := newExponential()
		rows(m, stride, n, memory(Param("limit")), p[:2], p[2:], func(count func() Register) {
			lse, delta := vector(), vector()
			VBROADCASTSS(Mem{Base: p[2]}, lse)
			VBROADCASTSS(Mem{Base: p[3]}, delta)
			each(count(), func(s span) {
				y := s.load(p[0])
				VMULPS(f, y, y)
				VSUBPS(lse, y, y)
				e.replace(y)
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
