package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// maxRows × 16 is the block of C that stays in registers: 12 sums, two parts of
// a row of B, and two elements of A.
const maxRows = 6

// narrowRows × 8 is the block for at most eight columns, such as the thin factors
// of an adapter.
const narrowRows = 12

type matrixKernel struct {
	c, cr, a, ar, ac, b, br, m Register
}

// gemm goes down the rows of C in blocks of six; seven to eleven rows are done in
// two blocks of about the same size. Each element is one chain of fused
// multiply-adds from 0 or the old C.
func gemm() {
	function("gemm", "(c []float32, cr int, a []float32, ar, ac int, b []float32, br int, m, n, k int, add bool)", func() {
		bytes := func(name string) Register {
			r := Load(Param(name), GP64())
			SHLQ(U8(2), r)
			return r
		}
		p := base("c", "a", "b")
		g := matrixKernel{c: p[0], a: p[1], b: p[2], cr: bytes("cr"), ar: bytes("ar"), ac: bytes("ac"), br: bytes("br")}
		g.m = Load(Param("m"), GP64())
		// Eight columns or fewer: one part of a row of B is enough.
		CMPQ(memory(Param("n")), U8(8))
		JGT(LabelRef("next"))
		Label("narrow")
		CMPQ(g.m, U8(narrowRows))
		JLT(LabelRef("next"))
		g.block(narrowRows, 1)
		JMP(LabelRef("narrow"))
		name := func(rows int) LabelRef { return LabelRef(fmt.Sprintf("rows%d", rows)) }
		Label("next")
		CMPQ(g.m, U8(2*maxRows))
		JGE(name(maxRows))
		rows := GP64()
		MOVQ(g.m, rows)
		CMPQ(rows, U8(maxRows))
		JLE(LabelRef("last"))
		INCQ(rows)
		SHRQ(U8(1), rows)
		Label("last")
		for r := maxRows; r > 0; r-- {
			CMPQ(rows, U8(r))
			JEQ(name(r))
		}
		JMP(LabelRef("end"))
		for r := maxRows; r > 0; r-- {
			Label(string(name(r)))
			g.block(r, 2)
			JMP(LabelRef("next"))
		}
		Label("end")
	})
}

// rowsOf addresses rows by registers three rows apart.
type rowsOf struct {
	every3 []Register
	stride Register
}

// from returns the rows below a register, which stays the first.
func from(top, stride Register, rows int) rowsOf {
	r := rowsOf{[]Register{top}, stride}
	if rows <= 3 {
		return r
	}
	three := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	for i := 3; i < rows; i += 3 {
		next := GP64()
		LEAQ(Mem{Base: r.every3[len(r.every3)-1], Index: three, Scale: 1}, next)
		r.every3 = append(r.every3, next)
	}
	return r
}

func (r rowsOf) at(i, disp int) Mem {
	m := Mem{Base: r.every3[i/3], Disp: disp}
	if i%3 > 0 {
		m.Index, m.Scale = r.stride, uint8(i%3)
	}
	return m
}

// block computes rows rows of parts·8 columns of C and moves on to the next rows.
func (g matrixKernel) block(rows, parts int) {
	sums := make([][]VecVirtual, rows)
	for i := range sums {
		for range parts {
			sums[i] = append(sums[i], YMM())
		}
	}
	each := func(f func(place Mem, part int, sum VecVirtual)) {
		c := from(g.c, g.cr, rows)
		for i, s := range sums {
			for part, sum := range s {
				f(c.at(i, 32*part), part, sum)
			}
		}
	}
	clear, ragged, products := label("clear"), label("ragged"), label("products")
	CMPB(memory(Param("add")), U8(0))
	JEQ(LabelRef(clear))
	CMPQ(memory(Param("n")), U8(8*parts))
	JNE(LabelRef(ragged))
	each(func(c Mem, _ int, sum VecVirtual) { VMOVUPS(c, sum) })
	JMP(LabelRef(products))
	Label(ragged)
	mask := g.mask(parts)
	each(func(c Mem, part int, sum VecVirtual) { VMASKMOVPS(c, mask[part], sum) })
	JMP(LabelRef(products))
	Label(clear)
	for _, s := range sums {
		for _, sum := range s {
			VXORPS(sum, sum, sum)
		}
	}
	Label(products)
	g.products(sums)

	ragged, stored := label("ragged"), label("stored")
	CMPQ(memory(Param("n")), U8(8*parts))
	JNE(LabelRef(ragged))
	each(func(c Mem, _ int, sum VecVirtual) { VMOVUPS(sum, c) })
	JMP(LabelRef(stored))
	Label(ragged)
	mask = g.mask(parts)
	each(func(c Mem, part int, sum VecVirtual) { VMASKMOVPS(sum, mask[part], c) })
	Label(stored)

	for _, move := range [][2]Register{{g.c, g.cr}, {g.a, g.ar}} {
		step := GP64()
		IMUL3Q(U8(rows), move[1], step)
		ADDQ(step, move[0])
	}
	SUBQ(U8(rows), g.m)
}

