//go:build !purego

#include "textflag.h"

// The NEON level. What each function computes is said by the pure-Go functions
// of generic.go; what belongs to a whole vector only, table_arm64.go does around
// them. Loops are in the order of the AVX2 level: one fused multiply-add where it has
// one, and 16 lanes in four registers where it has them in two.
//
// R18 and R26 up are the system's and the assembler's.

// Instructions that the assembler lacks, written out: Vd = Vn op Vm with numbers of
// registers, in the assembler's order of operands, on four lanes of float32 unless
// the name says otherwise.
#define FADD(m, n, d)   WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))
#define FSUB(m, n, d)   WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d))
#define FMUL(m, n, d)   WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FDIV(m, n, d)   WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d))
#define FMLA(m, n, d)   WORD $(0x4E20CC00 | (m)<<16 | (n)<<5 | (d)) // d += n·m, fused
#define FMLS(m, n, d)   WORD $(0x4EA0CC00 | (m)<<16 | (n)<<5 | (d)) // d −= n·m, fused
#define FMAXNM(m, n, d) WORD $(0x4E20C400 | (m)<<16 | (n)<<5 | (d)) // the number, if the other is NaN
#define FCMGT(m, n, d)  WORD $(0x6EA0E400 | (m)<<16 | (n)<<5 | (d)) // a mask, n > m
#define MULI(m, n, d)   WORD $(0x4EA09C00 | (m)<<16 | (n)<<5 | (d)) // of integers
#define CMGTI(m, n, d)  WORD $(0x4EA03400 | (m)<<16 | (n)<<5 | (d)) // of signed integers
#define BIC(m, n, d)    WORD $(0x4E601C00 | (m)<<16 | (n)<<5 | (d)) // n &^ m
#define FSQRT(n, d)     WORD $(0x6EA1F800 | (n)<<5 | (d))
#define FNEG(n, d)      WORD $(0x6EA0F800 | (n)<<5 | (d))
#define FRINTN(n, d)    WORD $(0x4E218800 | (n)<<5 | (d)) // to nearest even
#define FCVTNS(n, d)    WORD $(0x4E21A800 | (n)<<5 | (d)) // to integers, nearest even
#define FCVTL(n, d)     WORD $(0x0E617800 | (n)<<5 | (d)) // the lower two to float64
#define FCVTL2(n, d)    WORD $(0x4E617800 | (n)<<5 | (d)) // the upper two

// FMLAE multiplies by element i of Vm: d += n·m[i].
#define FMLAE(m, i, n, d) WORD $(0x4F801000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d))

// The matrix kernel keeps six rows of 16 columns of C in V8 … V31, and of eight in
// half of these. R11 … R16 point into the rows of A.
#define EACH1(f) f(R11, V4, V8, V9, V10, V11)
#define EACH2(f) EACH1(f); f(R12, V5, V12, V13, V14, V15)
#define EACH4(f) EACH2(f); f(R13, V6, V16, V17, V18, V19); f(R14, V7, V20, V21, V22, V23)
#define EACH6(f) EACH4(f); f(R15, V4, V24, V25, V26, V27); f(R16, V5, V28, V29, V30, V31)

#define POINT(p, x, s0, s1, s2, s3) MOVD R2, p; ADD R3, R2

#define CLEAR(p, x, s0, s1, s2, s3) \
	VEOR s0.B16, s0.B16, s0.B16; \
	VEOR s1.B16, s1.B16, s1.B16; \
	VEOR s2.B16, s2.B16, s2.B16; \
	VEOR s3.B16, s3.B16, s3.B16

#define LOAD16(p, x, s0, s1, s2, s3)  VLD1.P (R20)(R1), [s0.S4, s1.S4, s2.S4, s3.S4]
#define STORE16(p, x, s0, s1, s2, s3) VST1.P [s0.S4, s1.S4, s2.S4, s3.S4], (R20)(R1)
#define ROW16                         VLD1.P (R17)(R7), [V0.S4, V1.S4, V2.S4, V3.S4]

