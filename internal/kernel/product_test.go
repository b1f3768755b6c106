package kernel_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

// twinBF16 is the twin of products in bf16. AMX sums in another order than the other
// levels.
func (b *bench) twinBF16() func(m, n, k int, x, y func(i, j int) float32, old []float32) []float32 {
	if b.level == kernel.AMX {
		return ref.MatMulTiles
	}
	return ref.MatMulBF16
}

var storages = []kernel.Storage{kernel.Float32, kernel.BFloat16, kernel.Int8, kernel.NF4}

// stored checks one product with a stored matrix at both arithmetics, against the
// twin's product of its widened numbers.
func (b *bench) stored(s kernel.Storage, how kernel.Arithmetic, transposed bool, m, n, k, gap int, add bool) {
	b.Helper()
	x, xAt := b.matrix(m, k, gap, false)
	rows, cols, f := k, n, kernel.ProductNN
	if transposed {
		rows, cols, f = n, k, kernel.ProductNT
	}
	w := kernel.Quantise(s, b.normal(rows*cols), rows, cols)
	wide := w.Float32s()
	wAt := func(i, j int) float32 {
		if transposed {
			i, j = j, i
		}
		return wide[i*cols+j]
	}
	old := b.normal(m * (n + gap))
	want := clone(old)
	var start []float32
	for i := range m {
		if add {
			start = append(start, old[i*(n+gap):i*(n+gap)+n]...)
		}
	}
	twin := ref.MatMul
	if how == kernel.BF16 {
		twin = b.twinBF16()
	}
	result := twin(m, n, k, xAt, wAt, start)
	for i := range m {
		copy(want[i*(n+gap):], result[i*n:(i+1)*n])
	}
	for _, layout := range []struct {
		name string
		kernel.Weights
	}{{"rows", w}, {"panels", w.InPanels(b.team)}} {
		c := kernel.Matrix{Data: b.out("C", len(old), old), Rows: m, Cols: n, Stride: n + gap}
		f(b.team, how, c, x, layout.Weights, add)
		b.want(fmt.Sprintf("%v in %s %v transposed %v M%d N%d K%d gap %d add %v", s, layout.name, how, transposed, m, n, k, gap, add), want)
	}
}

// TestInPanels: the layout of a matrix changes no element of it and no product with it,
// for the shapes that consist of whole panels and blocks.
func TestInPanels(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, s := range storages {
			for _, shape := range [][2]int{{32, 64}, {96, 64}, {64, 192}, {160, 576}} {
				n, k := shape[0], shape[1]
				w := kernel.Quantise(s, b.normal(n*k), n, k)
				if !slices.Equal(w.InPanels(b.team).Float32s(), w.Float32s()) {
					b.Fatalf("%v [%d, %d] has other elements in panels", s, n, k)
				}
				for i, m := range []int{1, 1, 2, 33} {
					b.stored(s, kernel.FP32, true, m, n, k, 0, i%2 == 0)
					b.stored(s, kernel.BF16, true, m, n, k, 0, i%2 != 0)
				}
				b.stored(s, kernel.FP32, false, 3, k, n, 0, true)
				b.stored(s, kernel.BF16, false, 3, k, n, 0, false)
			}
		}
	})
}

func TestProduct(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, s := range storages {
			for i := range 32 {
				draw := func() int { return b.rand.IntN([]int{4, 20, 90}[b.rand.IntN(3)]) + 1 }
				b.stored(s, kernel.Arithmetic(i&1), i&2 != 0, draw(), draw(), draw(), i%3, i&4 != 0)
			}
		}
	})
}

// TestProductTN checks the product that makes the gradient of a weight.
func TestProductTN(t *testing.T) {
	everywhere(t, func(b *bench) {
		for i := range 20 {
			draw := func() int { return b.rand.IntN([]int{4, 20, 90}[b.rand.IntN(3)]) + 1 }
			m, n, k, add := draw(), draw(), draw(), i%2 == 0
			x, xAt := b.matrix(m, k, i%3, true)
			y, yAt := b.matrix(k, n, 0, false)
			old := b.normal(m * n)
			var start []float32
			if add {
				start = old
			}
			want := b.twinBF16()(m, n, k, xAt, yAt, start)
			kernel.ProductTN(b.team, kernel.BF16, kernel.Matrix{Data: b.out("C", m*n, old), Rows: m, Cols: n, Stride: n}, x, kernel.Dense(y.Data, k, n), add)
			b.want(fmt.Sprintf("TN M%d N%d K%d add %v", m, n, k, add), want)
		}
	})
}

