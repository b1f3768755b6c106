package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packB copies k rows of n elements to rows as wide as the strip for n columns, the
// rest of them 0.
func packB() {
	function("packB", "(dst, b []float32, br, n, k int)", func() {
		p, br := base("dst", "b"), strideOf("br")
		n, k := integer("n"), integer("k")
		eachStrip(n, func(s strip) {
			loop := func(mask []Register) {
				top, done := label("row"), label("done")
				Label(top)
				TESTQ(k, k)
				JEQ(LabelRef(done))
				for part := range s.parts {
					x := vectorOf(s.lanes)
					loadMasked(Mem{Base: p[1], Disp: 4 * s.lanes * part}, mask[part], x)
					VMOVUPS(x, Mem{Base: p[0], Disp: 4 * s.lanes * part})
				}
				ADDQ(U8(4*s.cols()), p[0])
				ADDQ(br, p[1])
				DECQ(k)
				JMP(LabelRef(top))
				Label(done)
			}
			ragged, end := label("ragged"), label("end")
			CMPQ(n, U8(s.cols()))
			JNE(LabelRef(ragged))
			loop(make([]Register, s.parts))
			JMP(LabelRef(end))
			Label(ragged)
			loop(firstOf(n, s.parts))
			Label(end)
		})
	})
}

// transpose writes the transpose of 8 rows of cols elements, a multiple of 8:
// dst[j·dr + i] = src[i·sr + j].
func transpose() {
	function("transpose8", "(dst []float32, dr int, src []float32, sr, cols int)", func() {
		p := base("dst", "src")
		dr, sr := Load(Param("dr"), GP64()), Load(Param("sr"), GP64())
		SHLQ(U8(2), dr)
		SHLQ(U8(2), sr)
		cols := Load(Param("cols"), GP64())
		dst, src := eightRows{p[0], dr, GP64(), GP64()}, eightRows{p[1], sr, GP64(), GP64()}
		Label("block")
		SUBQ(U8(8), cols)
		JLT(LabelRef("end"))
		dst.set()
		src.set()
		src.transposed(func(i int, y VecVirtual) { VMOVUPS(y, dst.row(i)) })
		ADDQ(U8(32), p[1])
		LEAQ(Mem{Base: p[0], Index: dr, Scale: 8}, p[0])
		JMP(LabelRef("block"))
		Label("end")
	})
}

// eightRows addresses rows 0 … 7 from the first, fourth and seventh.
type eightRows struct{ first, stride, fourth, seventh Register }

func (e eightRows) set() {
	LEAQ(Mem{Base: e.stride, Index: e.stride, Scale: 2}, e.seventh)
	LEAQ(Mem{Base: e.first, Index: e.seventh, Scale: 1}, e.fourth)
	LEAQ(Mem{Base: e.first, Index: e.seventh, Scale: 2}, e.seventh)
}

func (e eightRows) row(i int) Mem {
	m := Mem{Base: []Register{e.first, e.fourth, e.seventh}[i/3]}
	if i%3 > 0 {
		m.Index, m.Scale = e.stride, uint8(i%3)
	}
	return m
}

// transposed calls f with each column of the 8×8 elements at the rows.
func (e eightRows) transposed(f func(column int, y VecVirtual)) {
	for half := range 2 {
		four := func(i int) Mem { return e.row(i).Offset(16 * half) }
		fourColumns(8, four, func(j int, y VecVirtual) { f(4*half+j, y) })
	}
}

// fourColumns calls f with each column of the four elements at so many rows. Registers
// that hold a part of every fourth row need no exchange between their parts.
func fourColumns(rows int, row func(i int) Mem, f func(column int, y VecVirtual)) {
	var r [4]VecVirtual
	for i := range r {
		r[i] = vectorOf(rows)
		if rows == 16 {
			VBROADCASTF32X4(row(i), r[i])
			for part := 1; part < 4; part++ {
				VINSERTF32X4(U8(part), row(i+4*part), r[i], r[i])
			}
		} else {
			VBROADCASTF128(row(i), r[i])
			VINSERTF128(U8(1), row(i+4), r[i], r[i])
		}
	}
	quads(rows, r, f)
}

// quads transposes the four elements of four registers of so many lanes in each of their
// parts of 128 bits.
func quads(rows int, r [4]VecVirtual, f func(column int, y VecVirtual)) {
	var t [4]VecVirtual
	for i := range 2 {
		t[2*i], t[2*i+1] = vectorOf(rows), vectorOf(rows)
		VUNPCKLPS(r[2*i+1], r[2*i], t[2*i])
		VUNPCKHPS(r[2*i+1], r[2*i], t[2*i+1])
	}
	for i := range 2 {
		for j, choice := range []U8{0x44, 0xee} {
			y := vectorOf(rows)
			VSHUFPS(choice, t[2+i], t[i], y)
			f(2*i+j, y)
		}
	}
}

// eightColumns is fourColumns of eight elements at 16 rows, which takes half as many loads
// and fewer exchanges.
func eightColumns(rows int, row func(i int) Mem, f func(column int, y VecVirtual)) {
	var quarters [2][4]VecVirtual
	for half := range quarters {
		var r [4]VecVirtual
		for i := range r {
			r[i] = vector()
			VBROADCASTF64X4(row(8*half+i), r[i])
			VINSERTF64X4(U8(1), row(8*half+i+4), r[i], r[i])
		}
		quads(rows, r, func(column int, y VecVirtual) { quarters[half][column] = y })
	}
	for half, choice := range []U8{0x88, 0xdd} {
		for i := range 4 {
			y := vector()
			VSHUFF32X4(choice, quarters[1][i], quarters[0][i], y)
			f(4*half+i, y)
		}
	}
}

// prefetch asks for n rows of d elements, a multiple of a cache line apart or not,
// to be brought into the second-level cache.
func prefetch() {
	function("prefetch", "(x []float32, stride, n, d int)", func() {
		p := base("x")[0]
		stride, d := strideOf("stride"), strideOf("d")
		n := integer("n")
		offset := GP64()
		Label("row")
		TESTQ(n, n)
		JEQ(LabelRef("end"))
		XORQ(offset, offset)
		Label("line")
		PREFETCHT1(Mem{Base: p, Index: offset, Scale: 1})
		ADDQ(U8(64), offset)
		CMPQ(offset, d)
		JLT(LabelRef("line"))
		ADDQ(stride, p)
		DECQ(n)
		JMP(LabelRef("row"))
		Label("end")
	})
}
