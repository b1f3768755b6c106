package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A target is a level to generate for: the suffix of its functions and the number of
// float32 lanes of its registers.
type target struct {
	suffix string
	lanes  int
}

var (
	avx2   = target{"AVX2", 8}
	avx512 = target{"AVX512", 16} // with the extensions BW, DQ and VL

	level target
)

// wide reports whether a register holds all of the 16 virtual lanes.
func wide() bool { return level == avx512 }

// vector returns a new register of the level.
func vector() VecVirtual { return vectorOf(level.lanes) }

func vectorOf(lanes int) VecVirtual {
	if lanes == 16 {
		return ZMM()
	}
	return YMM()
}

// halves is the number of registers that hold 16 lanes.
func halves() int { return 16 / level.lanes }

// function emits a function of the level. It runs in the mode that setMode has set.
func function(name, signature string, body func()) {
	TEXT(name+level.suffix, NOSPLIT, "func"+signature)
	Pragma("noescape")
	body()
	VZEROUPPER()
	RET()
}

var globals = map[string]Mem{}

// words returns a read-only table of 32-bit words, made at its first use.
func words(name string, values ...uint32) Mem {
	if m, ok := globals[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i, v := range values {
		DATA(4*i, U32(v))
	}
	globals[name] = m
	return m
}

// all returns a constant for all lanes: in memory, or where registers are many in one
// of them, which is loaded here. So constants belong before a loop.
func all(name string, v float32) Op { return allWords(name, math.Float32bits(v)) }

func allWords(name string, v uint32) Op {
	if wide() {
		z := vector()
		VBROADCASTSS(words(name, v), z)
		return z
	}
	return words(name, v, v, v, v, v, v, v, v)
}

// masks returns a table from which (16 − n)·4 bytes on lie masks for n of 16 lanes.
func masks() Mem {
	var m [32]uint32
	for i := range 16 {
		m[i] = 0xffffffff
	}
	return words("masks", m[:]...)
}

var labels int

func label(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

// when emits yes where the boolean parameter is true and no elsewhere.
func when(flag string, yes, no func()) {
	otherwise, end := label("not"), label("end")
	CMPB(memory(Param(flag)), U8(0))
	JEQ(LabelRef(otherwise))
	yes()
	JMP(LabelRef(end))
	Label(otherwise)
	no()
	Label(end)
}

// memory is the place of a parameter in the frame.
func memory(p gotypes.Component) Mem {
	b, err := p.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// base loads the pointers of slices.
func base(slices ...string) []Register {
	var r []Register
	for _, s := range slices {
		r = append(r, Load(Param(s).Base(), GP64()))
	}
	return r
}

// scalar loads a float32 parameter into all lanes.
func scalar(name string) VecVirtual {
	y := vector()
	VBROADCASTSS(memory(Param(name)), y)
	return y
}

func zero() VecVirtual {
	y := vector()
	VXORPS(y, y, y)
	return y
}

// zeros returns zero registers for 16 lanes.
func zeros() (lanes []VecVirtual) {
	for range halves() {
		lanes = append(lanes, zero())
	}
	return lanes
}

// A span is the elements of one register that a turn of a loop works on.
type span struct {
	half   int // 0 from lane 0 of 16 on, 1 from lane 8 on
	offset Register
	mask   Register // nil: all of them; else a vector or a mask register
}

func (s span) place(base Register) Mem {
	return Mem{Base: base, Index: s.offset, Scale: 1, Disp: 32 * s.half}
}

// load returns the elements; those outside the mask are 0.
func (s span) load(base Register) VecVirtual {
	y := vector()
	loadMasked(s.place(base), s.mask, y)
	return y
}

func (s span) store(y VecVirtual, base Register) { storeMasked(y, s.mask, s.place(base)) }

// keep makes the lanes of y outside the mask 0, or other if that is given.
func (s span) keep(y VecVirtual, other Op) {
	switch {
	case s.mask == nil:
	case wide() && other == nil:
		VMOVAPS_Z(y, s.mask, y)
	case wide():
		VBLENDMPS(y, other, s.mask, y)
	case other == nil:
		VANDPS(s.mask, y, y)
	default:
		none := vector()
		VMOVUPS(other, none)
		VBLENDVPS(s.mask, y, none, y)
	}
}

func loadMasked(x Mem, mask Register, y VecVirtual) {
	switch {
	case mask == nil:
		VMOVUPS(x, y)
	case wide():
		VMOVUPS_Z(x, mask, y)
	default:
		VMASKMOVPS(x, mask, y)
	}
}

func storeMasked(y VecVirtual, mask Register, x Mem) {
	switch {
	case mask == nil:
		VMOVUPS(y, x)
	case wide():
		VMOVUPS(y, mask, x)
	default:
		VMASKMOVPS(y, mask, x)
	}
}

// firstOf returns masks for the first n lanes of some registers.
func firstOf(n Register, registers int) (mask []Register) {
	if wide() {
		bits := GP32()
		MOVL(U32(math.MaxUint32), bits)
		BZHIL(n.(GPVirtual).As32(), bits, bits)
		for i := range registers {
			if i > 0 {
				SHRL(U8(16), bits)
			}
			k := K()
			KMOVW(bits, k)
			mask = append(mask, k)
		}
		return mask
	}
	table, bytes := GP64(), GP64()
	LEAQ(masks().Offset(64), table)
	MOVQ(n, bytes)
	SHLQ(U8(2), bytes)
	SUBQ(bytes, table)
	for i := range registers {
		y := vector()
		VMOVUPS(Mem{Base: table, Disp: 32 * i}, y)
		mask = append(mask, y)
	}
	return mask
}

// put stores y, or the old element + y.
func (s span) put(y VecVirtual, base Register, add bool) {
	if add {
		VADDPS(s.load(base), y, y)
	}
	s.store(y, base)
}

// each emits a loop over n elements (n is destroyed), 16 at a time and the rest
// under masks.
func each(n Register, body func(s span)) {
	loop, tail, done := label("loop"), label("tail"), label("done")
	offset := GP64()
	XORQ(offset, offset)
	Label(loop)
	CMPQ(n, U8(16))
	JLT(LabelRef(tail))
	for half := range halves() {
		body(span{half: half, offset: offset})
	}
	ADDQ(U8(64), offset)
	SUBQ(U8(16), n)
	JMP(LabelRef(loop))
	Label(tail)
	TESTQ(n, n)
	JEQ(LabelRef(done))
	for half, mask := range firstOf(n, halves()) {
		body(span{half: half, offset: offset, mask: mask})
	}
	Label(done)
}

// length loads the length of a slice into a new register.
func length(slice string) Register { return Load(Param(slice).Len(), GP64()) }
