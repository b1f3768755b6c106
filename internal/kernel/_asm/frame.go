package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// function emits a function of the AVX2 level. It runs in the mode that setMode
// has set.
func function(name, signature string, body func()) {
	TEXT(name+"AVX2", NOSPLIT, "func"+signature)
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

// all returns a constant, eight times over, as a memory operand.
func all(name string, v float32) Mem { return allWords(name, math.Float32bits(v)) }

func allWords(name string, v uint32) Mem {
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
	y := YMM()
	VBROADCASTSS(memory(Param(name)), y)
	return y
}

func zero() VecVirtual {
	y := YMM()
	VXORPS(y, y, y)
	return y
}

// A span is eight of the elements that a turn of a loop works on.
type span struct {
	half   int // 0 for lanes 0 … 7 of 16, 1 for lanes 8 … 15
	offset Register
	mask   VecVirtual // nil: all eight
}

func (s span) place(base Register) Mem {
	return Mem{Base: base, Index: s.offset, Scale: 1, Disp: 32 * s.half}
}

// load returns eight elements; those outside the mask are 0.
func (s span) load(base Register) VecVirtual {
	y := YMM()
	if s.mask == nil {
		VMOVUPS(s.place(base), y)
	} else {
		VMASKMOVPS(s.place(base), s.mask, y)
	}
	return y
}

func (s span) store(y VecVirtual, base Register) {
	if s.mask == nil {
		VMOVUPS(y, s.place(base))
	} else {
		VMASKMOVPS(y, s.mask, s.place(base))
	}
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
	for half := range 2 {
		body(span{half: half, offset: offset})
	}
	ADDQ(U8(64), offset)
	SUBQ(U8(16), n)
	JMP(LabelRef(loop))
	Label(tail)
	TESTQ(n, n)
	JEQ(LabelRef(done))
	table := GP64()
	LEAQ(masks().Offset(64), table)
	SHLQ(U8(2), n)
	SUBQ(n, table)
	for half := range 2 {
		mask := YMM()
		VMOVUPS(Mem{Base: table, Disp: 32 * half}, mask)
		body(span{half: half, offset: offset, mask: mask})
	}
	Label(done)
}

// length loads the length of a slice into a new register.
func length(slice string) Register { return Load(Param(slice).Len(), GP64()) }
