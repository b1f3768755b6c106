package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exponential replaces x by eˣ; see exp.go of package kernel for the method.
// The power of two is applied in two factors, so that results down to the
// smallest and up to the largest number come out right and the others become 0
// and infinity. The constant is the first source of VMINPS and VMAXPS, so that a
// NaN passes.
func exponential(x VecVirtual) {
	n, r, p := YMM(), YMM(), YMM()
	VMOVUPS(all("expHigh", 89), n)
	VMINPS(x, n, x)
	VMOVUPS(all("expLow", -104), n)
	VMAXPS(x, n, x)
	VMULPS(all("log2e", 1.44269504088896341), x, n)
	VROUNDPS(U8(8), n, n) // to nearest even
	VMOVAPS(x, r)
	VFNMADD231PS(all("ln2Hi", 0.693359375), n, r)
	VFNMADD231PS(all("ln2Lo", -2.12194440e-4), n, r)
	VMOVUPS(all("expC6", 0.001381459878757596), p)
	VFMADD213PS(all("expC5", 0.008368716575205326), r, p)
	VFMADD213PS(all("expC4", 0.04166838899254799), r, p)
	VFMADD213PS(all("expC3", 0.1666652113199234), r, p)
	VFMADD213PS(all("expC2", 0.4999999403953552), r, p)
	VFMADD213PS(all("one", 1), r, p)
	VFMADD213PS(all("one", 1), r, p)
	VCVTPS2DQ(n, n)
	VPSRAD(U8(1), n, r)
	VPSUBD(r, n, n)
	for _, power := range []VecVirtual{r, n} {
		VPADDD(allWords("bias", 127), power, power)
		VPSLLD(U8(23), power, power)
		VMULPS(power, p, p)
	}
	VMOVAPS(p, x)
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

// softmaxMax is the first half of softmax: the largest x·s, −Inf for no elements.
// A NaN is passed over here; it shows in the sum.
func softmaxMax() {
	function("softmaxMax", "(x []float32, s float32) float32", func() {
		p, f := base("x"), scalar("s")
		largest := [2]VecVirtual{YMM(), YMM()}
		for _, y := range largest {
			VMOVUPS(allWords("minusInf", 0xff800000), y)
		}
		each(length("x"), func(s span) {
			y := s.load(p[0])
			VMULPS(f, y, y)
			if s.mask != nil {
				none := YMM()
				VMOVUPS(allWords("minusInf", 0xff800000), none)
				VBLENDVPS(s.mask, y, none, y)
			}
			VMAXPS(largest[s.half], y, largest[s.half])
		})
		Store(fold(largest, maxPS).(Register), ReturnIndex(0))
	})
}

// softmaxSum is the second half: x = exp(x·s − max), and the sum.
func softmaxSum() {
	function("softmaxSum", "(x []float32, s, max float32) float32", func() {
		p, f, largest := base("x"), scalar("s"), scalar("max")
		sum := [2]VecVirtual{zero(), zero()}
		each(length("x"), func(s span) {
			y := s.load(p[0])
			VMULPS(f, y, y)
			VSUBPS(largest, y, y)
			exponential(y)
			s.store(y, p[0])
			if s.mask != nil {
				VANDPS(s.mask, y, y)
			}
			VADDPS(y, sum[s.half], sum[s.half])
		})
		Store(fold(sum, addPS).(Register), ReturnIndex(0))
	})
}

func softmaxBack() {
	function("softmaxBack", "(x, dp []float32, s, lse, delta float32)", func() {
		p, f, lse, delta := base("x", "dp"), scalar("s"), scalar("lse"), scalar("delta")
		each(length("x"), func(s span) {
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
}
