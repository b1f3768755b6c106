package op_test

import (
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/op"
	"gotune/internal/ref"
)

// The second size needs several chunks of rows, and a limit caps the logits.
func TestCrossEntropy(t *testing.T) {
	for _, limit := range []float64{0, 2} {
		for _, n := range []int{23, 1100} {
			b := newBench(t)
			c, v := 8, 50
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
}

func TestCrossEntropyWithoutTargets(t *testing.T) {
	b := newBench(t)
	h, _ := b.floats("hidden", 3, 4)
	w, _ := b.floats("weight", 5, 4)
	loss, nll, hit, err := op.CrossEntropy(h, op.Leaf(w), b.ints("targets", -100, -100, -100), b.vector("weights", 1, 1, 1), b.scalar("scale", 1))
	if err != nil {
		t.Fatal(err)
	}
	b.check(loss, []*gorgonia.Node{loss, nll, hit}, [][]float64{{0}, {0, 0, 0}, {0, 0, 0}},
		[]*gorgonia.Node{h, w}, []want{{h, make([]float64, 12)}, {w, make([]float64, 20)}})
}

// TestCrossEntropyScaled: something is computed from the loss, so that its
// gradient is not 1.
func TestCrossEntropyScaled(t *testing.T) {
	b := newBench(t)
	h, hw := b.floats("hidden", 4, 3)
	w, ww := b.floats("weight", 6, 3)
	targets := []int32{5, -100, 0, 2}
	loss, _, _, err := op.CrossEntropy(h, op.Leaf(w), b.ints("targets", targets...), b.vector("weights", 1, 1, 2, 1), b.scalar("scale", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, dh, dw := ref.CrossEntropy64(hw, ww, targets, []float32{1, 1, 2, 1}, 1.5, 3)
	b.check(must(op.Triple(loss)), nil, nil, []*gorgonia.Node{h, w}, []want{{h, dh}, {w, dw}})
}
