package gguf

import (
	"encoding/binary"
	"math"
	"slices"
)

// A Kind is the type of a value of the metadata, with GGUF's number.
type Kind uint32

// The kinds of values.
const (
	Uint8 Kind = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

// widths are the bytes of one value of a kind; those of a string are its length alone.
var widths = [...]int{Uint8: 1, Int8: 1, Uint16: 2, Int16: 2, Uint32: 4, Int32: 4, Float32: 4, Bool: 1, String: 8, Array: 0, Uint64: 8, Int64: 8, Float64: 8}

// A Value is a value of the metadata: one of a kind, or an array of them.
type Value struct {
	Kind  Kind // of each element
	Array bool
	bits  []uint64 // the elements' bytes, but of strings
	texts []string
}

// The constructors of the values that are written.

// Uint returns an unsigned number of 32 bits, as most of GGUF's keys take.
func Uint(v uint32) Value { return Value{Kind: Uint32, bits: []uint64{uint64(v)}} }

// Float returns a number of 32 bits.
func Float(v float64) Value {
	return Value{Kind: Float32, bits: []uint64{uint64(math.Float32bits(float32(v)))}}
}

// Text returns a string.
func Text(s string) Value { return Value{Kind: String, texts: []string{s}} }

// Flag returns a truth value.
func Flag(b bool) Value { return Flags(b).element() }

// Texts returns an array of strings.
func Texts(list []string) Value { return Value{Kind: String, Array: true, texts: list} }

// Floats returns an array of numbers of 32 bits.
func Floats(list []float32) Value {
	v := Value{Kind: Float32, Array: true, bits: make([]uint64, len(list))}
	for i, x := range list {
		v.bits[i] = uint64(math.Float32bits(x))
	}
	return v
}

// Ints returns an array of signed numbers of 32 bits.
func Ints(list []int32) Value {
	v := Value{Kind: Int32, Array: true, bits: make([]uint64, len(list))}
	for i, x := range list {
		v.bits[i] = uint64(uint32(x))
	}
	return v
}

// Flags returns an array of truth values.
func Flags(list ...bool) Value {
	v := Value{Kind: Bool, Array: true, bits: make([]uint64, len(list))}
	for i, x := range list {
		if x {
			v.bits[i] = 1
		}
	}
	return v
}

func (v Value) element() Value {
	v.Array = false
	return v
}

// Len returns the number of elements, 1 for a value that is no array.
func (v Value) Len() int { return len(v.bits) + len(v.texts) }

// Strings returns the elements of a value of strings.
func (v Value) Strings() []string { return v.texts }

// Float64s returns the elements of a value of numbers or truth values. Whole numbers beyond
// 2⁵³ are rounded.
func (v Value) Float64s() []float64 {
	out := make([]float64, len(v.bits))
	for i, b := range v.bits {
		switch v.Kind {
		case Int8:
			out[i] = float64(int8(b))
		case Int16:
			out[i] = float64(int16(b))
		case Int32:
			out[i] = float64(int32(b))
		case Int64:
			out[i] = float64(int64(b))
		case Float32:
			out[i] = float64(math.Float32frombits(uint32(b)))
		case Float64:
			out[i] = math.Float64frombits(b)
		default:
			out[i] = float64(b)
		}
	}
	return out
}

// Equal reports whether two values have the same kind and bits.
func (v Value) Equal(w Value) bool {
	return v.Kind == w.Kind && v.Array == w.Array && slices.Equal(v.bits, w.bits) && slices.Equal(v.texts, w.texts)
}

// appendTo appends the value as it stands in a file, its kind first.
func (v Value) appendTo(b []byte) []byte {
	le := binary.LittleEndian
	if v.Array {
		b = le.AppendUint32(b, uint32(Array))
	}
	b = le.AppendUint32(b, uint32(v.Kind))
	if v.Array {
		b = le.AppendUint64(b, uint64(v.Len()))
	}
	for _, s := range v.texts {
		b = appendText(b, s)
	}
	var raw [8]byte
	for _, x := range v.bits {
		le.PutUint64(raw[:], x)
		b = append(b, raw[:widths[v.Kind]]...)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}
