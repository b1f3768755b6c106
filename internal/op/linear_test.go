package op_test

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/op"
	"gotune/internal/ref"
)

// A weight of Conv1D is the transpose of one of Linear, and so is its gradient.
func TestLinear(t *testing.T) {
	for flags := range 4 {
		bias, conv := flags&1 != 0, flags&2 != 0
		b := newBench(t)
		x, xw := b.floats("x", 7, 12)
		w, ww := b.weight("w", conv, 19, 12)
		r, rw := b.floats("r", 7, 19)
		dx, dw, db := ref.LinearBackward64(rw, xw, ww, 7, 12, 19)
		wants := []want{{x, dx}, {w, stored(conv, dw, 19, 12)}}
		var bn *gorgonia.Node
		var bw []float64
		if bias {
			bn, bw = b.floats("bias", 19)
			wants = append(wants, want{bn, db})
		}
		y := must(op.Linear(x, op.Weight{Node: w, Conv1D: conv}, bn))
		b.gradients(y, ref.Linear64(xw, ww, bw, 7, 12, 19), r, wants...)
	}
}

// weight makes a leaf of a linear layer's weight; the values come back as [out, in].
func (b *bench) weight(name string, conv bool, out, in int) (*gorgonia.Node, []float64) {
	if !conv {
		return b.floats(name, out, in)
	}
	n, w := b.floats(name, in, out)
	return n, ref.Transposed64(w, in, out)
}

// stored brings [out, in] into the order in which the weight lies.
func stored(conv bool, w []float64, out, in int) []float64 {
	if conv {
		return ref.Transposed64(w, out, in)
	}
	return w
}

// adapted is a layer with an adapter, in a bench.
type adapted struct {
	*ref.LoRA64
	x, w, a, b, bias *gorgonia.Node // bias is nil without
	drop             *op.Dropout    // nil without
	conv             bool
}

// everyAdapted calls test with layers with and without dropout and bias, of weights that
// lie either way.
func everyAdapted(t *testing.T, test func(b *bench, l adapted)) {
	for flags := range 8 {
		p, bias, conv := float64(flags&1)/2, flags&2 != 0, flags&4 != 0
		b := newBench(t)
		l := adapted{LoRA64: &ref.LoRA64{N: 7, In: 12, Out: 19, Rank: 4, Scale: 2}, conv: conv}
		l.x, l.X = b.floats("x", l.N, l.In)
		l.w, l.W = b.weight("w", conv, l.Out, l.In)
		l.a, l.A = b.floats("a", l.Rank, l.In)
		l.b, l.B = b.floats("b", l.Out, l.Rank)
		if bias {
			l.bias, l.Bias = b.floats("bias", l.Out)
		}
		if p > 0 {
			l.drop = &op.Dropout{P: p, Key: b.ints("key", 11, -7), Stream: 3}
			l.Mask = op.DropoutMask(l.drop, [2]int32{11, -7}, l.N*l.In)
		}
		test(b, l)
	}
}

func TestLoRALinear(t *testing.T) {
	everyAdapted(t, func(b *bench, l adapted) {
		r, rw := b.floats("r", l.N, l.Out)
		y := must(op.LoRALinear(l.x, op.Weight{Node: l.w, Conv1D: l.conv}, l.bias, l.a, l.b, l.Scale, l.drop))
		dx, dw, da, db, dbias := ref.LoRALinearBackward64(l.LoRA64, rw)
		wants := []want{{l.x, dx}, {l.w, stored(l.conv, dw, l.Out, l.In)}, {l.a, da}, {l.b, db}}
		if l.bias != nil {
			wants = append(wants, want{l.bias, dbias})
		}
		b.gradients(y, ref.LoRALinear64(l.LoRA64), r, wants...)
	})
}

func TestDropoutMask(t *testing.T) {
	d := &op.Dropout{P: 0.25, Stream: 1}
	mask := op.DropoutMask(d, [2]int32{1, 2}, 4000)
	zeros := 0
	for _, m := range mask {
		if m == 0 {
			zeros++
		} else if math.Abs(m-1/0.75) > 1e-6 {
			t.Fatalf("a mask value is %g", m)
		}
	}
	// The standard deviation of the count is √(4000·0.25·0.75) = 27.
	if zeros < 890 || zeros > 1110 {
		t.Errorf("%d of 4000 elements dropped at p = 0.25", zeros)
	}
	same := func(other []float64) bool {
		for i := range mask {
			if mask[i] != other[i] {
				return false
			}
		}
		return true
	}
	if !same(op.DropoutMask(d, [2]int32{1, 2}, 4000)) {
		t.Error("the mask is not a function of the key")
	}
	if same(op.DropoutMask(d, [2]int32{1, 3}, 4000)) || same(op.DropoutMask(&op.Dropout{P: 0.25, Stream: 2}, [2]int32{1, 2}, 4000)) {
		t.Error("another key or stream gives the same mask")
	}
}
