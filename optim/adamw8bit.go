package optim

import (
	"fmt"

	"gotune/internal/kernel"
)

// AdamW8 is [AdamW] whose averages take one byte for each element in place of four
// (Dettmers et al., 8-bit Optimizers via Block-wise Quantization, 2022,
// arXiv:2110.02861): each block of BlockSize elements has a scale, the largest of its
// averages without its sign, and an average is the code of the nearest of 256 values
// times the scale. The values are those of the paper's dynamic map, signed for the
// average of gradients and unsigned for that of squares. Parameters of fewer than
// Min8BitSize elements keep float32 averages, as norms and biases then do. It is
// AdamW8bit of bitsandbytes, whose blocks have 256 elements; those of the paper have 2048.
//
// Differs from bitsandbytes on a GPU, where the average of gradients keeps its sign when
// its code would be one of the other sign.
type AdamW8 struct {
	adam
	block int
}

// blockSizes are the sizes that a block can have.
const smallestBlock, largestBlock = 16, 1 << 16

const (
	codesSuffix       = ".state1"
	squareCodesSuffix = ".state2"
	scalesSuffix      = ".absmax1"
	squareScales      = ".absmax2"
)

func keepAdamW8(c Config, p Parameter) []part {
	n := size(p.Shape)
	if n < c.Min8BitSize {
		return keepAdamW(c, p)
	}
	blocks := []int{(n + c.BlockSize - 1) / max(1, c.BlockSize)}
	return []part{
		{suffix: codesSuffix, shape: p.Shape, codes: true}, {suffix: squareCodesSuffix, shape: p.Shape, codes: true},
		{suffix: scalesSuffix, shape: blocks}, {suffix: squareScales, shape: blocks},
	}
}

func makeAdamW8(t trained, c Config) (Optimizer, error) {
	a, err := newAdam(t, c)
	if err != nil {
		return nil, err
	}
	switch {
	case c.BlockSize < smallestBlock || c.BlockSize > largestBlock:
		return nil, fmt.Errorf("8-bit block size %d: it must be from %d to %d", c.BlockSize, smallestBlock, largestBlock)
	case c.Min8BitSize < 0:
		return nil, fmt.Errorf("min_8bit_size %d: it must not be negative", c.Min8BitSize)
	}
	return &AdamW8{adam: a, block: c.BlockSize}, nil
}

// Step implements [Optimizer].
func (o *AdamW8) Step(rate float64) (norm float64, err error) {
	norm, scale, err := o.begin()
	if err != nil {
		return norm, err
	}
	bias1, bias2 := o.biases()
	for i, p := range o.params {
		s, k := o.settings[i], o.kept[i]
		if len(k) == 2 {
			o.update(i, rate, scale)
			continue
		}
		kernel.AdamW8(o.team, p.Value, p.Grad, kernel.Coded{Codes: k[0].Codes, Scales: k[2].Data}, kernel.Coded{Codes: k[1].Codes, Scales: k[3].Data},
			o.block, rate*s.RateScale, o.beta1, o.beta2, o.epsilon, s.WeightDecay, bias1, bias2, scale)
	}
	return norm, nil
}