#define MUL16(p, x, s0, s1, s2, s3) \
	VLD1R.P (p)(R4), [x.S4]; \
	VFMLA   V0.S4, x.S4, s0.S4; \
	VFMLA   V1.S4, x.S4, s1.S4; \
	VFMLA   V2.S4, x.S4, s2.S4; \
	VFMLA   V3.S4, x.S4, s3.S4

#define LOAD8(p, x, s0, s1, s2, s3)  VLD1.P (R20)(R1), [s0.S4, s1.S4]
#define STORE8(p, x, s0, s1, s2, s3) VST1.P [s0.S4, s1.S4], (R20)(R1)
#define ROW8                         VLD1.P (R17)(R7), [V0.S4, V1.S4]

#define MUL8(p, x, s0, s1, s2, s3) \
	VLD1R.P (p)(R4), [x.S4]; \
	VFMLA   V0.S4, x.S4, s0.S4; \
	VFMLA   V1.S4, x.S4, s1.S4

// BLOCK computes n rows of C and moves on to the next ones.
#define BLOCK(n, each, load, row, mul, store, clear, begin, loop, end) \
	each(POINT); \
	MOVD R0, R20; \
	CBZ  R10, clear; \
	each(load); \
	B    begin; \
clear: \
	each(CLEAR); \
begin: \
	MOVD R6, R17; \
	MOVD R9, R19; \
	CBZ  R19, end; \
loop: \
	row; \
	each(mul); \
	SUBS $1, R19; \
	BNE  loop; \
end: \
	MOVD R0, R20; \
	each(store); \
	MOVD R20, R0; \
	SUB  $n, R8; \
	B    next

#define GEMM(load, row, mul, store) \
	MOVD  c+0(FP), R0; \
	MOVD  cr+8(FP), R1; \
	LSL   $2, R1; \
	MOVD  a+16(FP), R2; \
	MOVD  ar+24(FP), R3; \
	LSL   $2, R3; \
	MOVD  ac+32(FP), R4; \
	LSL   $2, R4; \
	MOVD  b+40(FP), R6; \
	MOVD  br+48(FP), R7; \
	LSL   $2, R7; \
	MOVD  m+56(FP), R8; \
	MOVD  k+64(FP), R9; \
	MOVBU add+72(FP), R10; \
next: \
	CMP   $6, R8; \
	BGE   rows6; \
	CMP   $4, R8; \
	BGE   rows4; \
	CMP   $2, R8; \
	BGE   rows2; \
	CMP   $1, R8; \
	BEQ   rows1; \
	RET; \
rows6: \
	BLOCK(6, EACH6, load, row, mul, store, clear6, begin6, loop6, end6); \
rows4: \
	BLOCK(4, EACH4, load, row, mul, store, clear4, begin4, loop4, end4); \
rows2: \
	BLOCK(2, EACH2, load, row, mul, store, clear2, begin2, loop2, end2); \
rows1: \
	BLOCK(1, EACH1, load, row, mul, store, clear1, begin1, loop1, end1)

// func gemm16(c *float32, cr int, a *float32, ar, ac int, b *float32, br, m, k int, add bool)
TEXT ·gemm16(SB), NOSPLIT, $0-73
	GEMM(LOAD16, ROW16, MUL16, STORE16)

// func gemm8(c *float32, cr int, a *float32, ar, ac int, b *float32, br, m, k int, add bool)
TEXT ·gemm8(SB), NOSPLIT, $0-73
	GEMM(LOAD8, ROW8, MUL8, STORE8)

// TRANSPOSE writes the columns of V0 … V3 to V20 … V23.
#define TRANSPOSE \
	VTRN1 V1.S4, V0.S4, V16.S4; \
	VTRN2 V1.S4, V0.S4, V17.S4; \
	VTRN1 V3.S4, V2.S4, V18.S4; \
	VTRN2 V3.S4, V2.S4, V19.S4; \
	VTRN1 V18.D2, V16.D2, V20.D2; \
	VTRN1 V19.D2, V17.D2, V21.D2; \
	VTRN2 V18.D2, V16.D2, V22.D2; \
	VTRN2 V19.D2, V17.D2, V23.D2

#define ROWS4(p, stride) \
	VLD1.P (p)(stride), [V0.S4]; \
	VLD1.P (p)(stride), [V1.S4]; \
	VLD1.P (p)(stride), [V2.S4]; \
	VLD1.P (p)(stride), [V3.S4]

