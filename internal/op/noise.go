package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type noise struct {
	noScratch
	n, c   int
	stream uint32
}

// Noise adds to each element of x [N, C] a number that is uniform in [−size, size),
// where size is a leaf of one element, and follows from the key, the stream and the element's index, as the masks of
// Dropout do. The gradient goes through unchanged.
func Noise(x, key, size *gorgonia.Node, stream uint32) (*gorgonia.Node, error) {
	s := shapes{op: "noise"}
	n, c := s.matrix("x", x)
	s.ints("key", key, 2)
	s.vector("size", size, 1)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(noise{n: n, c: c, stream: stream}, x, key, size)
}

func (noise) Name() string { return "noise" }

func (k noise) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, InPlace: []int{0}}}
}

func (k noise) Run(c *Call) error {
	kernel.Noise(c.Team, c.Out[0], c.In[0].F, streamKey(c.In[1].I, k.stream), c.In[2].F[0])
	return nil
}

func (noise) inputs() []bool { return []bool{true, false, false} }

func (noise) gradient(_ *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	return []*gorgonia.Node{dy, nil, nil}, nil
}
