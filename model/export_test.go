package model

import "context"

// Logits returns the logits after a prompt.
func (g *Generator) Logits(ctx context.Context, prompt []int32) ([]float32, error) {
	return g.feed(ctx, prompt)
}

// Frequencies returns the sets of rotary frequencies and the factor of their sines.
func (r Rope) Frequencies(head, positions int) ([][]float64, float64) {
	return r.frequencies(head, positions)
}
