package optim

import "gotune/internal/pages"

// A part is a tensor that an optimizer keeps for a parameter.
type part struct {
	suffix string // of its name, after that of the parameter
	shape  []int
	codes  bool // of one byte each, in place of a float32
}

// average is a part with a number for each element of a parameter.
func average(suffix string, p Parameter) part { return part{suffix: suffix, shape: p.Shape} }

// The averages of a parameter are saved under its name with these endings, which are
// those of PyTorch's state.
const (
	averageSuffix       = ".exp_avg"
	squareAverageSuffix = ".exp_avg_sq"
	momentumSuffix      = ".momentum_buffer"
)

// size is the number of elements of a shape.
func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// tensor makes a part of zeros.
func (k part) tensor(p Parameter) Tensor {
	t := Tensor{Name: p.Name + k.suffix, Shape: k.shape}
	if k.codes {
		t.Codes = pages.Make[byte](size(k.shape))
	} else {
		t.Data = pages.Make[float32](size(k.shape))
	}
	return t
}

// bytes is the memory of a part.
func (k part) bytes() int64 {
	if k.codes {
		return int64(size(k.shape))
	}
	return 4 * int64(size(k.shape))
}

// Memory returns the bytes that New would take for parameters: state is what is saved
// with a checkpoint, work what a step needs besides. The parameters need no values:
// names and shapes are enough.
func Memory(params []Parameter, c Config) (state, work int64, err error) {
	r, err := ruleNamed(c.Name)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range params {
		for _, k := range r.keep(c, p) {
			state += k.bytes()
		}
	}
	if r.work != nil {
		work = 4 * int64(r.work(params).elements())
	}
	return state, work, nil
}

// workspace has the numbers of elements of slices that a step works in.
type workspace []int

func (w workspace) elements() int {
	n := 0
	for _, k := range w {
		n += k
	}
	return n
}

// slices makes them.
func (w workspace) slices() [][]float32 {
	all := make([][]float32, len(w))
	for i, n := range w {
		all[i] = pages.Make[float32](n)
	}
	return all
}
