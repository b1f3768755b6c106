package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelRows is the number of rows of a panel, whose words of the same columns lie side by
// side.
const panelRows = 32

// panelWords is the number of words of each row that a turn of the loop multiplies.
const panelWords = 4

// panelAhead is how many bytes before their use rows are prefetched.
const panelAhead = 1 << 15

// panels multiplies one row by rows of B that lie in panels, one panel after the other:
// what gemv does, but no word changes its place and all of B is one stream.
func (s storage) panels() {
	name := "panels" + s.name[len("gemv"):]
	signature := "(c, x []float32, b []" + s.element + ", n, k int, add bool, next []byte)"
	if s.scaled {
		signature = "(c, x []float32, b []byte, scales []float32, sr, n, k int, add bool, next []byte)"
	}
	function(name, signature, func() {
		p := rowProduct{storage: s, x: GP64(), end: GP64(), ahead: GP64(), pace: GP64(), widen: s.widener()}
		p.first = base("b")
		if s.scaled {
			p.scale = GP64()
		}
		p.prefetchPanel()
		next, done := label("panel"), label("done")
		Label(next)
		CMPQ(memory(Param("n")), U8(panelRows))
		JLT(LabelRef(done))
		p.panel()
		JMP(LabelRef(next))
		Label(done)
	})
}

// prefetchPanel asks for what is used first.
func (p rowProduct) prefetchPanel() {
	more := label("more")
	MOVQ(p.first[0], p.ahead)
	limit := GP64()
	MOVQ(memory(Param("b").Len()), limit)
	if p.element != "byte" {
		SHLQ(U8(p.shift), limit)
	}
	ADDQ(p.ahead, limit)
	MOVQ(limit, p.limit())
	LEAQ(Mem{Base: p.ahead, Disp: panelAhead}, p.end)
	CMPQ(p.end, limit)
	CMOVQGT(limit, p.end)
	Label(more)
	PREFETCHT1(Mem{Base: p.ahead})
	ADDQ(U8(64), p.ahead)
	CMPQ(p.ahead, p.end)
	JLT(LabelRef(more))
	MOVQ(U32(4*panelRows*panelWords), p.pace)
}

// panel computes the sums of a panel's rows; the pointer to it moves on to the next one.
func (p rowProduct) panel() {
	var sum []VecVirtual
	for range panelRows / level.lanes {
		sum = append(sum, vector())
	}
	when("add", func() {
		c := base("c")[0]
		for i, s := range sum {
			VMOVUPS(Mem{Base: c, Disp: 4 * level.lanes * i}, s)
		}
	}, func() {
		for _, s := range sum {
			VXORPS(s, s, s)
		}
	})
	MOVQ(memory(Param("x").Base()), p.x)
	if p.scaled {
		MOVQ(memory(Param("scales").Base()), p.scale)
	}
	MOVQ(memory(Param("k")), p.end)
	SHLQ(U8(2), p.end)
	ADDQ(p.x, p.end)
	loop := label("columns")
	Label(loop)
	if p.scaled {
		turn, left := label("words"), GP64()
		MOVQ(U32(scaleBlock/(panelWords*p.word)), left)
		Label(turn)
		p.words(sum)
		DECQ(left)
		JNE(LabelRef(turn))
		step := GP64()
		MOVQ(memory(Param("sr")), step)
		LEAQ(Mem{Base: p.scale, Index: step, Scale: 4}, p.scale)
	} else {
		p.words(sum)
	}
	CMPQ(p.x, p.end)
	JLT(LabelRef(loop))

	c := base("c")[0]
	for i, s := range sum {
		VMOVUPS(s, Mem{Base: c, Disp: 4 * level.lanes * i})
	}
	ADDQ(U32(4*panelRows), memory(Param("c").Base()))
	SUBQ(U8(panelRows), memory(Param("n")))
	if p.scaled {
		ADDQ(U32(4*panelRows), memory(Param("scales").Base()))
	}
}

// words adds the products of some words of each row.
func (p rowProduct) words(sum []VecVirtual) {
	p.prefetch(4 * panelRows * panelWords / 64)
	for j := range panelWords {
		for i, s := range sum {
			words := vector()
			VMOVUPS(Mem{Base: p.first[0], Disp: 4 * (panelRows*j + level.lanes*i)}, words)
			scale := Mem{Base: p.scale, Disp: 4 * level.lanes * i}
			p.widen(words, scale, func(e int, y VecVirtual) {
				x := Mem{Base: p.x, Disp: 4 * (j*p.word + e)}
				if wide() {
					VFMADD231PS_BCST(x, y, s)
					return
				}
				all := vector()
				VBROADCASTSS(x, all)
				VFMADD231PS(y, all, s)
			})
		}
	}
	ADDQ(U32(4*panelRows*panelWords), p.first[0])
	ADDQ(U32(4*panelWords*p.word), p.x)
}
