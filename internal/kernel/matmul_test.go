package kernel_test

import (
	"fmt"
	"math"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

type product struct {
	name                   string
	f                      func(t *kernel.Team, c, a, b kernel.Matrix, add bool)
	transposeA, transposeB bool
}

var products = []product{
	{"NN", kernel.MatMulNN, false, false},
	{"NT", kernel.MatMulNT, false, true},
	{"TN", kernel.MatMulTN, true, false},
}

// matrix returns random elements with a stride of cols + gap, and how to read them.
func (b *bench) matrix(rows, cols, gap int, transpose bool) (kernel.Matrix, func(i, j int) float32) {
	if transpose {
		rows, cols = cols, rows
	}
	m := kernel.Matrix{Data: b.normal(rows * (cols + gap)), Rows: rows, Cols: cols, Stride: cols + gap}
	if transpose {
		return m, func(i, j int) float32 { return m.Data[j*m.Stride+i] }
	}
	return m, func(i, j int) float32 { return m.Data[i*m.Stride+j] }
}

// multiply checks one product; the columns between C's rows must stay as they are.
func (b *bench) multiply(p product, m, n, k, gap int, add bool) {
	b.Helper()
	x, xAt := b.matrix(m, k, gap, p.transposeA)
	y, yAt := b.matrix(k, n, 2*gap, p.transposeB)
	old := b.normal(m * (n + gap))
	want := clone(old)
	var start []float32
	for i := range m {
		if add {
			start = append(start, old[i*(n+gap):i*(n+gap)+n]...)
		}
	}
	result := ref.MatMul(m, n, k, xAt, yAt, start)
	for i := range m {
		copy(want[i*(n+gap):], result[i*n:(i+1)*n])
	}
	c := kernel.Matrix{Data: b.out("C", len(old), old), Rows: m, Cols: n, Stride: n + gap}
	p.f(b.team, c, x, y, add)
	b.want(fmt.Sprintf("%s M%d N%d K%d gap %d add %v", p.name, m, n, k, gap, add), want)
}

func TestMatMul(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, p := range products {
			for i := range 60 {
				draw := func() int { return b.rand.IntN([]int{4, 20, 70}[b.rand.IntN(3)]) + 1 }
				b.multiply(p, draw(), draw(), draw(), i%3, i%2 == 0)
			}
		}
	})
}

// TestMatMulBlocks goes over the sizes at which blocks and threads are cut.
func TestMatMulBlocks(t *testing.T) {
	sizes := [][3]int{{200, 40, 300}, {13, 530, 20}, {8, 100, 530}, {300, 8, 260}, {97, 8, 300}, {1, 130, 270}, {1, 48, 16}, {1, 64, 5}, {1, 700, 1030}, {250, 70, 8}}
	if testing.Short() {
		sizes = [][3]int{{20, 40, 270}, {13, 530, 5}, {1, 130, 27}}
	}
	everywhere(t, func(b *bench) {
		for _, p := range products {
			for i, s := range sizes {
				b.multiply(p, s[0], s[1], s[2], i%2, i%3 == 0)
			}
		}
	})
}

func TestMatMulEmpty(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, p := range products {
			for _, s := range [][3]int{{0, 3, 2}, {3, 0, 2}, {3, 2, 0}} {
				b.multiply(p, s[0], s[1], s[2], 0, false)
				b.multiply(p, s[0], s[1], s[2], 0, true)
			}
		}
	})
}

// TestMatMulSpecial has NaN, infinities and subnormal numbers in the factors: a
// NaN spoils its row or column only, and subnormal numbers count as 0.
func TestMatMulSpecial(t *testing.T) {
	everywhere(t, func(b *bench) {
		const m, n, k = 30, 35, 20
		x, xAt := b.matrix(m, k, 0, false)
		y, yAt := b.matrix(k, n, 0, false)
		x.Data[3*k+2] = float32(math.NaN())
		x.Data[17*k+5] = float32(math.Inf(1))
		y.Data[4*n+34] = float32(math.Inf(-1))
		for i := range k {
			x.Data[9*k+i] = 0x1p-130
		}
		if b.level == kernel.Generic {
			clear(x.Data[9*k : 10*k]) // plain Go keeps subnormal numbers
		}
		want := ref.MatMul(m, n, k, xAt, yAt, nil)
		kernel.MatMulNN(b.team, kernel.Matrix{Data: b.out("C", m*n, nil), Rows: m, Cols: n, Stride: n}, x, y, false)
		b.want("special", want)
	})
}

// TestMatMulByHand is a product worked out on paper.
func TestMatMulByHand(t *testing.T) {
	everywhere(t, func(b *bench) {
		x := kernel.Matrix{Data: []float32{1, 2, 3, 4, 5, 6}, Rows: 2, Cols: 3, Stride: 3}
		y := kernel.Matrix{Data: []float32{7, 8, 9, 10, 11, 12}, Rows: 3, Cols: 2, Stride: 2}
		kernel.MatMulNN(b.team, kernel.Matrix{Data: b.out("NN", 4, nil), Rows: 2, Cols: 2, Stride: 2}, x, y, false)
		kernel.MatMulNT(b.team, kernel.Matrix{Data: b.out("NT", 4, nil), Rows: 2, Cols: 2, Stride: 2}, x, x, false)
		kernel.MatMulTN(b.team, kernel.Matrix{Data: b.out("TN", 4, nil), Rows: 2, Cols: 2, Stride: 2}, y, y, false)
		b.want("by hand", []float32{58, 64, 139, 154}, []float32{14, 32, 32, 77}, []float32{251, 278, 278, 308})
	})
}