// FOUR adds the products of four rows of B with four elements of x, in V4.
#define FOUR(sum) \
	ROWS4(R10, R3); \
	TRANSPOSE; \
	FMLAE(4, 0, 20, sum); \
	FMLAE(4, 1, 21, sum); \
	FMLAE(4, 2, 22, sum); \
	FMLAE(4, 3, 23, sum)

// func gemvNEON(c, x, b []float32, br, n, k int, add bool)
TEXT ·gemvNEON(SB), NOSPLIT, $0-97
	MOVD  c_base+0(FP), R0
	MOVD  x_base+24(FP), R1
	MOVD  b_base+48(FP), R2
	MOVD  br+72(FP), R3
	LSL   $2, R3
	MOVD  n+80(FP), R4
	MOVD  k+88(FP), R5
	MOVBU add+96(FP), R6

columns:
	SUBS $16, R4
	BLT  done
	VEOR V8.B16, V8.B16, V8.B16
	VEOR V9.B16, V9.B16, V9.B16
	VEOR V10.B16, V10.B16, V10.B16
	VEOR V11.B16, V11.B16, V11.B16
	CBZ  R6, begin
	VLD1 (R0), [V8.S4, V9.S4, V10.S4, V11.S4]

begin:
	MOVD R2, R7
	MOVD R1, R8
	MOVD R5, R9

square:
	VLD1.P 16(R8), [V4.S4]
	MOVD   R7, R10
	FOUR(8)
	FOUR(9)
	FOUR(10)
	FOUR(11)
	ADD    $16, R7
	SUBS   $4, R9
	BNE    square
	VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], 64(R0)
	ADD    R3<<4, R2
	B      columns

done:
	RET

