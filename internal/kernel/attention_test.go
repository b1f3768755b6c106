package kernel_test

import (
	"fmt"
	"math"
	"testing"

	"gotune/internal/kernel"
	"gotune/internal/ref"
)

type attentionCase struct {
	kernel.AttentionShape
	segments []int // lengths of the segments of a row; the rest of it is padding
}

func (c attentionCase) positions() []int32 {
	var p []int32
	for range c.B {
		row := len(p)
		for _, n := range c.segments {
			for i := range n {
				p = append(p, int32(i))
			}
		}
		for len(p) < row+c.T {
			p = append(p, 0)
		}
	}
	return p
}

// reach is how many tokens before it each token attends to: what the twins, which
// know of no window, take for positions.
func (c attentionCase) reach() []int32 {
	p := c.positions()
	for i := range p {
		if c.Window > 0 {
			p[i] = min(p[i], int32(c.Window-1))
		}
	}
	return p
}

// twin is the shape as the twins take it.
func twin(s kernel.AttentionShape) ref.AttentionShape {
	return ref.AttentionShape{B: s.B, T: s.T, Heads: s.Heads, KVHeads: s.KVHeads, HeadDim: s.HeadDim, Scale: s.Scale, Cap: s.Cap}
}

func windowed(window int, s kernel.AttentionShape) kernel.AttentionShape {
	s.Window = window
	return s
}

func capped(limit float32, s kernel.AttentionShape) kernel.AttentionShape {
	s.Cap = limit
	return s
}

func shape(b, t, heads, kv, d int) kernel.AttentionShape {
	return kernel.AttentionShape{B: b, T: t, Heads: heads, KVHeads: kv, HeadDim: d, Scale: float32(1 / math.Sqrt(float64(d)))}
}

func attentionCases() []attentionCase {
	cases := []attentionCase{
		{shape(1, 1, 1, 1, 1), []int{1}},
		{shape(2, 7, 2, 1, 8), []int{7}},
		{shape(3, 33, 4, 4, 32), []int{33}},
		{shape(2, 60, 6, 2, 20), []int{17, 30, 5}},
		{shape(1, 70, 2, 2, 64), []int{1, 1, 50, 16}},
		{windowed(2, shape(1, 20, 2, 1, 8)), []int{20}},
		{windowed(7, shape(2, 75, 4, 2, 16)), []int{5, 60, 9}},
		{windowed(40, shape(1, 101, 2, 2, 24)), []int{101}},
		{windowed(100, shape(1, 60, 2, 1, 8)), []int{60}},
		{capped(1.5, shape(2, 70, 4, 2, 20)), []int{17, 40, 5}},
		{capped(0.5, windowed(7, shape(1, 75, 2, 1, 16))), []int{5, 60, 9}},
	}
	if !testing.Short() {
		cases = append(cases,
			attentionCase{shape(1, 300, 3, 1, 16), []int{300}},
			attentionCase{shape(1, 560, 2, 2, 32), []int{20, 401, 130}},
			attentionCase{shape(1, 800, 4, 1, 8), []int{10, 700}},
			attentionCase{windowed(300, shape(1, 800, 4, 1, 8)), []int{10, 700}},
			attentionCase{capped(2, shape(1, 560, 2, 2, 32)), []int{20, 401, 130}},
			attentionCase{windowed(33, shape(1, 530, 2, 2, 32)), []int{20, 401}})
	}
	return cases
}

func TestAttention(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, c := range attentionCases() {
			s, n, p := c.AttentionShape, c.B*c.T, c.positions()
			wide, narrow := n*s.Heads*s.HeadDim, n*s.KVHeads*s.HeadDim
			q, k, v, do := b.normal(wide), b.normal(narrow), b.normal(narrow), b.normal(wide)
			o, lse := make([]float32, wide), make([]float32, n*s.Heads)
			ref.Attention(o, lse, q, k, v, c.reach(), twin(s))
			kernel.Attention(b.team, b.out("o", wide, nil), b.out("lse", len(lse), nil), q, k, v, p, s)
			b.want(fmt.Sprint(c), o, lse)

			dq, dk, dv := make([]float32, wide), make([]float32, narrow), make([]float32, narrow)
			ref.AttentionBackward(dq, dk, dv, do, o, lse, q, k, v, c.reach(), twin(s))
			kernel.AttentionBackward(b.team, b.out("dq", wide, nil), b.out("dk", narrow, nil), b.out("dv", narrow, nil),
				do, o, lse, q, k, v, p, s, nil)
			b.want(fmt.Sprint(c), dq, dk, dv)
		}
	})
}

// TestCachedAttention continues a row with a cache, in steps of several sizes, and
// must find the bits of the whole row.
func TestCachedAttention(t *testing.T) {
	everywhere(t, func(b *bench) {
		for _, c := range []attentionCase{{shape(1, 90, 4, 2, 24), []int{90}}, {shape(1, 90, 9, 3, 64), []int{90}}, {shape(1, 90, 2, 2, 5), []int{90}}, {shape(1, 90, 60, 1, 8), []int{90}}, {windowed(20, shape(1, 90, 4, 2, 24)), []int{90}}, {capped(1, shape(1, 90, 4, 2, 24)), []int{90}}} {
			s := c.AttentionShape
			wide, narrow := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
			q, k, v := b.normal(s.T*wide), b.normal(s.T*narrow), b.normal(s.T*narrow)
			o, lse := make([]float32, s.T*wide), make([]float32, s.T*s.Heads)
			kernel.Attention(b.team, o, lse, q, k, v, c.positions(), s)
			first := 0
			for _, n := range []int{1, 14, 1, 1, 23, 1, 3, 1, 44, 1} {
				got := b.out("o", n*wide, nil)
				kernel.CachedAttention(b.team, got, q[first*wide:], k, v, first, n, s)
				level := b.level
				b.level = -1 // bits, at the pure-Go level too
				b.want(fmt.Sprint(first, n), o[first*wide:(first+n)*wide])
				b.level = level
				first += n
			}
		}
	})
}

// TestAttentionPacked: a segment's bits do not depend on what it is packed with.
func TestAttentionPacked(t *testing.T) {
	everywhere(t, func(b *bench) {
		alone := attentionCase{shape(1, 37, 2, 1, 16), []int{37}}
		packed := attentionCase{shape(1, 128, 2, 1, 16), []int{21, 37, 55}}
		fill := func(c attentionCase) (q, k, v []float32) {
			n := c.T * c.HeadDim
			return b.normal(n * c.Heads), b.normal(n * c.KVHeads), b.normal(n * c.KVHeads)
		}
		q, k, v := fill(packed)
		o, lse := make([]float32, len(q)), make([]float32, packed.T*packed.Heads)
		kernel.Attention(b.team, o, lse, q, k, v, packed.positions(), packed.AttentionShape)
		const at, d = 21, 16
		got := b.out("o", 37*2*d, nil)
		kernel.Attention(b.team, got, b.out("lse", 37*2, nil), q[at*2*d:][:37*2*d], k[at*d:], v[at*d:], alone.positions(), alone.AttentionShape)
		b.level = -1
		b.want("packed", o[at*2*d:][:37*2*d], lse[at*2:][:37*2])
	})
}
