package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A strip is a width of panels of B and what the kernel does for it: the block of C
// that stays in registers has parts · lanes columns and at most rows[0] rows.
type strip struct {
	parts, lanes int
	rows         []int
	even         bool // the last rows are split evenly; else the largest block that fits is next
	short        int  // the most rows where k is at most shortK: blocks that the CPU overlaps
}

// shortK is the number of products at which reading and writing a large block of C
// would not overlap with the products of its neighbours.
const shortK = 32

func (s strip) cols() int { return s.parts * s.lanes }

// strips returns the widths of the level, the narrowest first. A few sums more or
// less than fill the registers cost nothing as long as their number hides the
// latency of a multiply-add.
func strips() []strip {
	narrow := []int{12, 8, 6, 4, 3, 2, 1}
	if wide() {
		return []strip{
			{parts: 1, lanes: 8, rows: narrow},
			{parts: 1, lanes: 16, rows: narrow},
			{parts: 2, lanes: 16, rows: downFrom(14), even: true, short: 7},
		}
	}
	return []strip{
		{parts: 1, lanes: 8, rows: narrow},
		{parts: 2, lanes: 8, rows: downFrom(6), even: true, short: 6},
	}
}

func downFrom(n int) (all []int) {
	for ; n > 0; n-- {
		all = append(all, n)
	}
	return all
}

// eachStrip emits code for the narrowest strip that holds n columns.
func eachStrip(n Op, emit func(s strip)) {
	all, end := strips(), label("end")
	for _, s := range all[:len(all)-1] {
		wider := label("wider")
		CMPQ(n, U8(s.cols()))
		JGT(LabelRef(wider))
		emit(s)
		JMP(LabelRef(end))
		Label(wider)
	}
	emit(all[len(all)-1])
	Label(end)
}

type matrixKernel struct {
	c, cr, a, ar, ac, b, br, m Register
	strip
}

// gemm goes down the rows of C in blocks. Each element is one chain of fused
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
		eachStrip(memory(Param("n")), func(s strip) {
			g.strip = s
			g.down()
		})
	})
}

// down emits the blocks of a strip. Where the last rows are split evenly, those
// below twice the largest block make two blocks of about the same size.
func (g matrixKernel) down() {
	next, end := label("next"), label("end")
	names := make([]LabelRef, len(g.rows))
	for i := range names {
		names[i] = LabelRef(label("rows"))
	}
	Label(next)
	if g.even {
		rows, most := GP64(), GP64()
		MOVQ(U32(g.rows[0]), most)
		if g.short < g.rows[0] {
			MOVQ(U32(g.short), rows)
			CMPQ(memory(Param("k")), U8(shortK))
			CMOVQLE(rows, most)
		}
		// As many as possible while twice as many are left, else a half or all.
		MOVQ(g.m, rows)
		INCQ(rows)
		SHRQ(U8(1), rows)
		CMPQ(rows, most)
		CMOVQGT(most, rows)
		CMPQ(g.m, most)
		CMOVQLE(g.m, rows)
		for i, r := range g.rows {
			CMPQ(rows, U8(r))
			JEQ(names[i])
		}
	} else {
		for i, r := range g.rows {
			CMPQ(g.m, U8(r))
			JGE(names[i])
		}
	}
	JMP(LabelRef(end))
	for i, r := range g.rows {
		Label(string(names[i]))
		g.block(r)
		JMP(LabelRef(next))
	}
	Label(end)
}

// rowsOf addresses rows by registers five rows apart.
type rowsOf struct {
	every5        []Register
	stride, three Register
}

// from returns the rows below a register, which stays the first.
func from(top, stride Register, rows int) rowsOf {
	r := rowsOf{every5: []Register{top}, stride: stride}
	if rows > 3 {
		r.three = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.three)
	}
	for i := 5; i < rows; i += 5 {
		next := GP64()
		LEAQ(Mem{Base: r.every5[len(r.every5)-1], Index: stride, Scale: 4}, next)
		ADDQ(stride, next)
		r.every5 = append(r.every5, next)
	}
	return r
}

func (r rowsOf) at(i, disp int) Mem {
	m := Mem{Base: r.every5[i/5], Disp: disp}
	switch i %= 5; i {
	case 0:
	case 3:
		m.Index, m.Scale = r.three, 1
	default:
		m.Index, m.Scale = r.stride, uint8(i)
	}
	return m
}

// block computes rows rows of C and moves on to the next rows.
func (g matrixKernel) block(rows int) {
	sums := make([][]VecVirtual, rows)
	for i := range sums {
		for range g.parts {
			sums[i] = append(sums[i], vectorOf(g.lanes))
		}
	}
	// each calls f for the sums, with masks where C is narrower than the strip.
	each := func(f func(c Mem, mask Register, sum VecVirtual)) {
		ragged, done := label("ragged"), label("done")
		all := func(mask []Register) {
			c := from(g.c, g.cr, rows)
			for i, s := range sums {
				for part, sum := range s {
					f(c.at(i, 4*g.lanes*part), mask[part], sum)
				}
			}
		}
		CMPQ(memory(Param("n")), U8(g.cols()))
		JNE(LabelRef(ragged))
		all(make([]Register, g.parts))
		JMP(LabelRef(done))
		Label(ragged)
		n := GP64()
		MOVQ(memory(Param("n")), n)
		all(firstOf(n, g.parts))
		Label(done)
	}
	clear, products := label("clear"), label("products")
	CMPB(memory(Param("add")), U8(0))
	JEQ(LabelRef(clear))
	each(loadMasked)
	JMP(LabelRef(products))
	Label(clear)
	for _, s := range sums {
		for _, sum := range s {
			VXORPS(sum, sum, sum)
		}
	}
	Label(products)
	g.products(sums)
	each(func(c Mem, mask Register, sum VecVirtual) { storeMasked(sum, mask, c) })

	for _, move := range [][2]Register{{g.c, g.cr}, {g.a, g.ar}} {
		step := GP64()
		IMUL3Q(U8(rows), move[1], step)
		ADDQ(step, move[0])
	}
	SUBQ(U8(rows), g.m)
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
		for part := range g.parts {
			row = append(row, vectorOf(g.lanes))
			VMOVUPS(Mem{Base: b, Disp: 4 * g.lanes * part}, row[part])
		}
		for i, s := range sums {
			if wide() && g.parts == 1 {
				VFMADD231PS_BCST(a.at(i, disp), row[0], s[0])
				continue
			}
			x := vectorOf(g.lanes)
			VBROADCASTSS(a.at(i, disp), x)
			for part, sum := range s {
				VFMADD231PS(row[part], x, sum)
			}
		}
		ADDQ(g.br, b)
	}
	next := func(step Op) {
		for _, r := range a.every5 {
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
			s.transposed(func(j int, y VecVirtual) {
				e := YMM()
				VBROADCASTSS(Mem{Base: x, Index: offset, Scale: 1, Disp: 4 * j}, e)
				VFMADD231PS(y, e, sum[i])
			})
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
