package op_test

import (
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/op"
	"gotune/internal/ref"
)

func TestEmbedding(t *testing.T) {
	b := newBench(t)
	table, tw := b.floats("table", 5, 3)
	r, rw := b.floats("r", 4, 3)
	ids := []int32{4, 0, 4, 2}
	y := must(op.Embedding(op.Leaf(table), b.ints("ids", ids...)))
	b.gradients(y, ref.Embedding64(tw, ids, 3), r, want{table, ref.EmbeddingBackward64(rw, ids, 5, 3)})
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

func TestRows(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 5, 3)
	y := must(op.Rows(x, b.ints("index", 3, -1, 0)))
	r, rw := b.floats("r", 3, 3)
	y0 := []float64{xw[9], xw[10], xw[11], 0, 0, 0, xw[0], xw[1], xw[2]}
	dx := make([]float64, 15)
	copy(dx[9:12], rw[0:3])
	copy(dx[0:3], rw[6:9])
	b.gradients(y, y0, r, want{x, dx})
}

func TestRowsOutside(t *testing.T) {
	b := newBench(t)
	x, _ := b.floats("x", 5, 3)
	p := must(exec.NewArena(nil).Compile(b.g, exec.Config{Outputs: []*gorgonia.Node{must(op.Rows(x, b.ints("index", 5)))}}))
	if err := p.Run(); err == nil || err.Error() != "rows: row 5 at position 0 is outside 0…4 and is not -1" {
		t.Error(err)
	}
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
