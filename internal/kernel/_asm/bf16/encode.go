package main

import "fmt"

// An instruction is its bytes and its name in the syntax of Intel's manual.
type instruction struct {
	text  string
	bytes []byte
}

// evex encodes an instruction of AVX512_BF16 on registers of 512 bits: opcode in the
// map 0F38 with W0, a destination, a first source (vvvv) and a second one (rm).
func evex(prefix, opcode byte, reg, vvvv, rm int) []byte {
	not := func(bit int) byte { return byte(^bit & 1) }
	p0 := not(reg>>3)<<7 | not(rm>>4)<<6 | not(rm>>3)<<5 | not(reg>>4)<<4 | 0b010
	p1 := byte(^vvvv&15)<<3 | 1<<2 | prefix
	p2 := byte(0b10)<<5 | not(vvvv>>4)<<3
	return []byte{0x62, p0, p1, p2, opcode, 0b11<<6 | byte(reg&7)<<3 | byte(rm&7)}
}

// The values of the field pp.
const (
	noPrefix = 0b00
	prefixF3 = 0b10
	prefixF2 = 0b11
)

// dotPairs is VDPBF16PS: sum += a·b for the two bf16 numbers of each lane, the upper
// ones first.
func dotPairs(sum, a, b int) instruction {
	return instruction{fmt.Sprintf("VDPBF16PS zmm%d, zmm%d, zmm%d", sum, a, b), evex(prefixF3, 0x52, sum, a, b)}
}

// roundTwo is VCVTNE2PS2BF16: the float32 numbers of low and high become 32 bf16.
func roundTwo(dst, high, low int) instruction {
	return instruction{fmt.Sprintf("VCVTNE2PS2BF16 zmm%d, zmm%d, zmm%d", dst, high, low), evex(prefixF2, 0x72, dst, high, low)}
}

// vex encodes an instruction of AMX: opcode in the map 0F38 with W0 and L0.
func vex(prefix, opcode byte, vvvv int, rest ...byte) []byte {
	return append([]byte{0xc4, 0xe2, byte(^vvvv&15)<<3 | prefix, opcode}, rest...)
}

// The general registers that tiles are addressed by.
var general = map[string]byte{"rax": 0, "rcx": 1, "rdx": 2, "rbx": 3, "rsi": 6, "rdi": 7}

// indexed is ModRM and SIB of [base + 1·stride].
func indexed(reg int, base, stride string) []byte {
	return []byte{byte(reg)<<3 | 0b100, general[stride]<<3 | general[base]}
}

func tileLoad(tile int, base, stride string) instruction {
	return instruction{fmt.Sprintf("TILELOADD tmm%d, [%s+%s*1]", tile, base, stride), vex(prefixF2, 0x4b, 0, indexed(tile, base, stride)...)}
}

func tileStore(tile int, base, stride string) instruction {
	return instruction{fmt.Sprintf("TILESTORED [%s+%s*1], tmm%d", base, stride, tile), vex(prefixF3, 0x4b, 0, indexed(tile, base, stride)...)}
}

func tileZero(tile int) instruction {
	return instruction{fmt.Sprintf("TILEZERO tmm%d", tile), vex(prefixF2, 0x49, 0, 0b11<<6|byte(tile)<<3)}
}

// tileDot is TDPBF16PS: the product of a tile of A and a tile of pairs of B is added to
// a tile of sums.
func tileDot(sum, a, b int) instruction {
	return instruction{fmt.Sprintf("TDPBF16PS tmm%d, tmm%d, tmm%d", sum, a, b), vex(prefixF3, 0x5c, b, 0b11<<6|byte(sum)<<3|byte(a))}
}

func loadConfig(base string) instruction {
	return instruction{fmt.Sprintf("LDTILECFG [%s]", base), vex(noPrefix, 0x49, 0, general[base])}
}

func tileRelease() instruction { return instruction{"TILERELEASE", vex(noPrefix, 0x49, 0, 0b11<<6)} }