// pack16 copies k rows of 16 elements, br elements apart.
// func pack16(dst, b *float32, br, k int)
TEXT ·pack16(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD b+8(FP), R1
	MOVD br+16(FP), R2
	LSL  $2, R2
	MOVD k+24(FP), R3

row:
	CBZ    R3, done
	VLD1.P (R1)(R2), [V0.S4, V1.S4, V2.S4, V3.S4]
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	SUB    $1, R3
	B      row

done:
	RET

// transpose4 writes the transpose of four rows of cols elements, a multiple of 4.
// func transpose4(dst []float32, dr int, src []float32, sr, cols int)
TEXT ·transpose4(SB), NOSPLIT, $0-72
	MOVD dst_base+0(FP), R0
	MOVD dr+24(FP), R1
	LSL  $2, R1
	MOVD src_base+32(FP), R2
	MOVD sr+56(FP), R3
	LSL  $2, R3
	MOVD cols+64(FP), R4

block:
	SUBS   $4, R4
	BLT    done
	MOVD   R2, R5
	ROWS4(R5, R3)
	TRANSPOSE
	VST1.P [V20.S4], (R0)(R1)
	VST1.P [V21.S4], (R0)(R1)
	VST1.P [V22.S4], (R0)(R1)
	VST1.P [V23.S4], (R0)(R1)
	ADD    $16, R2
	B      block

done:
	RET

// func prefetchNEON(x []float32, stride, n, d int)
TEXT ·prefetchNEON(SB), NOSPLIT, $0-48
	MOVD x_base+0(FP), R0
	MOVD stride+24(FP), R1
	LSL  $2, R1
	MOVD n+32(FP), R2
	MOVD d+40(FP), R3
	LSL  $2, R3

row:
	CBZ  R2, done
	MOVD R0, R4
	ADD  R0, R3, R5

line:
	PRFM (R4), PLDL2KEEP
	ADD  $64, R4
	CMP  R5, R4
	BLT  line
	ADD  R1, R0
	SUB  $1, R2
	B    row

done:
	RET

// From here on a function works on slices whose length is a multiple of 16.

#define LOADS(p, a, b, c, d)  VLD1.P 64(p), [a.S4, b.S4, c.S4, d.S4]
#define STORES(p, a, b, c, d) VST1.P [a.S4, b.S4, c.S4, d.S4], 64(p)

// ALL applies an operation of three numbers to four registers each.
#define ALL(f, m, n, d) \
	f(m, n, d); \
	f((m)+1, (n)+1, (d)+1); \
	f((m)+2, (n)+2, (d)+2); \
	f((m)+3, (n)+3, (d)+3)

// BY is ALL with one register for Vm.
#define BY(f, m, n, d) \
	f(m, n, d); \
	f(m, (n)+1, (d)+1); \
	f(m, (n)+2, (d)+2); \
	f(m, (n)+3, (d)+3)

// func add16(dst, a, b []float32)
TEXT ·add16(SB), NOSPLIT, $0-72
	MOVD dst_base+0(FP), R0
	MOVD dst_len+8(FP), R9
	MOVD a_base+24(FP), R1
	MOVD b_base+48(FP), R2

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	LOADS(R2, V4, V5, V6, V7)
	ALL(FADD, 4, 0, 0)
	STORES(R0, V0, V1, V2, V3)
	B    loop

done:
	RET

// func scale16(dst, x []float32, s float32, add bool)
TEXT ·scale16(SB), NOSPLIT, $0-53
	MOVD  dst_base+0(FP), R0
	MOVD  dst_len+8(FP), R9
	MOVD  x_base+24(FP), R1
	MOVWU s+48(FP), R2
	VDUP  R2, V16.S4
	MOVBU add+52(FP), R3

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	BY(FMUL, 16, 0, 0)
	CBZ  R3, store
	VLD1 (R0), [V4.S4, V5.S4, V6.S4, V7.S4]
	ALL(FADD, 4, 0, 0)

store:
	STORES(R0, V0, V1, V2, V3)
	B    loop

done:
	RET

// The reductions add to 16 lanes in memory.

// func dot16(lanes *[16]float32, x, y []float32)
TEXT ·dot16(SB), NOSPLIT, $0-56
	MOVD lanes+0(FP), R0
	MOVD x_base+8(FP), R1
	MOVD x_len+16(FP), R9
	MOVD y_base+32(FP), R2
	VLD1 (R0), [V16.S4, V17.S4, V18.S4, V19.S4]

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	LOADS(R2, V4, V5, V6, V7)
	ALL(FMLA, 0, 4, 16)
	B    loop

done:
	VST1 [V16.S4, V17.S4, V18.S4, V19.S4], (R0)
	RET

// func dots16(lanes *[16]float32, x, y, z []float32)
TEXT ·dots16(SB), NOSPLIT, $0-80
	MOVD lanes+0(FP), R0
	MOVD x_base+8(FP), R1
	MOVD x_len+16(FP), R9
	MOVD y_base+32(FP), R2
	MOVD z_base+56(FP), R3
	VLD1 (R0), [V16.S4, V17.S4, V18.S4, V19.S4]

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	LOADS(R2, V4, V5, V6, V7)
	ALL(FMUL, 4, 0, 0)
	LOADS(R3, V4, V5, V6, V7)
	ALL(FMLA, 4, 0, 16)
	B    loop

done:
	VST1 [V16.S4, V17.S4, V18.S4, V19.S4], (R0)
	RET

// SQUARE adds the squares of four elements to two pairs of lanes of float64.
#define SQUARE(x, low, high) \
	FCVTL(x, 4); \
	FCVTL2(x, 5); \
	VFMLA V4.D2, V4.D2, low.D2; \
	VFMLA V5.D2, V5.D2, high.D2

// func sumSquares16(lanes *[16]float64, x []float32)
TEXT ·sumSquares16(SB), NOSPLIT, $0-32
	MOVD   lanes+0(FP), R0
	MOVD   x_base+8(FP), R1
	MOVD   x_len+16(FP), R9
	MOVD   R0, R2
	VLD1.P 64(R2), [V16.D2, V17.D2, V18.D2, V19.D2]
	VLD1   (R2), [V20.D2, V21.D2, V22.D2, V23.D2]

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	SQUARE(0, V16, V17)
	SQUARE(1, V18, V19)
	SQUARE(2, V20, V21)
	SQUARE(3, V22, V23)
	B    loop

done:
	VST1.P [V16.D2, V17.D2, V18.D2, V19.D2], 64(R0)
	VST1   [V20.D2, V21.D2, V22.D2, V23.D2], (R0)
	RET

// func normalize16(y, x, w []float32, inv float32)
TEXT ·normalize16(SB), NOSPLIT, $0-76
	MOVD  y_base+0(FP), R0
	MOVD  y_len+8(FP), R9
	MOVD  x_base+24(FP), R1
	MOVD  w_base+48(FP), R2
	MOVWU inv+72(FP), R3
	VDUP  R3, V16.S4

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	LOADS(R2, V4, V5, V6, V7)
	BY(FMUL, 16, 0, 0)
	ALL(FMUL, 4, 0, 0)
	STORES(R0, V0, V1, V2, V3)
	B    loop

done:
	RET

// func normBack16(dx, dy, w, x []float32, inv, c float32, add bool)
TEXT ·normBack16(SB), NOSPLIT, $0-105
	MOVD  dx_base+0(FP), R0
	MOVD  dx_len+8(FP), R9
	MOVD  dy_base+24(FP), R1
	MOVD  w_base+48(FP), R2
	MOVD  x_base+72(FP), R3
	MOVWU inv+96(FP), R4
	VDUP  R4, V16.S4
	MOVWU c+100(FP), R4
	VDUP  R4, V17.S4
	MOVBU add+104(FP), R5

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	LOADS(R2, V4, V5, V6, V7)
	ALL(FMUL, 4, 0, 0)
	BY(FMUL, 16, 0, 0)
	LOADS(R3, V4, V5, V6, V7)
	BY(FMLS, 17, 4, 0)
	CBZ  R5, store
	VLD1 (R0), [V4.S4, V5.S4, V6.S4, V7.S4]
	ALL(FADD, 4, 0, 0)

store:
	STORES(R0, V0, V1, V2, V3)
	B    loop

done:
	RET

// func normBackW16(dw, dy, x []float32, inv float32)
TEXT ·normBackW16(SB), NOSPLIT, $0-76
	MOVD  dw_base+0(FP), R0
	MOVD  dw_len+8(FP), R9
	MOVD  dy_base+24(FP), R1
	MOVD  x_base+48(FP), R2
	MOVWU inv+72(FP), R3
	VDUP  R3, V16.S4

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R2, V0, V1, V2, V3)
	BY(FMUL, 16, 0, 0)
	LOADS(R1, V4, V5, V6, V7)
	VLD1 (R0), [V20.S4, V21.S4, V22.S4, V23.S4]
	ALL(FMLA, 0, 4, 20)
	STORES(R0, V20, V21, V22, V23)
	B    loop

