package op

import "gotune/internal/kernel"

// joined is several linear layers of one row that have the same input, so that the
// threads meet once for all of them.
type joined struct {
	noScratch
	layers []linear
	rows   []kernel.Matrix // the results
}

// Join returns one kernel for several that have the same single input; its outputs are
// theirs in order. It returns nil unless all are linear layers without bias that multiply
// one row by a frozen matrix in panels.
func Join(kernels ...Kernel) Kernel {
	j := joined{rows: make([]kernel.Matrix, len(kernels))}
	for _, k := range kernels {
		if a, ok := k.(*Application); ok {
			k = a.Kernel
		}
		l, ok := k.(linear)
		if !ok || l.bias || l.conv || l.n != 1 || l.frozen == nil || !l.frozen.Panels() || l.arithmetic != kernel.FP32 {
			return nil
		}
		j.layers = append(j.layers, l)
	}
	return j
}

func (joined) Name() string { return linear{}.Name() }

func (k joined) Outputs() []Output {
	var all []Output
	for _, l := range k.layers {
		all = append(all, l.Outputs()...)
	}
	return all
}

func (k joined) Run(c *Call) error {
	x := c.In[0].F
	for i, l := range k.layers {
		k.rows[i] = matrix(c.Out[i], 1, l.out)
	}
	kernel.RowProducts(c.Team, k.rows, matrix(x, 1, len(x)), func(i int) kernel.Weights { return *k.layers[i].frozen })
	return nil
}

func (k joined) flops(c *Call) float64 {
	n := 0.0
	for _, l := range k.layers {
		n += l.flops(c)
	}
	return n
}

func (k joined) frozenBytes() float64 {
	n := 0.0
	for _, l := range k.layers {
		n += l.frozenBytes()
	}
	return n
}
