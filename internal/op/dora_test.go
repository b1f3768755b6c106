package op_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/ref"
)

// The gradients are those of finite differences in float64, the lengths of the rows held
// fixed.
func TestDoRALinear(t *testing.T) {
	everyAdapted(t, func(b *bench, l adapted) {
		m, mw := b.floats("m", l.Out)
		r, rw := b.floats("r", l.N, l.Out)
		y := must(op.DoRALinear(l.x, op.Weight{Node: l.w, Conv1D: l.conv}, l.bias, l.a, l.b, m, l.Scale, l.drop))
		norms := l.RowNorms64()
		slope := func(values []float64) []float64 {
			grad := make([]float64, len(values))
			cost := func() (sum float64) {
				for i, v := range ref.DoRALinear64(l.LoRA64, mw, norms) {
					sum += v * rw[i]
				}
				return sum
			}
			for i, v := range values {
				const h = 1e-4 // the cost is at most quadratic in each: central differences are exact
				values[i] = v + h
				up := cost()
				values[i] = v - h
				grad[i] = (up - cost()) / (2 * h)
				values[i] = v
			}
			return grad
		}
		wants := []want{{l.x, slope(l.X)}, {l.a, slope(l.A)}, {l.b, slope(l.B)}, {m, slope(mw)}}
		if l.bias != nil {
			wants = append(wants, want{l.bias, slope(l.Bias)})
		}
		b.gradients(y, ref.DoRALinear64(l.LoRA64, mw, norms), r, wants...)
	})
}

// The lengths of the rows of a matrix of more than one piece, in every storage and in
// panels, against float64.
func TestRowLengths(t *testing.T) {
	const rows, cols, rank = 192, 64, 3
	b := newBench(t)
	_, values := b.floats("w", rows, cols)
	_, a := b.floats("a", rank, cols)
	_, bm := b.floats("b", rows, rank)
	small := func(x []float64) []float32 {
		s := make([]float32, len(x))
		for i, v := range x {
			s[i] = float32(v)
		}
		return s
	}
	for _, storage := range []kernel.Storage{kernel.Float32, kernel.BFloat16, kernel.Int8, kernel.NF4} {
		w := kernel.Quantise(storage, small(values), rows, cols)
		wide := w.Float32s()
		plain := &ref.LoRA64{In: cols, Out: rows, Rank: rank, Scale: 0.5, A: a, B: bm, W: make([]float64, len(wide))}
		// The same numbers as a Conv1D of [in, out] have their factors exchanged.
		conv := &ref.LoRA64{In: rows, Out: cols, Rank: rank, Scale: 0.5, W: make([]float64, len(wide))}
		for i, v := range wide {
			plain.W[i] = float64(v)
			conv.W[i%cols*rows+i/cols] = float64(v)
		}
		conv.A, conv.B = transposed(bm, rows, rank), transposed(a, rank, cols)
		closeTo(t, storage.String(), op.RowLengths(w, false, small(a), small(bm), rank, 0.5), plain.RowNorms64())
		closeTo(t, storage.String()+", Conv1D", op.RowLengths(w, true, small(conv.A), small(conv.B), rank, 0.5), conv.RowNorms64())
		panels := w.InPanels(nil)
		if !slices.Equal(op.RowLengths(panels, false, small(a), small(bm), rank, 0.5), op.RowLengths(w, false, small(a), small(bm), rank, 0.5)) {
			t.Errorf("%v: panels give other lengths", storage)
		}
	}
}

func transposed(x []float64, rows, cols int) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i%cols*rows+i/cols] = v
	}
	return y
}

func closeTo(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 3e-7*w) {
			t.Errorf("%s: length %d is %g, want %g", what, i, got[i], w)
			return
		}
	}
}

// With a frozen weight in any storage, and the lengths of its rows kept between runs, the
// numbers are those of a weight that is a node, also after a changed.
func TestDoRAFrozen(t *testing.T) {
	for _, storage := range []kernel.Storage{kernel.Float32, kernel.BFloat16, kernel.Int8, kernel.NF4} {
		var outs [2][][]float32
		for i := range outs {
			b := newBench(t)
			x, _ := b.floats("x", 5, 70)
			_, values := b.floats("source", 70, 70)
			data := make([]float32, len(values))
			for j, v := range values {
				data[j] = float32(v)
			}
			w := kernel.Quantise(storage, data, 70, 70)
			weight := op.Weight{Frozen: &w}
			if i == 1 {
				weight = op.Leaf(gorgonia.NewTensor(b.g, tensor.Float32, 2, gorgonia.WithShape(70, 70), gorgonia.WithName("w"),
					gorgonia.WithValue(tensor.New(tensor.WithShape(70, 70), tensor.WithBacking(w.Float32s())))))
			}
			a, _ := b.floats("a", 3, 70)
			low, _ := b.floats("b", 70, 3)
			m, _ := b.floats("m", 70)
			r, _ := b.floats("r", 5, 70)
			y := must(op.DoRALinear(x, weight, nil, a, low, m, 2, nil))
			grads := must(op.Grad(must(op.Dot(y, r)), a, m))
			c := exec.Config{Outputs: []*gorgonia.Node{y}, Poison: true}
			for _, g := range grads {
				c.Gradients = append(c.Gradients, exec.Gradient{Node: g, Into: make([]float32, g.Shape().TotalSize())})
			}
			p := must(exec.NewArena(nil).Compile(b.g, c))
			for range 3 {
				for range 2 { // the second time the lengths are known
					for _, g := range c.Gradients {
						clear(g.Into)
					}
					if err := p.Run(); err != nil {
						t.Fatal(err)
					}
					outs[i] = append(outs[i], slices.Clone(p.Value(y)), slices.Clone(c.Gradients[0].Into), slices.Clone(c.Gradients[1].Into))
				}
				a.Value().Data().([]float32)[7] += 0.5
			}
		}
		for j, want := range outs[1] {
			if !slices.Equal(outs[0][j], want) {
				t.Fatalf("%v: output %d differs from that with a node", storage, j)
			}
		}
		if slices.Equal(outs[0][0], outs[0][6]) {
			t.Error("a changed and the result did not")
		}
	}
}
