//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

//go:generate sh -c "cd _asm && go run . -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg kernel"

// tables holds the levels of this build, at the place of their Level.
var tables = []*table{Generic: &generic, AVX2: &avx2}

func supported(l Level) bool {
	switch l {
	case Generic:
		return true
	case AVX2:
		return cpu.X86.HasAVX2 && cpu.X86.HasFMA
	}
	return false
}

// flush is the value of MXCSR with all exceptions masked, rounding to nearest,
// subnormal inputs read as 0 and subnormal results flushed to 0.
const flush = 0x9fc0

var avx2 = table{
	mode: flush,
	rows: 6, cols: 16,
	gemm: gemmAVX2, gemv: gemvAVX2, packB: packBAVX2, transpose: transposeAVX2, prefetch: prefetchAVX2,
	add: addAVX2, scale: scaleAVX2, dot: dotAVX2, dot3: dot3AVX2, sumSquares: sumSquaresAVX2, exp: expAVX2,
	normalize: normalizeAVX2, normBack: normBackAVX2, normBackW: normBackWAVX2, rotate: rotateAVX2,
	swiglu: swigluAVX2, swigluBack: swigluBackAVX2,
	softmax: softmaxRowsAVX2, softmaxBack: softmaxBackRowsAVX2,
	adamw: adamwStepAVX2, dropout: dropoutMaskAVX2, widen: &widenAVX2, peak: peakAVX2,
}

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

func peakAVX2(n int) float64 {
	const chains, lanes = 12, 8
	peakRoundsAVX2(n)
	return 2 * chains * lanes * float64(n)
}
