//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

//go:generate sh -c "cd _asm && go run ./bf16 -out ../bf16_amd64.s"

// gemmPairsAVX512 computes C[m,n] = A·B for n <= 32 columns and so many pairs of k, a
// multiple of 4, from 0 or, with add, from the old C. Rows of A are ar numbers apart;
// B is a panel as interleaveAVX512 makes it.
//
//go:noescape
func gemmPairsAVX512(c *float32, cr int, a *uint16, ar int, b *uint32, m, n, pairs int, add bool)

// roundPairsAVX512 rounds n numbers to bf16 and writes zeros up to a multiple of 32.
//
//go:noescape
func roundPairsAVX512(dst *uint16, src *float32, n int)

// interleaveAVX512 makes dst[32p + j] of element j of rows 2p and 2p+1, for n <= 32
// columns; the other columns are 0.
//
//go:noescape
func interleaveAVX512(dst *uint32, src *uint16, stride, n, pairs int)

// gemmTilesAMX computes C = A·B for blocks of 32 rows and 32 columns and steps of 16
// pairs of k, else as gemmPairsAVX512.
//
//go:noescape
func gemmTilesAMX(c *float32, cr int, a *uint16, ar int, b *uint32, blocks, steps int, add bool)

// pairingAVX512 has the bits of float32 products of rounded numbers, so that where it
// is used is a matter of speed alone. On an AMD core a product of pairs takes the time of
// one float32 product; on the Intel cores that were measured it takes four times as long,
// twice as long as the two products that it stands for.
var pairingAVX512 = pairing{
	name: "avx512_bf16", rows: 14, round: roundPairs, interleave: interleavePairs, gemm: gemmPairs,
}

// pairingAMX sums in an order of its own: for each 32 of k the products of even and
// those of odd k, both as chains of fused multiply-adds from 0, then the two sums,
// which are added to the element.
var pairingAMX = pairing{
	name: "amx", rows: 32, round: roundPairs, interleave: interleavePairs, gemm: gemmTiles,
}

// fastPairs returns the pairing of the level AVX512 where it is faster than float32
// products, or nil.
func fastPairs() *pairing {
	const auth = 'A' | 'u'<<8 | 't'<<16 | 'h'<<24 // AuthenticAMD
	if cpu.X86.HasAVX512BF16 && vendor() == auth {
		return &pairingAVX512
	}
	return nil
}

// withTiles is avx512 with products of pairs in tiles.
func withTiles() table {
	t := avx512
	t.pairs = &pairingAMX
	return t
}

// vendor returns the first four letters of the CPU's maker.
func vendor() uint32

func gemmPairs(_ *worker, c []float32, cr int, a []uint16, ar int, b []uint32, m, n, k int, add bool) {
	gemmPairsAVX512(&c[0], cr, &a[0], ar, &b[0], m, n, k/2, add)
}

// gemmTiles computes whole tiles in place and the ragged rest aside.
func gemmTiles(w *worker, c []float32, cr int, a []uint16, ar int, b []uint32, m, n, k int, add bool) {
	const side = panelCols
	whole := m / side
	if n < side {
		whole = 0
	}
	if whole > 0 {
		gemmTilesAMX(&c[0], cr, &a[0], ar, &b[0], whole, k/side, add)
	}
	tile := grow(&w.tile, side*side)
	for i := whole * side; i < m; i += side {
		rows := min(side, m-i)
		if add {
			for r := range rows {
				copy(tile[r*side:], c[(i+r)*cr:(i+r)*cr+n])
			}
		}
		gemmTilesAMX(&tile[0], side, &a[i*ar], ar, &b[0], 1, k/side, add)
		for r := range rows {
			copy(c[(i+r)*cr:(i+r)*cr+n], tile[r*side:])
		}
	}
}

func roundPairs(dst []uint16, src []float32) {
	if len(src) > 0 {
		roundPairsAVX512(&dst[0], &src[0], len(src))
	}
}

func interleavePairs(dst []uint32, src []uint16, stride, n, pairs int) {
	if pairs > 0 {
		interleaveAVX512(&dst[0], &src[0], stride, n, pairs)
	}
}
