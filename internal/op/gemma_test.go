package op_test

import (
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/ref"
)

func TestUnitRMSNorm(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 24)
	w, ww := b.floats("w", 24)
	r, rw := b.floats("r", 4, 24)
	dx, dw := ref.UnitRMSNormBackward64(rw, xw, ww, 4, 24, 1e-5)
	y := must(op.UnitRMSNorm(x, w, 1e-5))
	b.gradients(y, ref.UnitRMSNorm64(xw, ww, 4, 24, 1e-5), r, want{x, dx}, want{w, dw})
}

// A weight of the width of a head normalises each head.
func TestUnitRMSNormOfHeads(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 24)
	w, ww := b.floats("w", 8)
	r, rw := b.floats("r", 4, 24)
	dx, dw := ref.UnitRMSNormBackward64(rw, xw, ww, 12, 8, 1e-5)
	y := must(op.UnitRMSNorm(x, w, 1e-5))
	b.gradients(y, ref.UnitRMSNorm64(xw, ww, 12, 8, 1e-5), r, want{x, dx}, want{w, dw})
}

func TestExactGELU(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 21)
	r, rw := b.floats("r", 3, 21)
	y := must(op.GELU(x, kernel.GELUExact))
	b.gradients(y, ref.GELUExact64(xw), r, want{x, ref.GELUExactBackward64(rw, xw)})
}

func TestGeGLU(t *testing.T) {
	for _, form := range []kernel.GELUForm{kernel.GELUTanh, kernel.GELUExact} {
		b := newBench(t)
		gate, gw := b.floats("gate", 3, 21)
		up, uw := b.floats("up", 3, 21)
		r, rw := b.floats("r", 3, 21)
		exact := form == kernel.GELUExact
		dg, du := ref.GeGLUBackward64(rw, gw, uw, exact)
		b.gradients(must(op.GeGLU(gate, up, form)), ref.GeGLU64(gw, uw, exact), r, want{gate, dg}, want{up, du})
	}
}

func TestSoftCap(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 50)
	y := must(op.SoftCap(x, 0.5))
	p := must(exec.NewArena(nil).Compile(b.g, exec.Config{Outputs: []*gorgonia.Node{y}}))
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	capped, _ := ref.SoftCap64(xw, 0.5)
	near(t, "capped", p.Value(y), capped)
}

// Queries, keys and values of a head lie beside each other.
func TestColumnsOfHeads(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 12) // two heads of 3·2
	r, rw := b.floats("r", 3, 4)
	sum, dx := make([]float64, 12), make([]float64, 36)
	for i := range 3 {
		for h := range 2 {
			for e := range 2 {
				at := i*4 + h*2 + e
				for part := range 3 {
					from := i*12 + h*6 + part*2 + e
					sum[at] += float64(part+1) * xw[from]
					dx[from] = float64(part+1) * rw[at]
				}
			}
		}
	}
	q, k, v := must(op.ColumnsOfHeads(x, 2, 0, 2)), must(op.ColumnsOfHeads(x, 2, 2, 4)), must(op.ColumnsOfHeads(x, 2, 4, 6))
	y := must(op.Add(must(op.Add(q, must(op.Scale(k, 2)))), must(op.Scale(v, 3))))
	b.gradients(y, sum, r, want{x, dx})
}

// The second size needs several chunks of rows.
func TestCappedCrossEntropy(t *testing.T) {
	for _, n := range []int{23, 1100} {
		b := newBench(t)
		c, v, limit := 8, 50, 2.0
		h, hw := b.floats("hidden", n, c)
		w, ww := b.floats("weight", v, c)
		targets, weights := make([]int32, n), make([]float32, n)
		for i := range targets {
			targets[i] = int32(b.rand.IntN(v))
			weights[i] = []float32{1, 1, 0.25, 3}[i%4]
			if i%3 == 0 && i < 500 {
				targets[i] = -100
			}
		}
		loss, nll, hit, err := op.CappedCrossEntropy(h, op.Leaf(w), limit, b.ints("targets", targets...), b.vector("weights", weights...), b.scalar("scale", 0.125))
		if err != nil {
			t.Fatal(err)
		}
		lossWant, nllWant, hitWant, dh, dw := ref.CappedCrossEntropy64(hw, ww, targets, weights, 0.125, c, limit)
		b.check(loss, []*gorgonia.Node{loss, nll, hit}, [][]float64{{lossWant}, nllWant, hitWant},
			[]*gorgonia.Node{h, w}, []want{{h, dh}, {w, dw}})
	}
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
