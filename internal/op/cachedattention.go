package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
	"gotune/internal/pages"
)

// A KVCache keeps keys and values of one layer for generation, [Capacity, Width]
// each. The content of rows at and after the next position is undefined.
type KVCache struct {
	K, V            []float32
	Capacity, Width int
}

// NewKVCache makes room for capacity tokens of width KVHeads·HeadDim.
func NewKVCache(capacity, width int) *KVCache {
	return &KVCache{
		K: pages.Make[float32](capacity * width), V: pages.Make[float32](capacity * width),
		Capacity: capacity, Width: width,
	}
}

// Grow makes room for more tokens and keeps those that are there.
func (c *KVCache) Grow(capacity int) {
	k, v := c.K, c.V
	*c = *NewKVCache(max(capacity, c.Capacity), c.Width)
	copy(c.K, k)
	copy(c.V, v)
}

type cachedAttention struct {
	noScratch
	kernel.AttentionShape
	cache *KVCache
}

// CachedAttention is [Attention] for generation with one row (s.B = 1). It
// writes k and v to the cache at the rows given by positions, which must count
// up from the first one, and every query attends to all rows of the cache up to
// its own. The same graph serves every step: positions alone say where the
// tokens stand. It has no gradient.
func CachedAttention(q, k, v, positions *gorgonia.Node, cache *KVCache, s kernel.AttentionShape) (*gorgonia.Node, error) {
	c := shapes{op: "cached attention"}
	attentionShapes(&c, q, k, v, positions, s)
	c.equal("rows of a batch", s.B, 1)
	if cache == nil {
		c.fail("the cache is missing")
	} else {
		c.equal("width of the cache", cache.Width, s.KVHeads*s.HeadDim)
	}
	if c.err != nil {
		return nil, c.err
	}
	return applyOne(cachedAttention{AttentionShape: s, cache: cache}, q, k, v, positions)
}

func (cachedAttention) Name() string { return "cached attention" }

func (k cachedAttention) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.T, k.Heads * k.HeadDim}}}
}

func (k cachedAttention) Run(c *Call) error {
	positions, cache := c.In[3].I, k.cache
	first := int(positions[0])
	if first < 0 || first+k.T > cache.Capacity {
		return fmt.Errorf("tokens %d…%d do not fit into a cache of %d", first, first+k.T-1, cache.Capacity)
	}
	for i, p := range positions {
		if int(p) != first+i {
			return fmt.Errorf("position %d follows %d: positions must count up", p, first+i-1)
		}
	}
	copy(cache.K[first*cache.Width:], c.In[1].F)
	copy(cache.V[first*cache.Width:], c.In[2].F)
	kernel.CachedAttention(c.Team, c.Out[0], c.In[0].F, cache.K, cache.V, first, k.T, k.AttentionShape)
	return nil
}