// TestProductBlocks goes over the sizes at which blocks and threads are cut.
func TestProductBlocks(t *testing.T) {
	sizes := [][3]int{{70, 300, 130}, {13, 530, 20}, {8, 64, 1030}, {1, 700, 515}, {230, 40, 64}, {3, 2, 0}}
	if testing.Short() {
		sizes = [][3]int{{20, 300, 67}, {1, 130, 515}}
	}
	everywhere(t, func(b *bench) {
		for i, s := range sizes {
			for j := range 4 {
				b.stored(storages[(i+j)%4], kernel.Arithmetic(j&1), j&2 != 0, s[0], s[1], s[2], i%2, i%3 == 0)
			}
		}
	})
}

// TestStoredAsFloat32 holds that where a storage keeps numbers exactly, products
// have the bits of float32 storage.
func TestStoredAsFloat32(t *testing.T) {
	everywhere(t, func(b *bench) {
		const m, n, k = 37, 150, 530
		data := b.normal(n * k)
		for i, v := range data {
			data[i] = ref.RoundBF16(v)
		}
		x, _ := b.matrix(m, k, 0, false)
		want := make([]float32, m*n)
		kernel.MatMulNT(b.team, kernel.Matrix{Data: want, Rows: m, Cols: n, Stride: n}, x, kernel.Matrix{Data: data, Rows: n, Cols: k, Stride: k}, false)
		got := make([]float32, m*n)
		kernel.ProductNT(b.team, kernel.FP32, kernel.Matrix{Data: got, Rows: m, Cols: n, Stride: n}, x, kernel.Quantise(kernel.BFloat16, data, n, k), false)
		if !slices.Equal(got, want) {
			b.Fatal("bf16 storage changes a product")
		}
	})
}

// TestBF16Bound holds a product in bf16 against float64: where the factors are bf16
// numbers, an element is off by at most (K+1)·2⁻²⁴·Σ|a·b|; else the roundings of both
// factors add 2·2⁻⁸ (and a little) of that sum.
func TestBF16Bound(t *testing.T) {
	everywhere(t, func(b *bench) {
		const m, n, k = 19, 40, 777
		x, xAt := b.matrix(m, k, 0, false)
		w := kernel.Dense(b.normal(n*k), n, k)
		got := make([]float32, m*n)
		kernel.ProductNT(b.team, kernel.BF16, kernel.Matrix{Data: got, Rows: m, Cols: n, Stride: n}, x, w, false)
		wide := w.Float32s()
		for i := range m {
			for j := range n {
				var exact, near, size float64
				for p := range k {
					x, y := float64(xAt(i, p)), float64(wide[j*k+p])
					exact += x * y
					near += float64(ref.RoundBF16(float32(x))) * float64(ref.RoundBF16(float32(y)))
					size += math.Abs(x * y)
				}
				g := float64(got[i*n+j])
				if math.Abs(g-near) > (k+1)*0x1p-24*size || math.Abs(g-exact) > ((k+1)*0x1p-24+0x1.02p-7)*size {
					b.Fatalf("element %d,%d is %g, of rounded factors %g, exactly %g", i, j, g, near, exact)
				}
			}
		}
	})
}

// TestWiden compares the levels in every way to cut a matrix, and RoundBF16 with the
// twin.
func TestWiden(t *testing.T) {
	everywhere(t, func(b *bench) {
		const rows, cols = 5, 131
		data := b.normal(rows * cols)
		for _, s := range storages {
			restore := kernel.SetLevel(kernel.Generic)
			w := kernel.Quantise(s, data, rows, cols)
			want := slices.Clone(w.Float32s())
			restore()
			if again := kernel.Quantise(s, data, rows, cols); !slices.Equal(again.Float32s(), want) {
				b.Fatalf("%v: the levels quantise differently", s)
			}
			for range 200 {
				from := b.rand.IntN(len(want))
				n := b.rand.IntN(len(want) - from + 1)
				w.Widen(b.out("part", n, nil), from)
				b.want(fmt.Sprintf("%v %d elements from %d", s, n, from), want[from:from+n])
			}
		}
		wild := append(b.wild(1000), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, float32(math.Copysign(0, -1)), 1+0x1p-8, 1+3*0x1p-8)
		for i, v := range kernel.Quantise(kernel.BFloat16, wild, 1, len(wild)).Float32s() {
			if math.Float32bits(v) != math.Float32bits(ref.RoundBF16(wild[i])) {
				b.Fatalf("%x is rounded to %x, the twin says %x", wild[i], v, ref.RoundBF16(wild[i]))
			}
		}
		nan := kernel.Quantise(kernel.BFloat16, slices.Repeat([]float32{math.Float32frombits(0x7f800001)}, 17), 1, 17)
		for _, v := range nan.Float32s() {
			if v == v {
				b.Fatal("a NaN became a number")
			}
		}
	})
}