done:
	RET

// rotate16 turns pairs (a, b) of one head into a·cos − b·sin and b·cos + a·sin.
// func rotate16(ya, yb, a, b, cos, sin []float32, inverse, add bool)
TEXT ·rotate16(SB), NOSPLIT, $0-146
	MOVD  ya_base+0(FP), R0
	MOVD  ya_len+8(FP), R9
	MOVD  yb_base+24(FP), R1
	MOVD  a_base+48(FP), R2
	MOVD  b_base+72(FP), R3
	MOVD  cos_base+96(FP), R4
	MOVD  sin_base+120(FP), R5
	MOVBU inverse+144(FP), R6
	LSL   $31, R6
	VDUP  R6, V16.S4 // the sign to change
	MOVBU add+145(FP), R7

loop:
	SUBS   $4, R9
	BLT    done
	VLD1.P 16(R2), [V0.S4]
	VLD1.P 16(R3), [V1.S4]
	VLD1.P 16(R4), [V2.S4]
	VLD1.P 16(R5), [V3.S4]
	VEOR   V16.B16, V3.B16, V3.B16
	FMUL(3, 1, 4)
	FNEG(4, 4)
	FMLA(2, 0, 4)
	FMUL(3, 0, 5)
	FMLA(2, 1, 5)
	CBZ    R7, store
	VLD1   (R0), [V6.S4]
	VLD1   (R1), [V7.S4]
	FADD(6, 4, 4)
	FADD(7, 5, 5)

