package model

import "context"

// Logits returns the logits after a prompt.
func (g *Generator) Logits(ctx context.Context, prompt []int32) ([]float32, error) {
	return g.feed(ctx, prompt)
}
