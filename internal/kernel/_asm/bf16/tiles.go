package main

// gemmTiles computes blocks · 32 rows of 32 columns of C. The sums are tiles 0 … 3, in
// the order of a matrix of 2×2; tiles 4 and 5 hold rows 0 … 15 and 16 … 31 of A, 6 and 7
// columns 0 … 15 and 16 … 31 of B, 16 pairs of k at a time.
//
// The state of the tiles is set up and released in every call, so that nothing of it
// is left to a goroutine.
func (f *file) gemmTiles() {
	f.function("gemmTilesAMX", "(c *float32, cr int, a *uint16, ar int, b *uint32, blocks, steps int, add bool)", 57)
	f.op("LEAQ tiles<>(SB), AX")
	f.encoded(loadConfig("rax"))
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ cr+8(FP), DX")
	f.op("SHLQ $2, DX") // between rows of C
	f.op("MOVQ a+16(FP), SI")
	f.op("MOVQ ar+24(FP), CX")
	f.op("SHLQ $1, CX")   // between rows of A
	f.op("MOVL $128, AX") // between pairs of B
	f.op("MOVQ blocks+40(FP), R10")

	f.line("block:")
	f.op("TESTQ R10, R10")
	f.op("JEQ end")
	f.op("CMPB add+56(FP), $0")
	f.op("JEQ clear")
	f.eachSum(tileLoad)
	f.op("JMP products")
	f.line("clear:")
	for t := range 4 {
		f.encoded(tileZero(t))
	}

	f.line("products:")
	f.op("MOVQ SI, R8")
	f.op("MOVQ CX, R9")
	f.op("SHLQ $4, R9")
	f.op("ADDQ SI, R9") // row 16
	f.op("MOVQ b+32(FP), R11")
	f.op("MOVQ steps+48(FP), R12")
	f.line("step:")
	f.op("MOVQ R8, BX")
	f.encoded(tileLoad(4, "rbx", "rcx"))
	f.op("MOVQ R11, BX")
	f.encoded(tileLoad(6, "rbx", "rax"))
	f.op("ADDQ $64, BX")
	f.encoded(tileLoad(7, "rbx", "rax"))
	f.op("MOVQ R9, BX")
	f.encoded(tileLoad(5, "rbx", "rcx"))
	f.encoded(tileDot(0, 4, 6))
	f.encoded(tileDot(1, 4, 7))
	f.encoded(tileDot(2, 5, 6))
	f.encoded(tileDot(3, 5, 7))
	f.op("ADDQ $64, R8")
	f.op("ADDQ $64, R9")
	f.op("ADDQ $2048, R11")
	f.op("DECQ R12")
	f.op("JNE step")

	f.eachSum(tileStore)
	f.op("MOVQ DX, BX")
	f.op("SHLQ $5, BX")
	f.op("ADDQ BX, DI")
	f.op("MOVQ CX, BX")
	f.op("SHLQ $5, BX")
	f.op("ADDQ BX, SI")
	f.op("DECQ R10")
	f.op("JMP block")
	f.line("end:")
	f.encoded(tileRelease())
	f.op("RET")
}

// eachSum loads or stores the four tiles of C at DI.
func (f *file) eachSum(move func(tile int, base, stride string) instruction) {
	f.op("MOVQ DI, BX")
	for row := range 2 {
		f.encoded(move(2*row, "rbx", "rdx"))
		f.op("ADDQ $64, BX")
		f.encoded(move(2*row+1, "rbx", "rdx"))
		if row == 0 {
			f.op("MOVQ DX, BX")
			f.op("SHLQ $4, BX")
			f.op("ADDQ DI, BX") // row 16
		}
	}
}

// tileConfig is the operand of LDTILECFG: palette 1, and 16 rows of 64 bytes for each of
// the eight tiles.
func (f *file) tileConfig() {
	var config [64]byte
	config[0] = 1
	for t := range 8 {
		config[16+2*t] = 64
		config[48+t] = 16
	}
	f.line("")
	for i := 0; i < len(config); i += 8 {
		word := uint64(0)
		for j, b := range config[i : i+8] {
			word |= uint64(b) << (8 * j)
		}
		f.line("DATA tiles<>+%d(SB)/8, $0x%016x", i, word)
	}
	f.line("GLOBL tiles<>(SB), RODATA|NOPTR, $%d", len(config))
}
