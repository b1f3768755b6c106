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
			g.block(r)
			JMP(LabelRef("next"))
		}
		Label("end")
	})
}

// row returns the place of row i relative to two registers three rows apart.
func row(top, third, stride Register, i, disp int) Mem {
	if i >= 3 {
		top, i = third, i-3
	}
	if i == 0 {
		return Mem{Base: top, Disp: disp}
	}
	return Mem{Base: top, Index: stride, Scale: uint8(i), Disp: disp}
}

// thirdRow returns top + 3·stride.
func thirdRow(top, stride Register) Register {
	r := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r)
	ADDQ(top, r)
	return r
}

// block computes rows rows of C and moves on to the next.
func (g matrixKernel) block(rows int) {
	sums := make([][2]VecVirtual, rows)
	for i := range sums {
		sums[i] = [2]VecVirtual{YMM(), YMM()}
	}
	ragged, loaded, products := label("ragged"), label("loaded"), label("products")
	clear := label("clear")

	c3 := thirdRow(g.c, g.cr)
	CMPB(memory(Param("add")), U8(0))
	JEQ(LabelRef(clear))
	CMPQ(memory(Param("n")), U8(16))
	JNE(LabelRef(ragged))
	for i, s := range sums {
		VMOVUPS(row(g.c, c3, g.cr, i, 0), s[0])
		VMOVUPS(row(g.c, c3, g.cr, i, 32), s[1])
	}
	JMP(LabelRef(products))
	Label(ragged)
	mask := g.mask()
	for i, s := range sums {
		VMASKMOVPS(row(g.c, c3, g.cr, i, 0), mask[0], s[0])
		VMASKMOVPS(row(g.c, c3, g.cr, i, 32), mask[1], s[1])
	}
	JMP(LabelRef(products))
	Label(clear)
	for _, s := range sums {
		VXORPS(s[0], s[0], s[0])
		VXORPS(s[1], s[1], s[1])
	}
	Label(products)
	g.products(sums)

	stored := label("stored")
	CMPQ(memory(Param("n")), U8(16))
	JNE(LabelRef(loaded))
	for i, s := range sums {
		VMOVUPS(s[0], row(g.c, c3, g.cr, i, 0))
		VMOVUPS(s[1], row(g.c, c3, g.cr, i, 32))
	}
	JMP(LabelRef(stored))
	Label(loaded)
	mask = g.mask()
	for i, s := range sums {
		VMASKMOVPS(s[0], mask[0], row(g.c, c3, g.cr, i, 0))
		VMASKMOVPS(s[1], mask[1], row(g.c, c3, g.cr, i, 32))
	}
	Label(stored)

	for _, move := range [][2]Register{{g.c, g.cr}, {g.a, g.ar}} {
		step := GP64()
		IMUL3Q(U8(rows), move[1], step)
		ADDQ(step, move[0])
	}
	SUBQ(U8(rows), g.m)
}

// mask loads the masks for n columns.
func (g matrixKernel) mask() [2]VecVirtual {
	table, n := GP64(), GP64()
	LEAQ(masks().Offset(64), table)
	MOVQ(memory(Param("n")), n)
	SHLQ(U8(2), n)
	SUBQ(n, table)
	mask := [2]VecVirtual{YMM(), YMM()}
	VMOVUPS(Mem{Base: table}, mask[0])
	VMOVUPS(Mem{Base: table, Disp: 32}, mask[1])
	return mask
}

// products adds the k products to the sums: four at a time where the elements of
// a row of A follow each other, else one at a time.
func (g matrixKernel) products(sums [][2]VecVirtual) {
	single, four, rest, done := label("single"), label("four"), label("rest"), label("done")
	a, b, k := GP64(), GP64(), GP64()
	MOVQ(g.a, a)
	MOVQ(g.b, b)
	MOVQ(memory(Param("k")), k)
	var a3 Register = a
	if len(sums) > 3 {
		a3 = thirdRow(a, g.ar)
	}
	product := func(disp int) {
		low, high := YMM(), YMM()
		VMOVUPS(Mem{Base: b}, low)
		VMOVUPS(Mem{Base: b, Disp: 32}, high)
		for i, s := range sums {
			x := YMM()
			VBROADCASTSS(row(a, a3, g.ar, i, disp), x)
			VFMADD231PS(low, x, s[0])
			VFMADD231PS(high, x, s[1])
		}
		ADDQ(g.br, b)
	}
	CMPQ(g.ac, U8(4))
	JNE(LabelRef(rest))
	Label(four)
	CMPQ(k, U8(4))
	JLT(LabelRef(rest))
	for i := range 4 {
		product(4 * i)
	}
	ADDQ(U8(16), a)
	if len(sums) > 3 {
		ADDQ(U8(16), a3)
	}
	SUBQ(U8(4), k)
	JMP(LabelRef(four))
	Label(rest)
	TESTQ(k, k)
	JEQ(LabelRef(done))
	Label(single)
	product(0)
	ADDQ(g.ac, a)
	if len(sums) > 3 {
		ADDQ(g.ac, a3)
	}
	DECQ(k)
	JNE(LabelRef(single))
	Label(done)
}
