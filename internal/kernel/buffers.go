package kernel

import (
	"unsafe"

	"gotune/internal/pages"
)

// buffers is the memory of one thread. Each slice grows to the largest size
// asked for.
type buffers struct {
	a, b []float32 // packed pieces of the factors of a product

	// Pieces of a stored matrix: widened, and as bf16; a block of C that is no whole tile.
	wide, halves, tile []float32
	scales             []float32 // of some of its rows

	ones, centred []float32 // LayerNorm: ones, and a row less its mean
	exps, slopes  []float32 // GELU, soft caps: exponentials, and derivatives
	moments       []float32 // AdamW8: the two averages of a block

	// Attention: packed keys and values of a head, the scores of some queries,
	// and what belongs to each of them.
	keys, values, keyRows, scores, dscores []float32
	largest, sum, lse, delta               [pairQueries]float32
	next                                   upcoming

	pairs pairBuffers
}

// pairBuffers is the memory of a backward pass of attention in bf16.
type pairBuffers struct {
	dk, dv []float32 // gradients of keys and values, as columns
	q, do  []float32 // columns of some queries
	p, ds  []float32 // probabilities of some queries and their gradients, rounded
	panel  []float32 // of p or ds
}

// cacheLine is in bytes.
const cacheLine = 64

// grow returns n elements, aligned to a cache line, with 16 more behind them that
// may be written.
func grow(buffer *[]float32, n int) []float32 {
	const slack = 16
	if cap(*buffer) < n+slack {
		raw := pages.Make[float32](n + slack + cacheLine/4)
		skip := 0
		if off := uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % cacheLine; off != 0 {
			skip = int(cacheLine-off) / 4
		}
		*buffer = raw[skip : skip+n+slack]
	}
	return (*buffer)[:n]
}
