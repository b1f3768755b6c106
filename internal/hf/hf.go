// Package hf reads and writes the files of a model folder in Hugging Face's
// layout: tensors in the safetensors format, and where the folder keeps them.
//
// The format: eight bytes with the length of a JSON header (little endian), the
// header, which maps a name to dtype, shape and byte offsets, and the tensors'
// bytes without gaps (https://github.com/huggingface/safetensors).
package hf

import (
	"fmt"
	"slices"
)

// A Tensor is a named array in row-major order. Values are float32 in memory
// whatever the file holds, but for bytes.
type Tensor struct {
	Shape []int
	Data  []float32
	Codes []byte // in place of Data where each element is a byte, of the type U8
}

// NotFinite returns the first value that is infinite or no number, and false where there is
// none.
func (t Tensor) NotFinite() (v float32, found bool) {
	i := slices.IndexFunc(t.Data, func(v float32) bool { return v-v != 0 })
	if i < 0 {
		return 0, false
	}
	return t.Data[i], true
}

// Size returns the number of elements that a shape has; 1 for a scalar.
func Size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// DType is how a tensor's elements are stored in a file.
type DType string

// The types that can be read and written.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// U8 is the type of bytes that stand for numbers, which [File.ReadCodes] reads.
const U8 DType = "U8"

// ParseDType returns the type of PyTorch's name.
func ParseDType(name string) (DType, error) {
	for _, d := range []DType{F32, F16, BF16} {
		if d.Torch() == name {
			return d, nil
		}
	}
	return "", fmt.Errorf("dtype is %q; it must be float32, float16 or bfloat16", name)
}

// Torch returns PyTorch's name of the type.
func (d DType) Torch() string {
	return map[DType]string{F32: "float32", F16: "float16", BF16: "bfloat16"}[d]
}

// Bytes returns the size of one element, or an error for a type that is not read.
func (d DType) Bytes() (int, error) {
	switch d {
	case F32:
		return 4, nil
	case F16, BF16:
		return 2, nil
	}
	return 0, fmt.Errorf("dtype %q is not supported (supported: F32, F16, BF16)", string(d))
}
