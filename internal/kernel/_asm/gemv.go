package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A storage is a way to keep the rows of the matrix that one row is multiplied by.
type storage struct {
	name    string
	element string // Go's type of what a row is made of
	shift   uint8  // from a number of columns to bytes: left, or right with half
	half    bool
	word    int // columns in 32 bits
	scaled  bool
	// widener emits constants and returns a function that emits, for a word of each of
	// as many rows as a register has lanes, the columns in it as float32.
	widener func() func(words VecVirtual, scale Mem, column func(i int, y VecVirtual))
}

// scaleBlock is the number of columns that share a scale.
const scaleBlock = 64

var storages = []storage{
	{name: "gemv", element: "float32", shift: 2, word: 1, widener: asTheyAre},
	{name: "gemvHalves", element: "uint16", shift: 1, word: 2, widener: ofHalves},
	{name: "gemvInt8", element: "byte", word: 4, scaled: true, widener: ofInt8},
	{name: "gemvNF4", element: "byte", shift: 1, half: true, word: 8, scaled: true, widener: ofNF4},
}

func (s storage) bytes(columns Register) {
	switch {
	case s.half:
		SHRQ(U8(s.shift), columns)
	case s.shift > 0:
		SHLQ(U8(s.shift), columns)
	}
}

func asTheyAre() func(VecVirtual, Mem, func(int, VecVirtual)) {
	return func(y VecVirtual, _ Mem, column func(int, VecVirtual)) { column(0, y) }
}

func ofHalves() func(VecVirtual, Mem, func(int, VecVirtual)) {
	upper := allWords("bf16_upper", 0xffff0000)
	return func(y VecVirtual, _ Mem, column func(int, VecVirtual)) {
		even := vector()
		VPSLLD(U8(16), y, even)
		column(0, even)
		if wide() {
			VPANDD(upper, y, y)
		} else {
			VPAND(upper, y, y)
		}
		column(1, y)
	}
}

func ofInt8() func(VecVirtual, Mem, func(int, VecVirtual)) {
	return func(words VecVirtual, scale Mem, column func(int, VecVirtual)) {
		for i := range 4 {
			y := vector()
			from := words
			if i < 3 {
				VPSLLD(U8(24-8*i), words, y)
				from = y
			}
			VPSRAD(U8(24), from, y)
			VCVTDQ2PS(y, y)
			VMULPS(scale, y, y)
			column(i, y)
		}
	}
}

// ofNF4 looks the codes up: the first of two is in the upper half of a byte.
func ofNF4() func(VecVirtual, Mem, func(int, VecVirtual)) {
	var bits []uint32
	for _, v := range nf4Book {
		bits = append(bits, math.Float32bits(v))
	}
	book := words("nf4", bits...)
	low, high := vector(), vector()
	VMOVUPS(book, low)
	if !wide() {
		VMOVUPS(book.Offset(32), high)
	}
	return func(words VecVirtual, scale Mem, column func(int, VecVirtual)) {
		for i := range 8 {
			at := 8*(i/2) + 4*(1-i%2)
			code, y := words, vector()
			if at > 0 {
				code = vector()
				VPSRLD(U8(at), words, code)
			}
			VPERMPS(low, code, y)
			if !wide() {
				above, upper := vector(), code
				VPERMPS(high, code, above)
				if at == 0 {
					upper = vector()
				}
				VPSLLD(U8(28), code, upper) // bit 3 becomes the sign
				VBLENDVPS(upper, above, y, y)
			}
			VMULPS(scale, y, y)
			column(i, y)
		}
	}
}

// groupRows is the number of rows of a group, which registers address together, and
// groups of how many of them go through the columns side by side.
const groupRows, groups = 8, 4

// rowStrides are the distances by which rows of a group are addressed.
type rowStrides struct{ one, three, five, seven Register }

// distances makes them of the first.
func distances(one Register) rowStrides {
	d := rowStrides{one, GP64(), GP64(), GP64()}
	LEAQ(Mem{Base: one, Index: one, Scale: 2}, d.three)
	LEAQ(Mem{Base: one, Index: one, Scale: 4}, d.five)
	LEAQ(Mem{Base: d.three, Index: one, Scale: 4}, d.seven)
	return d
}

func (d rowStrides) row(first Register, i int) Mem {
	m := Mem{Base: first}
	switch i {
	case 1, 2, 4:
		m.Index, m.Scale = d.one, uint8(i)
	case 3, 6:
		m.Index, m.Scale = d.three, uint8(i/3)
	case 5:
		m.Index, m.Scale = d.five, 1
	case 7:
		m.Index, m.Scale = d.seven, 1
	}
	return m
}

