package kernel_test

import (
	"fmt"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

// TestAttentionBF16 compares bits with the twin's products of whole matrices.
func TestAttentionBF16(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, c := range attentionCases() {
			s, n, p := c.AttentionShape, c.B*c.T, c.positions()
			wide, narrow := n*s.Heads*s.HeadDim, n*s.KVHeads*s.HeadDim
			q, k, v, do := b.normal(wide), b.normal(narrow), b.normal(narrow), b.normal(wide)
			o, lse := make([]float32, wide), make([]float32, n*s.Heads)
			ref.AttentionBF16(b.twinBF16(), o, lse, q, k, v, p, ref.AttentionShape(s))
			rounded := make([]float32, kernel.AttentionRounded(s))
			kernel.AttentionBF16(b.team, b.out("o", wide, nil), b.out("lse", len(lse), nil), rounded, q, k, v, p, s)
			b.want(fmt.Sprint(c), o, lse)

			dq, dk, dv := make([]float32, wide), make([]float32, narrow), make([]float32, narrow)
			ref.AttentionBackwardBF16(b.twinBF16(), dq, dk, dv, do, o, lse, q, k, v, p, ref.AttentionShape(s))
			kernel.AttentionBackwardBF16(b.team, b.out("dq", wide, nil), b.out("dk", narrow, nil), b.out("dv", narrow, nil),
				do, lse, rounded, p, s)
			b.want(fmt.Sprint(c), dq, dk, dv)
		}
	})
}
