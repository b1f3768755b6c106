package main

import "fmt"

// maxRows × 32 is the block of C that stays in registers.
const maxRows = 14

// gemmPairs goes down the rows of C in blocks of 14; those below 28 are split evenly.
func (f *file) gemmPairs() {
	f.function("gemmPairsAVX512", "(c *float32, cr int, a *uint16, ar int, b *uint32, m, n, pairs int, add bool)", 65)
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ cr+8(FP), R8")
	f.op("SHLQ $2, R8")
	f.op("MOVQ a+16(FP), SI")
	f.op("MOVQ ar+24(FP), R9")
	f.op("SHLQ $1, R9")
	f.op("MOVQ m+40(FP), R10")
	// Masks for the n columns.
	f.op("MOVQ n+48(FP), AX")
	f.op("MOVL $-1, CX")
	f.op("BZHIL AX, CX, CX")
	f.op("KMOVW CX, K1")
	f.op("SHRL $16, CX")
	f.op("KMOVW CX, K2")
	f.line("next:")
	f.op("CMPQ R10, $%d", 2*maxRows)
	f.op("JGE rows%d", maxRows)
	f.op("MOVQ R10, AX")
	f.op("CMPQ AX, $%d", maxRows)
	f.op("JLE last")
	f.op("INCQ AX")
	f.op("SHRQ $1, AX")
	f.line("last:")
	for r := maxRows; r > 0; r-- {
		f.op("CMPQ AX, $%d", r)
		f.op("JEQ rows%d", r)
	}
	f.op("VZEROUPPER")
	f.op("RET")
	for r := maxRows; r > 0; r-- {
		f.pairBlock(r)
	}
}

// bases holds the addresses of every third row of A.
var bases = []string{"AX", "DX", "R11", "R12", "R13"}

// pairBlock computes rows rows of C: sums of row i are in Z(2i) and Z(2i+1).
func (f *file) pairBlock(rows int) {
	f.line("rows%d:", rows)
	clear, products, loop := f.label("clear"), f.label("products"), f.label("loop")
	f.op("CMPB add+64(FP), $0")
	f.op("JEQ %s", clear)
	f.eachRow(rows, func(i int) {
		f.op("VMOVUPS.Z (CX), K1, Z%d", 2*i)
		f.op("VMOVUPS.Z 64(CX), K2, Z%d", 2*i+1)
	})
	f.op("JMP %s", products)
	f.line("%s:", clear)
	for i := range 2 * rows {
		f.op("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	f.line("%s:", products)
	f.op("MOVQ SI, AX")
	f.op("LEAQ (R9)(R9*2), CX")
	for i := 3; i < rows; i += 3 {
		f.op("LEAQ (%s)(CX*1), %s", bases[i/3-1], bases[i/3])
	}
	f.op("MOVQ b+32(FP), BX")
	f.op("MOVQ pairs+56(FP), CX")
	const unroll = 4
	f.line("%s:", loop)
	for u := range unroll {
		f.op("VMOVUPS %d(BX), Z28", 128*u)
		f.op("VMOVUPS %d(BX), Z29", 128*u+64)
		for i := range rows {
			x := 30 + i%2
			f.op("VPBROADCASTD %s, Z%d", rowOf(i, 4*u), x)
			f.encoded(dotPairs(2*i, x, 28))
			f.encoded(dotPairs(2*i+1, x, 29))
		}
	}
	for i := 0; i < rows; i += 3 {
		f.op("ADDQ $%d, %s", 4*unroll, bases[i/3])
	}
	f.op("ADDQ $%d, BX", 128*unroll)
	f.op("SUBQ $%d, CX", unroll)
	f.op("JNE %s", loop)
	f.eachRow(rows, func(i int) {
		f.op("VMOVUPS Z%d, K1, (CX)", 2*i)
		f.op("VMOVUPS Z%d, K2, 64(CX)", 2*i+1)
	})
	f.op("MOVQ CX, DI")
	f.op("IMUL3Q $%d, R9, AX", rows)
	f.op("ADDQ AX, SI")
	f.op("SUBQ $%d, R10", rows)
	f.op("JMP next")
}

// eachRow lets CX point at the rows of C in turn, and in the end behind them.
func (f *file) eachRow(rows int, use func(i int)) {
	f.op("MOVQ DI, CX")
	for i := range rows {
		use(i)
		f.op("ADDQ R8, CX")
	}
}

// rowOf addresses a row of A, in strides of R9 from its base.
func rowOf(i, disp int) string {
	address := fmt.Sprintf("%d(%s)", disp, bases[i/3])
	if i%3 > 0 {
		address += fmt.Sprintf("(R9*%d)", i%3)
	}
	return address
}

// roundPairs rounds n float32 numbers to bf16 and writes zeros behind them up to a
// multiple of 32.
func (f *file) roundPairs() {
	f.function("roundPairsAVX512", "(dst *uint16, src *float32, n int)", 24)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	f.op("MOVQ n+16(FP), CX")
	f.line("loop:")
	f.op("CMPQ CX, $32")
	f.op("JLT tail")
	f.op("VMOVUPS (SI), Z0")
	f.op("VMOVUPS 64(SI), Z1")
	f.encoded(roundTwo(2, 1, 0))
	f.op("VMOVUPS Z2, (DI)")
	f.op("ADDQ $128, SI")
	f.op("ADDQ $64, DI")
	f.op("SUBQ $32, CX")
	f.op("JMP loop")
	f.line("tail:")
	f.op("TESTQ CX, CX")
	f.op("JEQ end")
	f.op("MOVL $-1, AX")
	f.op("BZHIL CX, AX, AX")
	f.op("KMOVW AX, K1")
	f.op("SHRL $16, AX")
	f.op("KMOVW AX, K2")
	f.op("VMOVUPS.Z (SI), K1, Z0")
	f.op("VMOVUPS.Z 64(SI), K2, Z1")
	f.encoded(roundTwo(2, 1, 0))
	f.op("VMOVUPS Z2, (DI)")
	f.line("end:")
	f.op("VZEROUPPER")
	f.op("RET")
}

// interleave makes a panel of pairs of rows: the two numbers of column j of rows 2p
// and 2p+1 become dst[32p + j], for n <= 32 columns; the others are 0.
func (f *file) interleave() {
	f.function("interleaveAVX512", "(dst *uint32, src *uint16, stride, n, pairs int)", 40)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	f.op("MOVQ stride+16(FP), R8")
	f.op("SHLQ $1, R8")
	f.op("MOVQ n+24(FP), AX")
	f.op("MOVL $-1, CX")
	f.op("BZHIL AX, CX, CX")
	f.op("KMOVW CX, K1")
	f.op("SHRL $16, CX")
	f.op("KMOVW CX, K2")
	f.op("MOVQ pairs+32(FP), CX")
	f.line("loop:")
	f.op("TESTQ CX, CX")
	f.op("JEQ end")
	for half, mask := range []string{"K1", "K2"} {
		f.op("VPMOVZXWD.Z %d(SI), %s, Z0", 32*half, mask)
		f.op("VPMOVZXWD.Z %d(SI)(R8*1), %s, Z1", 32*half, mask)
		f.op("VPSLLD $16, Z1, Z1")
		f.op("VPORD Z1, Z0, Z0")
		f.op("VMOVUPS Z0, %d(DI)", 64*half)
	}
	f.op("ADDQ $128, DI")
	f.op("LEAQ (SI)(R8*2), SI")
	f.op("DECQ CX")
	f.op("JMP loop")
	f.line("end:")
	f.op("VZEROUPPER")
	f.op("RET")
}