// mask loads the masks for n columns.
func (g matrixKernel) mask(parts int) (mask []VecVirtual) {
	table, n := GP64(), GP64()
	LEAQ(masks().Offset(64), table)
	MOVQ(memory(Param("n")), n)
	SHLQ(U8(2), n)
	SUBQ(n, table)
	for part := range parts {
		mask = append(mask, YMM())
		VMOVUPS(Mem{Base: table, Disp: 32 * part}, mask[part])
	}
	return mask
}

// products adds the k products to the sums: four at a time where the elements of
// a row of A follow each other, else one at a time.
func (g matrixKernel) products(sums [][]VecVirtual) {
	single, four, rest, done := label("single"), label("four"), label("rest"), label("done")
	top, b, k := GP64(), GP64(), GP64()
	MOVQ(g.a, top)
	MOVQ(g.b, b)
	MOVQ(memory(Param("k")), k)
	a := from(top, g.ar, len(sums))
	product := func(disp int) {
		var row []VecVirtual
		for part := range sums[0] {
			row = append(row, YMM())
			VMOVUPS(Mem{Base: b, Disp: 32 * part}, row[part])
		}
		for i, s := range sums {
			x := YMM()
			VBROADCASTSS(a.at(i, disp), x)
			for part, sum := range s {
				VFMADD231PS(row[part], x, sum)
			}
		}
		ADDQ(g.br, b)
	}
	next := func(step Op) {
		for _, r := range a.every3 {
			ADDQ(step, r)
		}
	}
	CMPQ(g.ac, U8(4))
	JNE(LabelRef(rest))
	Label(four)
	CMPQ(k, U8(4))
	JLT(LabelRef(rest))
	for i := range 4 {
		product(4 * i)
	}
	next(U8(16))
	SUBQ(U8(4), k)
	JMP(LabelRef(four))
	Label(rest)
	TESTQ(k, k)
	JEQ(LabelRef(done))
	Label(single)
	product(0)
	next(g.ac)
	DECQ(k)
	JNE(LabelRef(single))
	Label(done)
}

// gemv multiplies one row by the transpose of rows of B, 16 rows at a time: squares
// of 8 × 8 elements are transposed in registers.
func gemv() {
	function("gemv", "(c, x, b []float32, br, n, k int, add bool)", func() {
		p := base("c", "x", "b")
		c, x, b := p[0], p[1], p[2]
		br, k := strideOf("br"), strideOf("k")
		n := integer("n")
		b8, offset := GP64(), GP64()
		squares := [2]eightRows{{stride: br, fourth: GP64(), seventh: GP64()}, {stride: br, fourth: GP64(), seventh: GP64()}}
		sum := [2]VecVirtual{YMM(), YMM()}
		Label("columns")
		SUBQ(U8(16), n)
		JLT(LabelRef("end"))
		for _, s := range sum {
			VXORPS(s, s, s)
		}
		CMPB(memory(Param("add")), U8(0))
		JEQ(LabelRef("begin"))
		VMOVUPS(Mem{Base: c}, sum[0])
		VMOVUPS(Mem{Base: c, Disp: 32}, sum[1])
		Label("begin")
		LEAQ(Mem{Base: b, Index: br, Scale: 8}, b8)
		squares[0].first, squares[1].first = b, b8
		for _, s := range squares {
			s.set()
		}
		XORQ(offset, offset)
		Label("square")
		for i, s := range squares {
			var r [8]VecVirtual
			for j := range r {
				r[j] = YMM()
				VMOVUPS(s.row(j), r[j])
			}
			for j, y := range transposed(r) {
				e := YMM()
				VBROADCASTSS(Mem{Base: x, Index: offset, Scale: 1, Disp: 4 * j}, e)
				VFMADD231PS(y, e, sum[i])
			}
		}
		for _, s := range squares {
			for _, r := range []Register{s.first, s.fourth, s.seventh} {
				ADDQ(U8(32), r)
			}
		}
		ADDQ(U8(32), offset)
		CMPQ(offset, k)
		JLT(LabelRef("square"))
		VMOVUPS(sum[0], Mem{Base: c})
		VMOVUPS(sum[1], Mem{Base: c, Disp: 32})
		ADDQ(U8(64), c)
		SUBQ(k, b) // back to the first column
		SHLQ(U8(4), br)
		ADDQ(br, b)
		SHRQ(U8(4), br)
		JMP(LabelRef("columns"))
		Label("end")
	})
}