// A rowProduct is one call of a gemv: rows of B by one row.
type rowProduct struct {
	storage
	rowStrides
	first  []Register // row of each group
	x, end Register
	// ahead is where rows are prefetched from, so many bytes at a time; 0 if nothing is
	// left to prefetch.
	ahead, pace Register
	scale       Register
	widen       func(words VecVirtual, scale Mem, column func(int, VecVirtual))
}

// gemv multiplies one row by the transpose of rows of B, 32 rows at a time and 16 at
// the end: some words of each are transposed in registers and widened. While a block
// of rows is multiplied the next one is prefetched, as the rows lie in memory one after
// the other, and at the end of b what is next.
func (s storage) gemv() {
	signature := "(c, x []float32, b []" + s.element + ", br, n, k int, add bool, next []byte)"
	if s.scaled {
		signature = "(c, x []float32, b []byte, scales []float32, sr, br, n, k int, add bool, next []byte)"
	}
	function(s.name, signature, func() {
		p := rowProduct{storage: s, x: GP64(), end: GP64(), ahead: GP64(), pace: GP64(), widen: s.widener()}
		b := base("b")[0]
		p.first = append(p.first, b)
		for range groups - 1 {
			p.first = append(p.first, GP64())
		}
		stride := integer("br")
		s.bytes(stride)
		p.rowStrides = distances(stride)
		if s.scaled {
			p.scale = GP64()
		}
		p.prefetchFirst()
		for _, n := range []int{groups, groups / 2} {
			next, done := label("rows"), label("done")
			Label(next)
			CMPQ(memory(Param("n")), U8(groupRows*n))
			JLT(LabelRef(done))
			p.block(n)
			JMP(LabelRef(next))
			Label(done)
		}
	})
}

// prefetchFirst asks for the first block of rows and a group more, if they lie one after
// the other: what comes last must not be waited for when a block begins. (They go into
// the second-level cache: too few lines can be on their way into the first.)
func (p rowProduct) prefetchFirst() {
	more, apart, done := label("more"), label("apart"), label("done")
	MOVQ(p.first[0], p.ahead)
	MOVQ(memory(Param("br")), p.end)
	CMPQ(p.end, memory(Param("k")))
	JNE(LabelRef(apart))
	limit := GP64()
	MOVQ(memory(Param("b").Len()), limit)
	if p.element != "byte" {
		SHLQ(U8(p.shift), limit)
	}
	ADDQ(p.ahead, limit)
	MOVQ(limit, p.limit())
	LEAQ(Mem{Base: p.one, Index: p.one, Scale: 4}, p.end)
	SHLQ(U8(3), p.end)
	ADDQ(p.first[0], p.end)
	CMPQ(p.end, limit)
	CMOVQGT(limit, p.end)
	Label(more)
	PREFETCHT1(Mem{Base: p.ahead})
	ADDQ(U8(64), p.ahead)
	CMPQ(p.ahead, p.end)
	JLT(LabelRef(more))
	JMP(LabelRef(done))
	Label(apart)
	p.stopAhead()
	Label(done)
}

// limit is where prefetching must not go beyond: it takes the place of the length of b.
func (p rowProduct) limit() Mem { return memory(Param("b").Len()) }

// stopAhead ends prefetching: ahead stays where it is.
func (p rowProduct) stopAhead() {
	XORQ(p.pace, p.pace)
	MOVQ(U64(math.MaxInt64), p.end)
	MOVQ(p.end, p.limit())
}

// prefetch asks for some lines and goes on, at the limit with what comes next.
func (p rowProduct) prefetch(lines int) {
	for i := range lines {
		PREFETCHT1(Mem{Base: p.ahead, Disp: 64 * i})
	}
	below, none := label("below"), label("none")
	ADDQ(p.pace, p.ahead)
	CMPQ(p.ahead, p.limit())
	JLT(LabelRef(below))
	bytes := GP64()
	MOVQ(memory(Param("next").Len()), bytes)
	TESTQ(bytes, bytes)
	JEQ(LabelRef(none))
	MOVQ(memory(Param("next").Base()), p.ahead)
	ADDQ(p.ahead, bytes)
	MOVQ(bytes, p.limit())
	MOVQ(U32(0), memory(Param("next").Len()))
	JMP(LabelRef(below))
	Label(none)
	XORQ(p.pace, p.pace)
	MOVQ(U64(math.MaxInt64), bytes)
	MOVQ(bytes, p.limit())
	Label(below)
}