store:
	VST1.P [V4.S4], 16(R0)
	VST1.P [V5.S4], 16(R1)
	B      loop

done:
	RET

// EXPCONSTANTS loads V20 … V31 with expTable.
#define EXPCONSTANTS \
	MOVD    $·expTable(SB), R8; \
	VLD4R.P 16(R8), [V20.S4, V21.S4, V22.S4, V23.S4]; \
	VLD4R.P 16(R8), [V24.S4, V25.S4, V26.S4, V27.S4]; \
	VLD4R   (R8), [V28.S4, V29.S4, V30.S4, V31.S4]

// EXP replaces V0 by its exponential; see exp.go for the method. It uses V1 … V7
// and the constants. The power of two is added to the exponent; where that would
// leave the range, the result is 0 or infinity instead. A NaN passes.
#define EXP \
	FCMGT(0, 20, 1); /* x < expMin */ \
	FCMGT(21, 0, 2); /* x > expMax */ \
	FMUL(22, 0, 3); \
	FRINTN(3, 3); /* n */ \
	FMLS(23, 3, 0); \
	FMLS(24, 3, 0); /* r */ \
	FMUL(0, 0, 5); /* r² */ \
	VMOV V27.B16, V6.B16; \
	FMLA(28, 0, 6); \
	FMLA(29, 5, 6); /* c4 + c5·r + c6·r² */ \
	VMOV V25.B16, V7.B16; \
	FMLA(26, 0, 7); /* c2 + c3·r */ \
	FMLA(6, 5, 7); \
	FMLA(7, 5, 0); \
	FADD(30, 0, 0); \
	FCVTNS(3, 3); \
	VSHL $23, V3.S4, V3.S4; \
	VADD V3.S4, V0.S4, V0.S4; \
	BIC(1, 0, 0); \
	VBIT V2.B16, V31.B16, V0.B16

// func exp16(dst, x []float32)
TEXT ·exp16(SB), NOSPLIT, $0-48
	MOVD dst_base+0(FP), R0
	MOVD dst_len+8(FP), R9
	MOVD x_base+24(FP), R1
	EXPCONSTANTS

loop:
	SUBS   $4, R9
	BLT    done
	VLD1.P 16(R1), [V0.S4]
	EXP
	VST1.P [V0.S4], 16(R0)
	B      loop

done:
	RET

// SIGMOID makes 1 + e⁻ᵍ of a gate in V8, in V0.
#define SIGMOID \
	FNEG(8, 0); \
	EXP; \
	FADD(30, 0, 0)

// func swiglu16(y, gate, up []float32)
TEXT ·swiglu16(SB), NOSPLIT, $0-72
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R9
	MOVD gate_base+24(FP), R1
	MOVD up_base+48(FP), R2
	EXPCONSTANTS

loop:
	SUBS   $4, R9
	BLT    done
	VLD1.P 16(R1), [V8.S4]
	SIGMOID
	FDIV(0, 8, 8)
	VLD1.P 16(R2), [V9.S4]
	FMUL(9, 8, 8)
	VST1.P [V8.S4], 16(R0)
	B      loop

done:
	RET

// func swigluBack16(dgate, dup, dy, gate, up []float32, addG, addU bool)
TEXT ·swigluBack16(SB), NOSPLIT, $0-122
	MOVD  dgate_base+0(FP), R0
	MOVD  dgate_len+8(FP), R9
	MOVD  dup_base+24(FP), R1
	MOVD  dy_base+48(FP), R2
	MOVD  gate_base+72(FP), R3
	MOVD  up_base+96(FP), R4
	MOVBU addG+120(FP), R5
	MOVBU addU+121(FP), R6
	EXPCONSTANTS

loop:
	SUBS   $4, R9
	BLT    done
	VLD1.P 16(R3), [V8.S4]
	VLD1.P 16(R2), [V9.S4]
	VLD1.P 16(R4), [V10.S4]
	SIGMOID
	FDIV(0, 30, 11)  // σ
	FMUL(11, 8, 12)  // s = g·σ
	FSUB(11, 30, 13) // 1 − σ
	FMUL(12, 13, 13)
	FADD(13, 11, 13) // σ + s·(1 − σ)
	FMUL(9, 10, 10)
	FMUL(13, 10, 10)
	FMUL(9, 12, 12)
	CBZ    R5, gate
	VLD1   (R0), [V14.S4]
	FADD(14, 10, 10)

