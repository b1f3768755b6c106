//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

//go:generate sh -c "cd _asm && go run . -level avx2 -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg kernel"
//go:generate sh -c "cd _asm && go run . -level avx512 -out ../avx512_amd64.s -stubs ../avx512_amd64.go -pkg kernel"

// tables holds the levels of this build, at the place of their Level.
var tables = []*table{Generic: &generic, AVX2: &avx2, AVX512: &avx512, AMX: &amx}

func supported(l Level) bool {
	switch l {
	case Generic:
		return true
	case AVX2:
		return cpu.X86.HasAVX2 && cpu.X86.HasFMA
	case AVX512:
		return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2
	case AMX:
		return supported(AVX512) && cpu.X86.HasAVX512BF16 && cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 && tilesAllowed()
	}
	return false
}

// flush is the value of MXCSR with all exceptions masked, rounding to nearest,
// subnormal inputs read as 0 and subnormal results flushed to 0.
const flush = 0x9fc0

var avx2 = table{
	mode: flush,
	rows: 6, cols: 16,
	gemm: gemmAVX2, gemv: gemvAVX2, stored: &storedRows{gemvHalvesAVX2, gemvInt8AVX2, gemvNF4AVX2},
	panels: &panelled{panelsAVX2, panelsHalvesAVX2, panelsInt8AVX2, panelsNF4AVX2}, packB: packBAVX2, transpose: transposeAVX2, prefetch: prefetchAVX2,
	add: addAVX2, scale: scaleAVX2, dot: dotAVX2, dot3: dot3AVX2, sumSquares: sumSquaresAVX2, exp: expAVX2,
	normalize: normalizeAVX2, normBack: normBackAVX2, normBackW: normBackWAVX2, rotate: rotateAVX2,
	swiglu: swigluAVX2, swigluBack: swigluBackAVX2,
	softmax: softmaxRowsAVX2, softmaxBack: softmaxBackRowsAVX2,
	adamw: adamwStepAVX2, dropout: dropoutMaskAVX2, widen: &widenAVX2, peak: peakAVX2,
}

// avx512 has loops of AVX2 where the memory sets the pace (add, scale, adamw) or wider
// registers need more exchanges between their lanes (transpose).
var avx512 = table{
	mode: flush,
	rows: 14, cols: 32,
	gemm: gemmAVX512, gemv: gemvAVX512, stored: &storedRows{gemvHalvesAVX512, gemvInt8AVX512, gemvNF4AVX512},
	panels: &panelled{panelsAVX512, panelsHalvesAVX512, panelsInt8AVX512, panelsNF4AVX512}, packB: packBAVX512, transpose: transposeAVX2, prefetch: prefetchAVX2,
	add: addAVX2, scale: scaleAVX2, dot: dotAVX512, dot3: dot3AVX512, sumSquares: sumSquaresAVX512, exp: expAVX512,
	normalize: normalizeAVX512, normBack: normBackAVX512, normBackW: normBackWAVX512, rotate: rotateAVX512,
	swiglu: swigluAVX512, swigluBack: swigluBackAVX512,
	softmax: softmaxRowsAVX512, softmaxBack: softmaxBackRowsAVX512,
	adamw: adamwStepAVX2, dropout: dropoutMaskAVX512, widen: &widenAVX2, pairs: fastPairs(), peak: peakAVX512,
}

var amx = withTiles()

// transposeAVX2 leaves what is no multiple of eight to plain Go.
func transposeAVX2(dst []float32, dr int, src []float32, sr, rows, cols int) {
	r, c := rows&^7, cols&^7
	for i := 0; i < r; i += 8 {
		transpose8AVX2(dst[i:], dr, src[i*sr:], sr, c)
	}
	if c < cols {
		transposeGo(dst[c*dr:], dr, src[c:], sr, r, cols-c)
	}
	if r < rows {
		transposeGo(dst[r:], dr, src[r*sr:], sr, rows-r, cols)
	}
}

func adamwStepAVX2(p, g, m, v []float32, c *adamwConstants) { adamwAVX2(p, g, m, v, &c.gscale) }

func dropoutMaskAVX2(y, x []float32, d *dropoutConstants, first uint32, add bool) {
	dropoutAVX2(y, x, &d.k0, first, add)
}

func dropoutMaskAVX512(y, x []float32, d *dropoutConstants, first uint32, add bool) {
	dropoutAVX512(y, x, &d.k0, first, add)
}

func peakAVX512(n int) float64 {
	const chains, lanes = 12, 16
	peakRoundsAVX512(n)
	return 2 * chains * lanes * float64(n)
}

func peakAVX2(n int) float64 {
	const chains, lanes = 12, 8
	peakRoundsAVX2(n)
	return 2 * chains * lanes * float64(n)
}
