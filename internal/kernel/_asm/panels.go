package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelRows is the number of rows of a panel, in which the words of the same columns lie
// side by side.
const panelRows = 32

// panelWords is the number of words of each row that a turn of the loop multiplies.
const panelWords = 4

// A panelProduct is one call of a function of panels.
type panelProduct struct {
	storage
	b, x, end, scale Register
	widen            func(words VecVirtual, scale Mem, column func(int, VecVirtual))
}

// panels multiplies one row by rows of B that lie in panels, one panel after the other:
// what gemv does, but no word changes its place, and B is one stream, which the processor
// foresees best if nothing is prefetched.
func (s storage) panels() {
	name := "panels" + s.name[len("gemv"):]
	signature := "(c, x []float32, b []" + s.element + ", n, k int, add bool)"
	if s.scaled {
		signature = "(c, x []float32, b []byte, scales []float32, sr, n, k int, add bool)"
	}
	function(name, signature, func() {
		p := panelProduct{storage: s, b: base("b")[0], x: GP64(), end: GP64(), widen: s.widener()}
		if s.scaled {
			p.scale = GP64()
		}
		next, done := label("panel"), label("done")
		Label(next)
		CMPQ(memory(Param("n")), U8(panelRows))
		JLT(LabelRef(done))
		p.panel()
		JMP(LabelRef(next))
		Label(done)
	})
}

// panel computes the sums of a panel's rows and moves on behind it.
func (p panelProduct) panel() {
	var sum []VecVirtual
	for range panelRows / level.lanes {
		sum = append(sum, vector())
	}
	begin(sum)
	MOVQ(memory(Param("x").Base()), p.x)
	if p.scaled {
		MOVQ(memory(Param("scales").Base()), p.scale)
	}
	MOVQ(memory(Param("k")), p.end)
	LEAQ(Mem{Base: p.x, Index: p.end, Scale: 4}, p.end)
	loop := label("columns")
	Label(loop)
	p.columns(sum)
	CMPQ(p.x, p.end)
	JLT(LabelRef(loop))

	c := base("c")[0]
	for i, s := range sum {
		VMOVUPS(s, Mem{Base: c, Disp: 4 * level.lanes * i})
	}
	step := U32(4 * panelRows)
	ADDQ(step, memory(Param("c").Base()))
	SUBQ(U8(panelRows), memory(Param("n")))
	if p.scaled {
		ADDQ(step, memory(Param("scales").Base()))
	}
}

// columns adds the products of the columns that share a scale, or of some words.
func (p panelProduct) columns(sum []VecVirtual) {
	if !p.scaled {
		p.words(sum)
		return
	}
	loop, left := label("words"), GP64()
	MOVQ(U32(scaleBlock/(panelWords*p.word)), left)
	Label(loop)
	p.words(sum)
	DECQ(left)
	JNE(LabelRef(loop))
	step := GP64()
	MOVQ(memory(Param("sr")), step)
	LEAQ(Mem{Base: p.scale, Index: step, Scale: 4}, p.scale)
}

// words adds the products of some words of each row.
func (p panelProduct) words(sum []VecVirtual) {
	for j := range panelWords {
		for i, s := range sum {
			row, words := level.lanes*i, vector()
			VMOVUPS(Mem{Base: p.b, Disp: 4 * (panelRows*j + row)}, words)
			scale := Mem{Base: p.scale, Disp: 4 * row}
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
	ADDQ(U32(4*panelRows*panelWords), p.b)
	ADDQ(U32(4*panelWords*p.word), p.x)
}