// block computes some groups of rows and moves on behind them.
func (p rowProduct) block(n int) {
	vectors := groupRows * n / level.lanes
	var sum []VecVirtual
	for range vectors {
		sum = append(sum, vector())
	}
	// The distance from row 0 to row 8 is that of row 7 and one.
	for i := 1; i < n; i++ {
		LEAQ(Mem{Base: p.first[i-1], Index: p.one, Scale: 8}, p.first[i])
	}
	begin(sum)
	p.setPace(n)
	MOVQ(memory(Param("x").Base()), p.x)
	if p.scaled {
		MOVQ(memory(Param("scales").Base()), p.scale)
	}
	MOVQ(memory(Param("k")), p.end)
	p.bytes(p.end)
	ADDQ(p.first[0], p.end)
	loop := label("columns")
	Label(loop)
	p.columns(sum)
	CMPQ(p.first[0], p.end)
	JLT(LabelRef(loop))

	c := base("c")[0]
	for i, s := range sum {
		VMOVUPS(s, Mem{Base: c, Disp: 4 * level.lanes * i})
	}
	ADDQ(U32(4*groupRows*n), memory(Param("c").Base()))
	SUBQ(U8(groupRows*n), memory(Param("n")))
	if p.scaled {
		ADDQ(U32(4*groupRows*n), memory(Param("scales").Base()))
	}
	// The last row of the block less what the columns have moved on.
	back := GP64()
	MOVQ(memory(Param("k")), back)
	p.bytes(back)
	SUBQ(back, p.first[n-1])
	LEAQ(Mem{Base: p.first[n-1], Index: p.one, Scale: 8}, p.first[0])
}

// setPace lets the block prefetch as much as it reads, unless prefetching has ended.
func (p rowProduct) setPace(n int) {
	done, none := label("paced"), GP64()
	XORQ(p.pace, p.pace)
	MOVQ(U64(math.MaxInt64), none)
	CMPQ(none, p.limit())
	JEQ(LabelRef(done))
	MOVQ(U32(4*pieceWords()*groupRows*n), p.pace)
	Label(done)
}

// columns adds the products of the columns that share a scale, or of at least eight.
func (p rowProduct) columns(sum []VecVirtual) {
	if !p.scaled {
		p.pieces(sum, max(1, 8/(pieceWords()*p.word)))
		return
	}
	loop, left := label("piece"), GP64()
	MOVQ(U32(scaleBlock/(pieceWords()*p.word)), left)
	Label(loop)
	p.pieces(sum, 1)
	DECQ(left)
	JNE(LabelRef(loop))
	step := GP64()
	MOVQ(memory(Param("sr")), step)
	LEAQ(Mem{Base: p.scale, Index: step, Scale: 4}, p.scale)
}

// pieceWords is the number of words of each row that are transposed together.
func pieceWords() int { return level.lanes / 2 }

// pieces adds the products of so many pieces of each row.
func (p rowProduct) pieces(sum []VecVirtual, pieces int) {
	n, width := len(sum)*level.lanes/groupRows, pieceWords()
	transposed := fourColumns
	if wide() {
		transposed = eightColumns
	}
	for piece := range pieces {
		p.prefetch(width / 2 * n)
		for i, s := range sum {
			row := func(r int) Mem {
				r += level.lanes * i
				return p.row(p.first[r/groupRows], r%groupRows).Offset(4 * width * piece)
			}
			scale := Mem{Base: p.scale, Disp: 4 * level.lanes * i}
			transposed(level.lanes, row, func(j int, words VecVirtual) {
				p.widen(words, scale, func(e int, y VecVirtual) {
					x := Mem{Base: p.x, Disp: 4 * ((width*piece+j)*p.word + e)}
					if wide() {
						VFMADD231PS_BCST(x, y, s)
						return
					}
					all := vector()
					VBROADCASTSS(x, all)
					VFMADD231PS(y, all, s)
				})
			})
		}
	}
	for _, r := range p.first[:n] {
		ADDQ(U8(4*width*pieces), r)
	}
	ADDQ(U32(4*width*pieces*p.word), p.x)
}

// begin sets the sums of neighbouring rows to what c holds, or to 0 without add.
func begin(sum []VecVirtual) {
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
}
