package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/kernel"
)

type noise struct {
	noScratch
	n, c   int
	size   float32
	stream uint32
}

// Noise adds to each element of x [N, C] a number that is uniform in [−size, size)
// and follows from the key, the stream and the element's index, as the masks of
// Dropout do. The gradient goes through unchanged.
func Noise(x, key *gorgonia.Node, size float64, stream uint32) (*gorgonia.Node, error) {
	s := shapes{op: "noise"}
	n, c := s.matrix("x", x)
	s.ints("key", key, 2)
	if s.err != nil {
		return nil, s.err
	}
	return applyOne(noise{n: n, c: c, size: float32(size), stream: stream}, x, key)
}

func (noise) Name() string { return "noise" }

func (k noise) Outputs() []Output {
	return []Output{{Shape: tensor.Shape{k.n, k.c}, InPlace: []int{0}}}
}

func (k noise) Run(c *Call) error {
	kernel.Noise(c.Team, c.Out[0], c.In[0].F, streamKey(c.In[1].I, k.stream), k.size)
	return nil
}

func (noise) inputs() []bool { return []bool{true, false} }

func (noise) gradient(_ *applied, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	return []*gorgonia.Node{dy, nil}, nil
}
