package lora

import (
	"fmt"
	"slices"
	"strings"
)

// A Shrunk says what a layer lost.
type Shrunk struct {
	Module   string
	From, To int     // ranks
	Kept     float64 // share of the squared Frobenius norm of the update that is left
}

// Shrink returns an adapter of a lower rank whose updates are as near to those of ad as any
// of that rank (Eckart & Young 1936), and what each layer lost. Layers whose rank is not
// above it keep theirs. Alpha follows the rank, so that the scale stays what it was. The
// lengths of DoRA, and what is trained whole, stay as they are. PiSSA and OLoRA are made
// plain by it, since their update is what they have learned since the beginning.
func (ad *Adapter) Shrink(rank int) (*Adapter, []Shrunk, error) {
	if rank < 1 {
		return nil, nil, fmt.Errorf("shrinking: the rank is %d; it must be at least 1", rank)
	}
	if ad.Config.ChangesBase() {
		plain := ad.Plain()
		return plain.Shrink(rank)
	}
	if ranks := ad.Ranks(); rank >= ranks[len(ranks)-1] {
		return nil, nil, fmt.Errorf("shrinking: the rank is %d, and the adapter's is %d already", rank, ranks[len(ranks)-1])
	}
	small := *ad
	small.layers = make(map[string]*layer)
	small.Config.RankPattern, small.Config.AlphaPattern = nil, nil
	small.Config.Rank = min(rank, ad.Config.Rank)
	small.Config.Alpha = alphaFor(small.Config, small.Config.Rank, ad.Config.scale(ad.Config.Rank, ad.Config.Alpha))
	var lost []Shrunk
	for _, module := range ad.modules {
		l := ad.layers[module]
		to := min(rank, l.rank)
		s := blankLayer(module, l.Projection, to, 1)
		s.scale, s.m = l.scale, l.m
		s.alpha = alphaFor(small.Config, to, l.scale)
		kept := 1.0
		if to == l.rank {
			s.a.Value, s.b.Value = slices.Clone(l.a.Value), slices.Clone(l.b.Value)
		} else {
			var err error
			if kept, err = reduce(s, l, l.scale); err != nil {
				return nil, nil, fmt.Errorf("shrinking: %s: %w", module, err)
			}
		}
		if s.rank != small.Config.Rank {
			small.Config.RankPattern = with(small.Config.RankPattern, pattern(module), s.rank)
		}
		if s.alpha != small.Config.Alpha {
			small.Config.AlphaPattern = with(small.Config.AlphaPattern, pattern(module), s.alpha)
		}
		small.layers[module] = s
		lost = append(lost, Shrunk{module, l.rank, to, kept})
	}
	return &small, lost, nil
}

// pattern is a key of rank_pattern for one layer.
func pattern(module string) string { return strings.ReplaceAll(module, ".", `\.`) }

// alphaFor is the alpha with which a rank has a scale.
func alphaFor(c Config, rank int, scale float64) float64 { return scale / c.scale(rank, 1) }

// Plain returns an adapter without PiSSA's or OLoRA's beginning, for the base as it was,
// which the model gets back: of twice the rank, with B' = [B | −B₀] and A' = [A ; A₀], as
// save_pretrained of PEFT converts it, so that s·B'·A' is what was learned. Another adapter is
// returned as it is. The adapter itself is not to be used any more.
func (ad *Adapter) Plain() *Adapter {
	if !ad.Config.ChangesBase() {
		return ad
	}
	plain := *ad
	plain.Config.Init = ""
	plain.layers = make(map[string]*layer)
	plain.Config.Rank *= 2
	plain.Config.Alpha = alphaFor(plain.Config, plain.Config.Rank, ad.Config.scale(ad.Config.Rank, ad.Config.Alpha))
	plain.Config.RankPattern, plain.Config.AlphaPattern = nil, nil
	for _, module := range ad.modules {
		l := ad.layers[module]
		p := blankLayer(module, l.Projection, 2*l.rank, 1)
		p.scale, p.m = l.scale, l.m
		p.alpha = alphaFor(plain.Config, p.rank, l.scale)
		first := *l
		first.a.Value = l.a0
		first.b.Value = make([]float32, len(l.b0))
		for i, v := range l.b0 {
			first.b.Value[i] = -v
		}
		concatenate(p, []*layer{l, &first}, []float64{1, 1})
		if p.rank != plain.Config.Rank {
			plain.Config.RankPattern = with(plain.Config.RankPattern, pattern(module), p.rank)
		}
		if p.alpha != plain.Config.Alpha {
			plain.Config.AlphaPattern = with(plain.Config.AlphaPattern, pattern(module), p.alpha)
		}
		plain.layers[module] = p
		plain.before.giveBack(ad.model, module+".weight")
	}
	return &plain
}

func with[T any](m map[string]T, key string, value T) map[string]T {
	if m == nil {
		m = make(map[string]T)
	}
	m[key] = value
	return m
}
