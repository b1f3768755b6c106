package op_test

import (
	"math"
	"slices"
	"testing"

	"gotune/internal/op"
	"gotune/internal/ref"
)

func TestRoPE(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 5, 32)
	r, rw := b.floats("r", 5, 32)
	positions := []int32{0, 1, 2, 77, 1023}
	table := must(op.NewRoPETable(1024, 16, 1, frequencies(16, 10000)))
	y := must(op.RoPE(x, b.ints("positions", positions...), table))
	b.gradients(y, ref.RoPE64(xw, positions, 2, 16, 10000, false), r,
		want{x, ref.RoPE64(rw, positions, 2, 16, 10000, true)})
}

// frequencies are those of d elements: base^(−2i/d).
func frequencies(d int, base float64) (f []float64) {
	for i := range d / 2 {
		f = append(f, math.Pow(base, -2*float64(i)/float64(d)))
	}
	return f
}

// A part of each head is turned, by frequencies of one of two sets for each token, and
// grows by a factor.
func TestRoPEPart(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 20)
	r, rw := b.floats("r", 4, 20)
	positions, sets := []int32{0, 3, 90, 90}, []int32{1, 0, 0, 1}
	rows := make([]int32, 4)
	for i := range rows {
		rows[i] = 2*positions[i] + sets[i]
	}
	turn := func(x []float64, inverse bool) []float64 {
		y := make([]float64, len(x))
		for h := 0; h < len(x); h += 10 { // 6 of 10 elements
			base := []float64{100, 5000}[sets[h/20]]
			for i, v := range ref.RoPE64(x[h:h+6], positions[h/20:h/20+1], 1, 6, base, inverse) {
				y[h+i] = 1.5 * v
			}
			copy(y[h+6:], x[h+6:h+10])
		}
		return y
	}
	table := must(op.NewRoPETable(100, 10, 1.5, frequencies(6, 100), frequencies(6, 5000)))
	y := must(op.RoPE(x, b.ints("positions", rows...), table))
	b.gradients(y, turn(xw, false), r, want{x, turn(rw, true)})
}

// GLM's pairs: 6 of 10 elements of a head are turned.
func TestInterleavedRoPE(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 20)
	r, rw := b.floats("r", 4, 20)
	positions := []int32{0, 3, 90, 91}
	turn := func(x []float64, inverse bool) []float64 {
		y := slices.Clone(x)
		for h := 0; h < len(x); h += 10 {
			copy(y[h:], ref.InterleavedRoPE64(x[h:h+6], positions[h/20:h/20+1], 1, 6, 100, inverse))
		}
		return y
	}
	table := must(op.NewRoPETable(100, 10, 1, frequencies(6, 100)))
	table.Interleaved = true
	y := must(op.RoPE(x, b.ints("positions", positions...), table))
	b.gradients(y, turn(xw, false), r, want{x, turn(rw, true)})
}
