package kernel_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

// TestAttentionBF16 compares bits with the twin's products of whole matrices.
func TestAttentionBF16(t *testing.T) {
	type wants struct{ o, lse, dq, dk, dv []float32 }
	twins := make(map[string]wants) // every level and team is given the same numbers
	everywhere(t, func(b *bench) {
		for _, c := range attentionCases() {
			if c.T > 600 {
				continue // the twin goes through T² pairs
			}
			s, n, p := c.AttentionShape, c.B*c.T, c.positions()
			wide, narrow := n*s.Heads*s.HeadDim, n*s.KVHeads*s.HeadDim
			q, k, v, do := b.normal(wide), b.normal(narrow), b.normal(narrow), b.normal(wide)
			name := fmt.Sprint(c, b.level == kernel.AMX)
			w, ok := twins[name]
			if !ok {
				w = wants{make([]float32, wide), make([]float32, n*s.Heads), make([]float32, wide), make([]float32, narrow), make([]float32, narrow)}
				ref.AttentionBF16(b.twinBF16(), w.o, w.lse, q, k, v, c.reach(), twin(s))
				ref.AttentionBackwardBF16(b.twinBF16(), w.dq, w.dk, w.dv, do, w.o, w.lse, q, k, v, c.reach(), twin(s))
				twins[name] = w
			}
			rounded := make([]float32, kernel.AttentionRounded(s))
			kernel.AttentionBF16(b.team, b.out("o", wide, nil), b.out("lse", n*s.Heads, nil), rounded, q, k, v, p, s)
			b.want(name, w.o, w.lse)
			kernel.AttentionBackwardBF16(b.team, b.out("dq", wide, nil), b.out("dk", narrow, nil), b.out("dv", narrow, nil), do, w.lse, rounded, p, s)
			b.want(name, w.dq, w.dk, w.dv)
		}
	})
}

// TestAttentionBF16Bound holds attention in bf16 against float64 with the same rounded q, k
// and v. An exponential is then off by at most 2⁻⁸ of itself, and so is what it adds to o.
// A gradient is made of rounded factors two and three times over and of a difference, so
// that it is held in the norm, by 2⁻⁶.
func TestAttentionBF16Bound(t *testing.T) {
	everywhere(t, func(b *bench) {
		c := attentionCase{shape(2, 90, 4, 2, 40), []int{31, 50}}
		s, n, p := c.AttentionShape, c.B*c.T, c.positions()
		wide, narrow := n*s.Heads*s.HeadDim, n*s.KVHeads*s.HeadDim
		inputs := [4][]float32{b.normal(wide), b.normal(narrow), b.normal(narrow), b.normal(wide)}
		var exact [4][]float64
		for i, x := range inputs {
			for j, v := range x {
				if i < 3 {
					x[j] = ref.RoundBF16(v)
				}
				exact[i] = append(exact[i], float64(x[j]))
			}
		}
		shape64, scale := ref.Attention64Shape{B: s.B, T: s.T, Heads: s.Heads, KVHeads: s.KVHeads, HeadDim: s.HeadDim}, float64(s.Scale)
		abs := make([]float64, len(exact[2]))
		for i, v := range exact[2] {
			abs[i] = math.Abs(v)
		}
		o, bound := ref.Attention64(exact[0], exact[1], exact[2], p, shape64, scale), ref.Attention64(exact[0], exact[1], abs, p, shape64, scale)
		got, lse, rounded := make([]float32, wide), make([]float32, n*s.Heads), make([]float32, kernel.AttentionRounded(s))
		kernel.AttentionBF16(b.team, got, lse, rounded, inputs[0], inputs[1], inputs[2], p, s)
		for i, want := range o {
			if diff := math.Abs(float64(got[i]) - want); diff > bound[i]*(0x1p-8+1e-5) {
				b.Fatalf("o[%d] = %g, exactly %g: off by %g, more than 2⁻⁸ of %g", i, got[i], want, diff, bound[i])
			}
		}
		dq, dk, dv := ref.AttentionBackward64(exact[3], exact[0], exact[1], exact[2], p, shape64, scale)
		gotq, gotk, gotv := make([]float32, wide), make([]float32, narrow), make([]float32, narrow)
		kernel.AttentionBackwardBF16(b.team, gotq, gotk, gotv, inputs[3], lse, rounded, p, s)
		for name, x := range map[string]struct {
			got  []float32
			want []float64
		}{"dq": {gotq, dq}, "dk": {gotk, dk}, "dv": {gotv, dv}} {
			var off, size float64
			for i, want := range x.want {
				off += (float64(x.got[i]) - want) * (float64(x.got[i]) - want)
				size += want * want
			}
			if share := math.Sqrt(off / size); share > 0x1p-6 || share == 0 {
				b.Fatalf("%s is off by %.2g of its norm", name, share)
			}
		}
	})
}

// TestAttentionBF16Packed: a segment that begins at an even token has the bits that it has
// alone, and so have its gradients. Tiles of AMX sum 32 tokens in another order.
func TestAttentionBF16Packed(t *testing.T) {
	everywhere(t, func(b *bench) {
		if b.level == kernel.AMX {
			b.Skip("AMX makes other sums of it")
		}
		const at, n = 22, 77
		alone, packed := shape(1, n, 2, 1, 16), shape(1, 128, 2, 1, 16)
		q, k, v, do := b.normal(packed.T*32), b.normal(packed.T*16), b.normal(packed.T*16), b.normal(packed.T*32)
		run := func(s kernel.AttentionShape, segments []int, first int) (o, dq, dk, dv []float32) {
			wide, narrow := s.T*32, s.T*16
			lse, rounded, p := make([]float32, s.T*2), make([]float32, kernel.AttentionRounded(s)), attentionCase{s, segments}.positions()
			o, dq, dk, dv = make([]float32, wide), make([]float32, wide), make([]float32, narrow), make([]float32, narrow)
			kernel.AttentionBF16(b.team, o, lse, rounded, q[first*32:], k[first*16:], v[first*16:], p, s)
			kernel.AttentionBackwardBF16(b.team, dq, dk, dv, do[first*32:], lse, rounded, p, s)
			return o, dq, dk, dv
		}
		o, dq, dk, dv := run(packed, []int{at, n, 20}, 0)
		o2, dq2, dk2, dv2 := run(alone, []int{n}, at)
		for name, x := range map[string][2][]float32{
			"o": {o[at*32:][:n*32], o2}, "dq": {dq[at*32:][:n*32], dq2}, "dk": {dk[at*16:][:n*16], dk2}, "dv": {dv[at*16:][:n*16], dv2},
		} {
			if !slices.Equal(x[0], x[1]) {
				b.Fatalf("%s depends on what the segment is packed with", name)
			}
		}
	})
}
