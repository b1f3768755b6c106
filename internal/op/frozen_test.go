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

// TestFrozen holds linear layers, head and embedding with a frozen weight, in every
// storage, against the same with a node of the widened numbers: all bits are equal,
// in both arithmetics, and the frozen weight takes no part in the graph.
func TestFrozen(t *testing.T) {
	for _, storage := range []kernel.Storage{kernel.Float32, kernel.BFloat16, kernel.Int8, kernel.NF4} {
		for flags := range 4 {
			conv, how := flags&1 != 0, kernel.Arithmetic(flags>>1)
			var outs [2][][]float32
			for i := range outs {
				b := newBench(t)
				weight := func(name string, rows, cols int) op.Weight {
					_, values := b.floats("source of "+name, rows, cols)
					data := make([]float32, len(values))
					for j, v := range values {
						data[j] = float32(v)
					}
					w := kernel.Quantise(storage, data, rows, cols)
					if i == 0 {
						return op.Weight{Frozen: &w, Arithmetic: how}
					}
					n := gorgonia.NewTensor(b.g, tensor.Float32, 2, gorgonia.WithShape(rows, cols), gorgonia.WithName(name),
						gorgonia.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(w.Float32s()))))
					return op.Weight{Node: n, Arithmetic: how}
				}
				table := weight("table", 11, 70)
				first, second := weight("first", 70, 70), weight("second", 70, 70)
				first.Conv1D, second.Conv1D = conv, conv
				a, _ := b.floats("a", 3, 70)
				low, _ := b.floats("b", 70, 3)
				bias, _ := b.floats("bias", 70)
				h := must(op.Embedding(table, b.ints("ids", 1, 0, 10, 3)))
				h = must(op.LoRALinear(h, first, bias, a, low, 2, nil))
				h = must(op.LoRALinear(must(op.Linear(h, second, bias)), first, nil, a, low, 0.5, &op.Dropout{P: 0.5, Key: b.ints("key", 4, 5), Stream: 1}))
				loss, nll, _, err := op.CrossEntropy(h, table, b.ints("targets", 3, -100, 10, 0), b.vector("weights", 1, 1, 2, 1), b.scalar("scale", 0.5))
				if err != nil {
					t.Fatal(err)
				}
				grads, err := op.Grad(loss, a, low, bias)
				if err != nil {
					t.Fatal(err)
				}
				c := exec.Config{Outputs: []*gorgonia.Node{loss, nll}, Poison: true}
				for _, g := range grads {
					c.Gradients = append(c.Gradients, exec.Gradient{Node: g, Into: make([]float32, g.Shape().TotalSize())})
				}
				p := must(exec.NewArena(nil).Compile(b.g, c))
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
				for _, n := range c.Outputs {
					outs[i] = append(outs[i], slices.Clone(p.Value(n)))
				}
				for _, g := range c.Gradients {
					outs[i] = append(outs[i], g.Into)
				}
			}
			for j, want := range outs[1] {
				if !slices.Equal(outs[0][j], want) {
					t.Fatalf("%v %v conv %v: output %d is %v, with a node %v", storage, how, conv, j, outs[0][j], want)
				}
			}
		}
	}
}

// TestBF16Layer holds a linear layer in bf16, its gradients too, against float64: the
// factors of each product are off by 2⁻⁸ at most.
func TestBF16Layer(t *testing.T) {
	b := newBench(t)
	const n, in, out = 7, 40, 19
	x, xw := b.floats("x", n, in)
	w, ww := b.floats("w", out, in)
	r, rw := b.floats("r", n, out)
	y := must(op.Linear(x, op.Weight{Node: w, Arithmetic: kernel.BF16}, nil))
	grads := must(op.Grad(must(op.Dot(y, r)), x, w))
	dx, dw, _ := ref.LinearBackward64(rw, xw, ww, n, in, out)
	c := exec.Config{Outputs: []*gorgonia.Node{y}}
	for _, g := range grads {
		c.Gradients = append(c.Gradients, exec.Gradient{Node: g, Into: make([]float32, g.Shape().TotalSize())})
	}
	p := must(exec.NewArena(nil).Compile(b.g, c))
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string]struct {
		got  []float32
		want []float64
	}{
		"y": {p.Value(y), ref.Linear64(xw, ww, nil, n, in, out)}, "dx": {c.Gradients[0].Into, dx}, "dw": {c.Gradients[1].Into, dw},
	} {
		var off, size float64
		for i, v := range pair.want {
			off += (float64(pair.got[i]) - v) * (float64(pair.got[i]) - v)
			size += v * v
		}
		// Rounding to eight bits is an error of about 2^-9 of a factor.
		if ratio := math.Sqrt(off / size); ratio > 0x1p-8 || ratio < 0x1p-12 {
			t.Errorf("%s is off by %.1e of its size", what, ratio)
		}
	}
}
