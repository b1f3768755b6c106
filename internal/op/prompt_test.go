package op_test

import (
	"math"
	"testing"

	"gotune/internal/op"
)

// Two segments: tokens 0, 1 and 3, 4 stand for rows of the table, whose gradients add up.
func TestPrompt(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 6, 3)
	table, tw := b.floats("table", 2, 3)
	r, rw := b.floats("r", 6, 3)
	var y []float64
	dx, dtable := make([]float64, 18), make([]float64, 6)
	positions := []int32{0, 1, 2, 0, 1, 2}
	for i, p := range positions {
		for j := range 3 {
			if p < 2 {
				y = append(y, tw[int(p)*3+j])
				dtable[int(p)*3+j] += rw[i*3+j]
			} else {
				y = append(y, xw[i*3+j])
				dx[i*3+j] = rw[i*3+j]
			}
		}
	}
	b.gradients(must(op.Prompt(x, table, b.ints("positions", positions...))), y, r, want{x, dx}, want{table, dtable})
}

func TestTanh(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 3)
	r, rw := b.floats("r", 4, 3)
	y, dx := make([]float64, 12), make([]float64, 12)
	for i, v := range xw {
		y[i] = math.Tanh(v)
		dx[i] = rw[i] * (1 - y[i]*y[i])
	}
	b.gradients(must(op.Tanh(x)), y, r, want{x, dx})
}
