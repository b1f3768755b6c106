package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func add() {
	function("add", "(dst, a, b []float32)", func() {
		p := base("dst", "a", "b")
		each(length("dst"), func(s span) {
			y := s.load(p[1])
			VADDPS(s.load(p[2]), y, y)
			s.store(y, p[0])
		})
	})
}

func scale() {
	function("scale", "(dst, x []float32, s float32, add bool)", func() {
		p, f := base("dst", "x"), scalar("s")
		loop := func(add bool) func() {
			return func() {
				each(length("dst"), func(s span) {
					y := s.load(p[1])
					VMULPS(f, y, y)
					s.put(y, p[0], add)
				})
			}
		}
		when("add", loop(true), loop(false))
	})
}

func normalize() {
	function("normalize", "(y, x, w []float32, inv float32)", func() {
		p, inv := base("y", "x", "w"), scalar("inv")
		each(length("y"), func(s span) {
			y := s.load(p[1])
			VMULPS(inv, y, y)
			VMULPS(s.load(p[2]), y, y)
			s.store(y, p[0])
		})
	})
}

func normBack() {
	function("normBack", "(dx, dy, w, x []float32, inv, c float32, add bool)", func() {
		p, inv, c := base("dx", "dy", "w", "x"), scalar("inv"), scalar("c")
		loop := func(add bool) func() {
			return func() {
				each(length("dx"), func(s span) {
					r := s.load(p[1])
					VMULPS(s.load(p[2]), r, r)
					VMULPS(inv, r, r)
					VFNMADD231PS(s.load(p[3]), c, r)
					s.put(r, p[0], add)
				})
			}
		}
		when("add", loop(true), loop(false))
	})
}

func normBackW() {
	function("normBackW", "(dw, dy, x []float32, inv float32)", func() {
		p, inv := base("dw", "dy", "x"), scalar("inv")
		each(length("dw"), func(s span) {
			x := s.load(p[2])
			VMULPS(inv, x, x)
			sum := s.load(p[0])
			VFMADD231PS(s.load(p[1]), x, sum)
			s.store(sum, p[0])
		})
	})
}

// rotate goes through the heads of a row; what a head's two halves have in
// common is the table.
func rotate() {
	function("rotate", "(y, x, cos, sin []float32, heads int, inverse, add bool)", func() {
		p := base("y", "x", "cos", "sin")
		heads := Load(Param("heads"), GP64())
		half := length("cos")
		SHLQ(U8(2), half) // bytes
		sign := zero()
		when("inverse", func() {
			VMOVUPS(allWords("signs", 1<<31), sign)
		}, func() {})
		loop := func(add bool) func() {
			return func() {
				top, done := label("head"), label("done")
				Label(top)
				TESTQ(heads, heads)
				JEQ(LabelRef(done))
				y2, x2 := GP64(), GP64()
				LEAQ(Mem{Base: p[0], Index: half, Scale: 1}, y2)
				LEAQ(Mem{Base: p[1], Index: half, Scale: 1}, x2)
				each(length("cos"), func(s span) {
					a, b, sin := s.load(p[1]), s.load(x2), s.load(p[3])
					VXORPS(sign, sin, sin)
					cos := s.load(p[2])
					r1, r2 := vector(), vector()
					VMULPS(b, sin, r1)
					VFMSUB231PS(a, cos, r1) // a·cos − b·sin
					VMULPS(a, sin, r2)
					VFMADD231PS(b, cos, r2) // b·cos + a·sin
					s.put(r1, p[0], add)
					s.put(r2, y2, add)
				})
				LEAQ(Mem{Base: p[0], Index: half, Scale: 2}, p[0])
				LEAQ(Mem{Base: p[1], Index: half, Scale: 2}, p[1])
				DECQ(heads)
				JMP(LabelRef(top))
				Label(done)
			}
		}
		when("add", loop(true), loop(false))
	})
}

