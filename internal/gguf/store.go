package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"gotune/internal/hf"
)

// blockSize is the number of elements of a block of Q8_0.
const blockSize = 32

// store writes a row of values as the type t. It returns an error for a value that t
// cannot hold.
func (t Type) store(dst []byte, row []float32) error {
	le := binary.LittleEndian
	for i, v := range row {
		switch t {
		case F32:
			le.PutUint32(dst[4*i:], math.Float32bits(v))
		case BF16:
			le.PutUint16(dst[2*i:], hf.RoundBF16(v))
		case F16:
			h := hf.RoundF16(v)
			if h&0x7fff == 0x7c00 && !math.IsInf(float64(v), 0) {
				return fmt.Errorf("the value %g is beyond what F16 can hold, 65504", v)
			}
			le.PutUint16(dst[2*i:], h)
		case Q8_0:
			if i%blockSize == 0 {
				if err := storeBlock(dst[i/blockSize*(2+blockSize):], row[i:i+blockSize]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// storeBlock writes 32 values as a block of Q8_0, as ggml's reference does: the scale d is
// the largest magnitude over 127, each value x becomes x·(1/d) in float32, rounded to the
// nearest whole number and away from zero halfway, and d is rounded to binary16 last.
func storeBlock(dst []byte, x []float32) error {
	var largest float32
	for _, v := range x {
		if v-v != 0 {
			return fmt.Errorf("the value %g is no finite number", v)
		}
		largest = max(largest, float32(math.Abs(float64(v))))
	}
	d := largest / 127
	var inverse float32
	if d != 0 {
		inverse = 1 / d
	}
	scale := hf.RoundF16(d)
	if scale == 0x7c00 || inverse-inverse != 0 {
		return fmt.Errorf("a block whose largest value is %g has a scale beyond what F16 can hold", largest)
	}
	binary.LittleEndian.PutUint16(dst, scale)
	for i, v := range x {
		dst[2+i] = byte(int8(math.Round(float64(v * inverse))))
	}
	return nil
}

// load widens a stored row to float32.
func (t Type) load(row []float32, src []byte) {
	le := binary.LittleEndian
	for i := range row {
		switch t {
		case F32:
			row[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		case BF16:
			row[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		case F16:
			row[i] = hf.WidenF16(le.Uint16(src[2*i:]))
		case Q8_0:
			block := src[i/blockSize*(2+blockSize):]
			row[i] = float32(int8(block[2+i%blockSize])) * hf.WidenF16(le.Uint16(block))
		}
	}
}
