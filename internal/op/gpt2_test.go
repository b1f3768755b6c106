package op_test

import (
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/ref"
)

func TestLayerNorm(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 24)
	w, ww := b.floats("w", 24)
	bias, bw := b.floats("bias", 24)
	r, rw := b.floats("r", 4, 24)
	dx, dw, db := ref.LayerNormBackward64(rw, xw, ww, 4, 24, 1e-5)
	y := must(op.LayerNorm(x, w, bias, 1e-5))
	b.gradients(y, ref.LayerNorm64(xw, ww, bw, 4, 24, 1e-5), r, want{x, dx}, want{w, dw}, want{bias, db})
}

func TestGELU(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 21)
	r, rw := b.floats("r", 3, 21)
	y := must(op.GELU(x, kernel.GELUTanh))
	b.gradients(y, ref.GELU64(xw), r, want{x, ref.GELUBackward64(rw, xw)})
}

// Queries, keys and values out of one matrix: the gradients of the parts lie
// beside each other.
func TestColumns(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 12)
	r, rw := b.floats("r", 3, 4)
	sum, dx := make([]float64, 12), make([]float64, 36)
	for i := range 3 {
		for j := range 4 {
			for part := range 3 {
				sum[i*4+j] += xw[i*12+part*4+j]
				dx[i*12+part*4+j] = rw[i*4+j]
			}
		}
	}
	y := must(op.Add(must(op.Add(must(op.Columns(x, 0, 4)), must(op.Columns(x, 4, 8)))), must(op.Columns(x, 8, 12))))
	b.gradients(y, sum, r, want{x, dx})

	b = newBench(t)
	x, xw = b.floats("x", 3, 12)
	r, rw = b.floats("r", 3, 5)
	var part []float64
	dx = make([]float64, 36)
	for i := range 3 {
		part = append(part, xw[i*12+2:i*12+7]...)
		copy(dx[i*12+2:], rw[i*5:(i+1)*5])
	}
	b.gradients(must(op.Columns(x, 2, 7)), part, r, want{x, dx})
}

func TestPositionEmbedding(t *testing.T) {
	b := newBench(t)
	table, tw := b.floats("table", 5, 3)
	r, rw := b.floats("r", 4, 3)
	positions := []int32{0, 1, 0, 4}
	y := must(op.PositionEmbedding(op.Leaf(table), b.ints("positions", positions...)))
	b.gradients(y, ref.Embedding64(tw, positions, 3), r, want{table, ref.EmbeddingBackward64(rw, positions, 5, 3)})

	b = newBench(t)
	table, _ = b.floats("table", 5, 3)
	y = must(op.PositionEmbedding(op.Leaf(table), b.ints("positions", 0, 5)))
	p := must(exec.NewArena(nil).Compile(b.g, exec.Config{Outputs: []*gorgonia.Node{y}}))
	if err := p.Run(); err == nil || err.Error() != "embedding: position 5 of token 1 is outside 0…4" {
		t.Errorf("a position beyond the table: %v", err)
	}
}
