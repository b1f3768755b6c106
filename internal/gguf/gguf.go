// Package gguf reads and writes GGUF, the file of a model that llama.cpp runs: metadata
// as keys with typed values, and tensors of several storage types, each at an aligned
// offset (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Version 3 is
// written; 2 and 3 are read. Both are little endian.
package gguf

import (
	"fmt"
	"math"
	"slices"
)

const (
	magic   = "GGUF"
	version = 3
	// alignment of tensors where the metadata has no general.alignment.
	alignment    = 32
	alignmentKey = "general.alignment"
	maxDims      = 4
	maxName      = 63 // of a tensor, in bytes
)

// A Type is how the elements of a tensor are stored, with ggml's number.
type Type uint32

// The types that are read and written.
const (
	F32  Type = 0
	F16  Type = 1
	Q8_0 Type = 8 // blocks of 32: a binary16 scale and 32 signed bytes
	BF16 Type = 30
)

var types = map[Type]struct {
	name         string
	block, bytes int // elements of a block and its bytes
	file         uint32
}{
	F32: {"F32", 1, 4, 0}, F16: {"F16", 1, 2, 1}, Q8_0: {"Q8_0", blockSize, 2 + blockSize, 7}, BF16: {"BF16", 1, 2, 32},
}

// Types lists the types that are read and written.
func Types() []Type { return []Type{F32, F16, BF16, Q8_0} }

func (t Type) String() string {
	if known, ok := types[t]; ok {
		return known.name
	}
	return fmt.Sprintf("ggml type %d", uint32(t))
}

// FileType is the number that general.file_type has where most tensors are of the type.
func (t Type) FileType() uint32 { return types[t].file }

// Fits reports whether rows of so many elements can be stored as the type.
func (t Type) Fits(columns int) bool {
	known, ok := types[t]
	return ok && columns%known.block == 0
}

// rowBytes returns the bytes of a row of elements.
func (t Type) rowBytes(columns int) int { return columns / types[t].block * types[t].bytes }

// An Info describes a tensor. Its shape is in row-major order, outermost first, as in
// PyTorch; in the file it stands the other way round.
type Info struct {
	Name  string
	Shape []int
	Type  Type
}

// size returns the number of elements.
func (t Info) size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// columns returns the length of a row.
func (t Info) columns() int { return t.Shape[len(t.Shape)-1] }

func (t Info) bytes() int64 {
	return int64(t.size()/t.columns()) * int64(t.Type.rowBytes(t.columns()))
}

// check refuses what a file cannot hold.
func (t Info) check() error {
	switch {
	case t.Name == "" || len(t.Name) > maxName:
		return fmt.Errorf("tensor %q: a name has 1 to %d bytes", t.Name, maxName)
	case len(t.Shape) == 0 || len(t.Shape) > maxDims:
		return fmt.Errorf("tensor %q has %d dimensions; 1 to %d are possible", t.Name, len(t.Shape), maxDims)
	}
	if _, ok := types[t.Type]; !ok {
		return fmt.Errorf("tensor %q is stored as %v, which is not supported (supported: %v)", t.Name, t.Type, Types())
	}
	n := int64(1)
	for _, d := range t.Shape {
		if d < 1 || d > math.MaxInt32 || n > math.MaxInt64/8/int64(d) {
			return fmt.Errorf("tensor %q has the impossible shape %v", t.Name, t.Shape)
		}
		n *= int64(d)
	}
	if !t.Type.Fits(t.columns()) {
		return fmt.Errorf("tensor %q has rows of %d elements; %v needs a multiple of %d", t.Name, t.columns(), t.Type, types[t.Type].block)
	}
	return nil
}

// Metadata are keys with values, in the order of the file.
type Metadata []Pair

// A Pair is a key with its value.
type Pair struct {
	Key   string
	Value Value
}

// Get returns the value of a key.
func (m Metadata) Get(key string) (Value, bool) {
	i := slices.IndexFunc(m, func(p Pair) bool { return p.Key == key })
	if i < 0 {
		return Value{}, false
	}
	return m[i].Value, true
}

// padding returns what is missing from n to a multiple of align.
func padding(n, align int64) int64 { return (align - n%align) % align }