gate:
	VST1.P [V10.S4], 16(R0)
	CBZ    R6, up
	VLD1   (R1), [V14.S4]
	FADD(14, 12, 12)

up:
	VST1.P [V12.S4], 16(R1)
	B      loop

done:
	RET

// largest16 keeps the largest x·s of each of 16 lanes; NaN is passed over.
// func largest16(lanes *[16]float32, x []float32, s float32)
TEXT ·largest16(SB), NOSPLIT, $0-36
	MOVD  lanes+0(FP), R0
	MOVD  x_base+8(FP), R1
	MOVD  x_len+16(FP), R9
	MOVWU s+32(FP), R2
	VDUP  R2, V20.S4
	VLD1  (R0), [V16.S4, V17.S4, V18.S4, V19.S4]

loop:
	SUBS $16, R9
	BLT  done
	LOADS(R1, V0, V1, V2, V3)
	BY(FMUL, 20, 0, 0)
	ALL(FMAXNM, 0, 16, 16)
	B    loop

done:
	VST1 [V16.S4, V17.S4, V18.S4, V19.S4], (R0)
	RET

// SHIFTED makes exp(x·s − top) of four elements, with s in V12 and top in V13.
#define SHIFTED \
	VLD1 (R1), [V0.S4]; \
	FMUL(12, 0, 0); \
	FSUB(13, 0, 0); \
	EXP; \
	VST1.P [V0.S4], 16(R1)

// expSum16 replaces x by exp(x·s − top) and adds it to 16 lanes.
// func expSum16(lanes *[16]float32, x []float32, s, top float32)
TEXT ·expSum16(SB), NOSPLIT, $0-40
	MOVD  lanes+0(FP), R0
	MOVD  x_base+8(FP), R1
	MOVD  x_len+16(FP), R9
	MOVWU s+32(FP), R2
	VDUP  R2, V12.S4
	MOVWU top+36(FP), R2
	VDUP  R2, V13.S4
	VLD1  (R0), [V16.S4, V17.S4, V18.S4, V19.S4]
	EXPCONSTANTS

loop:
	SUBS $16, R9
	BLT  done
	SHIFTED
	FADD(0, 16, 16)
	SHIFTED
	FADD(0, 17, 17)
	SHIFTED
	FADD(0, 18, 18)
	SHIFTED
	FADD(0, 19, 19)
	B    loop

done:
	VST1 [V16.S4, V17.S4, V18.S4, V19.S4], (R0)
	RET

// softmaxBack16 works on one row.
// func softmaxBack16(x, dp []float32, s, lse, delta float32)
TEXT ·softmaxBack16(SB), NOSPLIT, $0-60
	MOVD  dp_base+24(FP), R0
	MOVD  x_base+0(FP), R1
	MOVD  x_len+8(FP), R9
	MOVWU s+48(FP), R2
	VDUP  R2, V12.S4
	MOVWU lse+52(FP), R2
	VDUP  R2, V13.S4
	MOVWU delta+56(FP), R2
	VDUP  R2, V14.S4
	EXPCONSTANTS

loop:
	SUBS   $4, R9
	BLT    done
	SHIFTED
	VLD1   (R0), [V8.S4]
	FSUB(14, 8, 8)
	FMUL(0, 8, 8)
	FMUL(12, 8, 8)
	VST1.P [V8.S4], 16(R0)
	B      loop

done:
	RET

// func adamw16(p, g, m, v []float32, c *adamwConstants)
TEXT ·adamw16(SB), NOSPLIT, $0-104
	MOVD    p_base+0(FP), R0
	MOVD    p_len+8(FP), R9
	MOVD    g_base+24(FP), R1
	MOVD    m_base+48(FP), R2
	MOVD    v_base+72(FP), R3
	MOVD    c+96(FP), R4
	VLD4R.P 16(R4), [V16.S4, V17.S4, V18.S4, V19.S4] // gscale, keep, 1 − β1, β2
	VLD4R   (R4), [V20.S4, V21.S4, V22.S4, V23.S4]   // 1 − β2, rootBias2, eps, step

