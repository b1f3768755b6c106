package export

// A layout says how the rows of a weight lie in GGUF.
type layout struct {
	// transposed weights are [in, out] in the model's files.
	transposed bool
	// from returns the row of the model's file that stands at row i, or is nil.
	from func(k keys) func(i int) int
}

var (
	asIs       = layout{}
	transposed = layout{transposed: true}
	// queryPairs and keyPairs bring the two numbers that a rotary embedding turns side
	// by side: transformers keeps them half a head apart, llama.cpp's rotation for these
	// families takes neighbours.
	queryPairs = layout{from: pairs}
	keyPairs   = queryPairs
	// headsOfQKV lie head by head as query, key and value in GPT-NeoX, and in GGUF all
	// queries come first.
	headsOfQKV = layout{from: regroup}
)

func pairs(k keys) func(i int) int {
	_, _, d := k.heads()
	return func(i int) int {
		head, at := i/d, i%d
		return head*d + at%2*(d/2) + at/2
	}
}

func regroup(k keys) func(i int) int {
	heads, _, d := k.heads()
	return func(i int) int {
		part, head, at := i/(heads*d), i/d%heads, i%d
		return (head*3+part)*d + at
	}
}

// shape returns the shape in GGUF of a shape in the model.
func (l layout) shape(shape []int) []int {
	if l.transposed && len(shape) == 2 {
		return []int{shape[1], shape[0]}
	}
	return shape
}

// apply returns values as they lie in GGUF. It may return values itself.
func (l layout) apply(k keys, values []float32, shape []int) []float32 {
	switch {
	case l.transposed && len(shape) == 2:
		return transpose(values, shape[0], shape[1])
	case l.from == nil:
		return values
	}
	out, from, columns := make([]float32, len(values)), l.from(k), len(values)/shape[0]
	for i := range shape[0] {
		copy(out[i*columns:(i+1)*columns], values[from(i)*columns:])
	}
	return out
}

// undo returns values of the model from those that lie in GGUF; the shape is that of the
// model.
func (l layout) undo(k keys, values []float32, shape []int) []float32 {
	switch {
	case l.transposed && len(shape) == 2:
		return transpose(values, shape[1], shape[0])
	case l.from == nil:
		return values
	}
	out, from, columns := make([]float32, len(values)), l.from(k), len(values)/shape[0]
	for i := range shape[0] {
		copy(out[from(i)*columns:(from(i)+1)*columns], values[i*columns:])
	}
	return out
}

func transpose(values []float32, rows, columns int) []float32 {
	out := make([]float32, len(values))
	for i := range rows {
		for j := range columns {
			out[j*rows+i] = values[i*columns+j]
		}
	}
	return out
}