// TestBF16Levels holds that the levels below AMX agree in bf16 too, and no subnormal
// number counts.
func TestBF16Levels(t *testing.T) {
	const m, n, k = 33, 70, 95
	rest := &bench{T: t, rand: rand.New(rand.NewPCG(3, 4))}
	x, w := rest.wild(m*k), kernel.Dense(rest.wild(n*k), n, k)
	var want []float32
	for _, level := range kernel.Levels() {
		if level == kernel.Generic || level == kernel.AMX {
			continue
		}
		restore := kernel.SetLevel(level)
		got := make([]float32, m*n)
		kernel.ProductNT(nil, kernel.BF16, kernel.Matrix{Data: got, Rows: m, Cols: n, Stride: n}, kernel.Matrix{Data: x, Rows: m, Cols: k, Stride: k}, w, false)
		restore()
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v has other bits", level)
		}
	}
}

// TestPairsUnderCollection multiplies in bf16 while the collector runs without pause, and
// compares bits: no state of a product may be lost when a thread is taken away.
func TestPairsUnderCollection(t *testing.T) {
	for _, level := range kernel.Levels() {
		restore := kernel.SetLevel(level)
		const m, n, k = 70, 200, 130
		source := &bench{T: t, rand: rand.New(rand.NewPCG(5, 6))}
		x := kernel.Matrix{Data: source.normal(m * k), Rows: m, Cols: k, Stride: k}
		w := kernel.Quantise(kernel.BFloat16, source.normal(n*k), n, k)
		product := func() []float32 {
			c := kernel.Matrix{Data: make([]float32, m*n), Rows: m, Cols: n, Stride: n}
			kernel.ProductNT(nil, kernel.BF16, c, x, w, false)
			return c.Data
		}
		want := product()
		var wait sync.WaitGroup
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.GC()
				}
			}
		}()
		for range 4 {
			wait.Go(func() {
				for range 20 {
					if !slices.Equal(product(), want) {
						t.Errorf("%v: a product has other bits", level)
					}
				}
			})
		}
		wait.Wait()
		close(stop)
		restore()
	}
}

// TestRowProducts: several matrices at once give the bits of one after the other, wherever
// the threads' parts end.
func TestRowProducts(t *testing.T) {
	everywhere(t, func(b *bench) {
		const k = 192
		for _, s := range storages {
			x, _ := b.matrix(1, k, 0, false)
			var ws []kernel.Weights
			var cs []kernel.Matrix
			var wants [][]float32
			for _, n := range []int{32, 160, 96} {
				w := kernel.Quantise(s, b.normal(n*k), n, k)
				want := make([]float32, n)
				kernel.ProductNT(b.team, kernel.FP32, kernel.Matrix{Data: want, Rows: 1, Cols: n, Stride: n}, x, w, false)
				if w = w.InPanels(b.team); !w.Panels() {
					continue // the level has no code for them
				}
				ws, wants = append(ws, w), append(wants, want)
				cs = append(cs, kernel.Matrix{Data: b.out(fmt.Sprint(n), n, nil), Rows: 1, Cols: n, Stride: n})
			}
			kernel.RowProducts(b.team, cs, x, func(i int) kernel.Weights { return ws[i] })
			b.want(s.String(), wants...)
		}
	})
}

// Products with a stored matrix allocate nothing once buffers have grown.
func TestProductAllocates(t *testing.T) {
	team := kernel.NewTeam(2)
	defer team.Close()
	const m, n, k = 40, 300, 100
	x := kernel.Matrix{Data: make([]float32, m*k), Rows: m, Cols: k, Stride: k}
	c := kernel.Matrix{Data: make([]float32, m*n), Rows: m, Cols: n, Stride: n}
	for _, s := range storages {
		w := kernel.Quantise(s, make([]float32, n*k), n, k)
		for _, how := range []kernel.Arithmetic{kernel.FP32, kernel.BF16} {
			if a := testing.AllocsPerRun(20, func() { kernel.ProductNT(team, how, c, x, w, false) }); a > 0.5 {
				t.Errorf("%v %v: %g allocations a product", s, how, a)
			}
		}
	}
}