loop:
	SUBS   $4, R9
	BLT    done
	VLD1.P 16(R1), [V0.S4]
	FMUL(16, 0, 0) // the scaled gradient
	VLD1   (R2), [V1.S4]
	FSUB(1, 0, 2)
	FMLA(18, 2, 1)
	VST1.P [V1.S4], 16(R2)
	VLD1   (R3), [V3.S4]
	FMUL(19, 3, 3)
	FMUL(20, 0, 2)
	FMLA(0, 2, 3)
	VST1.P [V3.S4], 16(R3)
	FSQRT(3, 3)
	FDIV(21, 3, 3)
	FADD(22, 3, 3)
	FDIV(3, 1, 1)
	VLD1   (R0), [V4.S4]
	FMUL(17, 4, 4)
	FMLS(23, 1, 4)
	VST1.P [V4.S4], 16(R0)
	B      loop

done:
	RET

// MIX shifts h in V1 to the right and exclusive-ors it with itself.
#define MIX(shift) \
	VUSHR $shift, V1.S4, V2.S4; \
	VEOR  V2.B16, V1.B16, V1.B16

#define HASH \
	MIX(16); \
	MULI(20, 1, 1); \
	MIX(15); \
	MULI(21, 1, 1); \
	MIX(16); \
	VEOR V17.B16, V1.B16, V1.B16

// dropout16 keeps index·step + k0 of four lanes in V24.
// func dropout16(y, x []float32, d *dropoutConstants, first uint32, add bool)
TEXT ·dropout16(SB), NOSPLIT, $0-61
	MOVD  y_base+0(FP), R0
	MOVD  y_len+8(FP), R9
	MOVD  x_base+24(FP), R1
	MOVD  d+48(FP), R2
	MOVWU first+56(FP), R3
	MOVBU add+60(FP), R4
	VLD4R (R2), [V16.S4, V17.S4, V18.S4, V19.S4] // k0, k1, threshold, scale
	MOVD  $·dropoutTable(SB), R5
	VLD1.P 16(R5), [V24.S4]                      // 0, 1, 2, 3
	VLD4R (R5), [V20.S4, V21.S4, V22.S4, V23.S4] // the two factors, step, 4·step
	VDUP  R3, V0.S4
	VADD  V0.S4, V24.S4, V24.S4
	MULI(22, 24, 24)
	VADD  V16.S4, V24.S4, V24.S4

loop:
	SUBS   $4, R9
	BLT    done
	VMOV   V24.B16, V1.B16
	VADD   V23.S4, V24.S4, V24.S4
	HASH
	HASH
	VUSHR  $8, V1.S4, V1.S4
	CMGTI(1, 18, 2) // threshold > h: drop
	VLD1.P 16(R1), [V0.S4]
	FMUL(19, 0, 0)
	BIC(2, 0, 0)
	CBZ    R4, store
	VLD1   (R0), [V3.S4]
	FADD(3, 0, 0)

store:
	VST1.P [V0.S4], 16(R0)
	B      loop

done:
	RET

#define CHAIN(p, x, s0, s1, s2, s3) \
	VFMLA V0.S4, V1.S4, s0.S4; \
	VFMLA V0.S4, V1.S4, s1.S4; \
	VFMLA V0.S4, V1.S4, s2.S4; \
	VFMLA V0.S4, V1.S4, s3.S4

// peakRounds runs n rounds of multiply-adds in 24 independent chains of four lanes.
// func peakRounds(n int)
TEXT ·peakRounds(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	EACH6(CLEAR)

round:
	EACH6(CHAIN)
	SUBS $1, R0
	BNE  round
	RET

// setMode sets FPCR and returns the old one.
// func setMode(mode uint32) (old uint32)
TEXT ·setMode(SB), NOSPLIT, $0-12
	MOVWU mode+0(FP), R0
	MRS   FPCR, R1
	MSR   R0, FPCR
	MOVW  R1, old+8(FP)
	RET

// func pause()
TEXT ·pause(SB), NOSPLIT, $0-0
	YIELD
	RET
