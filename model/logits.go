package model

import "context"

// Logits returns the logits of the token after a prompt, [V], which are valid until the
// next call. As with Generate, tokens of an earlier call that the prompt begins with are
// not computed again.
func (g *Generator) Logits(ctx context.Context, prompt []int32) ([]float32, error) {
	return g.feed(ctx, append(make([]int32, g.Virtual, g.Virtual+len(prompt)), prompt...))
}
