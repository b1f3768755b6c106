package kernel_test

import (
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

// TestRow: a single row times a stored matrix has the bits of the twin at each storage,
// for numbers of rows and columns around those that registers, blocks of scales and
// calls of the assembly end at.
func TestRow(t *testing.T) {
	rows, columns := []int{1, 15, 16, 17, 31, 32, 47, 48, 49, 64, 65, 100}, []int{1, 7, 8, 9, 63, 64, 65, 72, 128, 192}
	if !testing.Short() {
		rows, columns = append(rows, 2100), append(columns, 576)
	}
	everywhere(t, func(b *bench) {
		for _, s := range storages {
			for i, n := range rows {
				for j, k := range columns {
					b.stored(s, kernel.FP32, true, 1, n, k, 0, (i+j)%2 == 0)
				}
			}
		}
	})
}

// TestRowIsAnyRow: a row of a product does not depend on how many there are, so that
// generation one by one has the bits of a program for many tokens.
func TestRowIsAnyRow(t *testing.T) {
	everywhere(t, func(b *bench) {
		const m, n, k = 40, 150, 192
		x, _ := b.matrix(m, k, 0, false)
		for _, s := range storages {
			w := kernel.Quantise(s, b.normal(n*k), n, k)
			all := kernel.Matrix{Data: make([]float32, m*n), Rows: m, Cols: n, Stride: n}
			kernel.ProductNT(b.team, kernel.FP32, all, x, w, false)
			one := kernel.Matrix{Data: make([]float32, n), Rows: 1, Cols: n, Stride: n}
			for i := range m {
				kernel.ProductNT(b.team, kernel.FP32, one, kernel.Matrix{Data: x.Data[i*k:], Rows: 1, Cols: k, Stride: k}, w, false)
				if !slices.Equal(one.Data, all.Data[i*n:(i+1)*n]) {
					b.Fatalf("%v: row %d alone has other bits", s, i)
				}
			}
		}
	})
}

// TestRowReadsNoFurther multiplies by bf16 numbers that end at memory which may not be
// read, where the system can do that.
func TestRowReadsNoFurther(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, s := range [][2]int{{16, 8}, {32, 8}, {48, 24}, {70, 64}, {33, 31}} {
			n, k := s[0], s[1]
			plain := kernel.Quantise(kernel.BFloat16, b.normal(n*k), n, k)
			wide := plain.Float32s()
			memory := fenced(b.T, (n*k+1)/2)
			halves := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(memory))), 2*len(memory))[2*len(memory)-n*k:]
			for i, v := range wide {
				halves[i] = kernel.RoundBF16(v)
			}
			x, xAt := b.matrix(1, k, 0, false)
			want := ref.MatMul(1, n, k, xAt, func(i, j int) float32 { return wide[j*k+i] }, nil)
			kernel.ProductNT(b.team, kernel.FP32, kernel.Matrix{Data: b.out("C", n, nil), Rows: 1, Cols: n, Stride: n}, x, kernel.Halves(halves, n, k), false)
			b.want(fmt.Sprint(s), want)
		}
	})
}