func adamw() {
	function("adamw", "(p, g, m, v []float32, c *float32)", func() {
		p := base("p", "g", "m", "v")
		c := Load(Param("c"), GP64())
		constant := func(i int) func() Op {
			y := vector()
			VBROADCASTSS(Mem{Base: c, Disp: 4 * i}, y)
			return func() Op { return y }
		}
		// The order of the fields of adamwConstants.
		gscale, keep, oneMinusBeta1, beta2 := constant(0), constant(1), constant(2), constant(3)
		oneMinusBeta2, rootBias2, eps, step := constant(4), constant(5), constant(6), constant(7)
		each(length("p"), func(s span) {
			grad := s.load(p[1])
			VMULPS(gscale(), grad, grad)
			m, v := s.load(p[2]), s.load(p[3])
			t := vector()
			VSUBPS(m, grad, t)
			VFMADD231PS(oneMinusBeta1(), t, m)
			s.store(m, p[2])
			VMULPS(beta2(), v, v)
			VMULPS(oneMinusBeta2(), grad, t)
			VFMADD231PS(grad, t, v)
			s.store(v, p[3])
			VSQRTPS(v, v)
			VDIVPS(rootBias2(), v, v)
			VADDPS(eps(), v, v)
			VDIVPS(v, m, m)
			x := s.load(p[0])
			VMULPS(keep(), x, x)
			VFNMADD231PS(step(), m, x)
			s.store(x, p[0])
		})
	})
}

func dropout() {
	function("dropout", "(y, x []float32, d *uint32, first uint32, add bool)", func() {
		p := base("y", "x")
		d := Load(Param("d"), GP64())
		field := func(i int) Mem { return Mem{Base: d, Disp: 4 * i} }
		k1, threshold, factor := vector(), vector(), vector()
		VPBROADCASTD(field(1), k1)
		VPBROADCASTD(field(2), threshold)
		VBROADCASTSS(field(3), factor)
		mul1, mul2 := vector(), vector()
		VMOVUPS(allWords("mul1", 0x7feb352d), mul1)
		VMOVUPS(allWords("mul2", 0x846ca68b), mul2)
		// index·step + k0 for the lanes of a register, kept up by additions.
		step := uint32(0x9e3779b1)
		index, k0 := vector(), vector()
		first := XMM()
		VMOVD(Load(Param("first"), GP32()), first)
		VPBROADCASTD(first, index)
		var lanes []uint32
		for i := range level.lanes {
			lanes = append(lanes, uint32(i))
		}
		VPADDD(words("lanes", lanes...), index, index)
		VPMULLD(allWords("step", step), index, index)
		advance := allWords("advance", step*uint32(level.lanes))
		VPBROADCASTD(field(0), k0)
		VPADDD(k0, index, index)
		loop := func(add bool) func() {
			return func() {
				each(length("y"), func(s span) {
					h, t := vector(), vector()
					VMOVAPS(index, h)
					VPADDD(advance, index, index)
					for range 2 {
						VPSRLD(U8(16), h, t)
						exclusiveOr(t, h, h)
						VPMULLD(mul1, h, h)
						VPSRLD(U8(15), h, t)
						exclusiveOr(t, h, h)
						VPMULLD(mul2, h, h)
						VPSRLD(U8(16), h, t)
						exclusiveOr(t, h, h)
						exclusiveOr(k1, h, h)
					}
					VPSRLD(U8(8), h, h)
					y := s.load(p[1])
					if wide() {
						const notLess = 5
						kept := K()
						VPCMPD(U8(notLess), threshold, h, kept)
						VMULPS_Z(factor, y, kept, y)
					} else {
						VPCMPGTD(h, threshold, t) // threshold > h: drop
						VMULPS(factor, y, y)
						VANDNPS(y, t, y)
					}
					s.put(y, p[0], add)
				})
			}
		}
		when("add", loop(true), loop(false))
	})
}

func exclusiveOr(x, y, dst Op) {
	if wide() {
		VPXORD(x, y, dst)
	} else {
		VPXOR(x, y, dst)
	}
}
