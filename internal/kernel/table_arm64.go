//go:build !purego

package kernel

import (
	"math"
	"unsafe"
)

// tables holds the levels of this build, at the place of their Level.
var tables = []*table{Generic: &generic, NEON: &neon}

// supported: every 64-bit ARM has NEON.
func supported(l Level) bool { return l == Generic || l == NEON }

// flush is the bit of FPCR with which subnormal inputs count as 0 and subnormal
// results become 0. (Differs from amd64 in that a result is looked at before it is
// rounded: what would be rounded up to the smallest normal number becomes 0.)
const flush = 1 << 24

var neon = table{
	mode: flush,
	rows: 6, cols: 16,
	gemm: gemmNEON, gemv: gemvNextNEON, packB: packBNEON, transpose: transposeNEON, prefetch: prefetchNEON,
	add: addNEON, scale: scaleNEON, dot: dotNEON, dot3: dot3NEON, sumSquares: sumSquaresNEON, exp: expNEON,
	normalize: normalizeNEON, normBack: normBackNEON, normBackW: normBackWNEON, rotate: rotateNEON,
	swiglu: swigluNEON, swigluBack: swigluBackNEON,
	softmax: softmaxNEON, softmaxBack: softmaxBackNEON,
	adamw: adamwNEON, dropout: dropoutNEON, widen: &widenGeneric, peak: peakNEON,
}

// expTable and dropoutTable are the constants of exp and dropout in the order in
// which neon_arm64.s reads them.
var (
	//lint:ignore U1000 for assembly
	expTable = [12]float32{
		expMin, expMax, expLog2E, expLn2Hi, expLn2Lo, expC2, expC3, expC4, expC5, expC6, 1, float32(math.Inf(1)),
	}
	//lint:ignore U1000 for assembly
	dropoutTable = [8]uint32{0, 1, 2, 3, dropoutMul1, dropoutMul2, dropoutStep, dropoutStep << 2 & math.MaxUint32}
)

// gemmNEON computes columns that do not fill registers in a block of C beside C.
func gemmNEON(c []float32, cr int, a []float32, ar, ac int, b []float32, br int, m, n, k int, add bool) {
	width := 16
	if n <= 8 {
		width = 8
	}
	if n == width {
		fullNEON(width, c, cr, a, ar, ac, b, br, m, k, add)
		return
	}
	const rows = 12
	var block [rows * 16]float32
	for i := 0; i < m; i += rows {
		some := min(rows, m-i)
		for j := 0; add && j < some; j++ {
			copy(block[j*width:], c[(i+j)*cr:][:n])
		}
		fullNEON(width, block[:], width, a[i*ar:], ar, ac, b, br, some, k, add)
		for j := range some {
			copy(c[(i+j)*cr:][:n], block[j*width:])
		}
	}
}

func fullNEON(width int, c []float32, cr int, a []float32, ar, ac int, b []float32, br, m, k int, add bool) {
	pc, pa, pb := unsafe.SliceData(c), unsafe.SliceData(a), unsafe.SliceData(b)
	if width == 8 {
		gemm8(pc, cr, pa, ar, ac, pb, br, m, k, add)
	} else {
		gemm16(pc, cr, pa, ar, ac, pb, br, m, k, add)
	}
}

func gemvNextNEON(c, x, b []float32, br, n, k int, add bool, _ []byte) {
	gemvNEON(c, x, b, br, n, k, add)
}

// packBNEON leaves rows that do not fill registers to plain Go.
func packBNEON(dst, b []float32, br, n, k int) {
	if n < 16 {
		packBGo(dst, b, br, n, k)
	} else {
		pack16(unsafe.SliceData(dst), unsafe.SliceData(b), br, k)
	}
}

// transposeNEON leaves what is no multiple of four to plain Go.
func transposeNEON(dst []float32, dr int, src []float32, sr, rows, cols int) {
	r, c := rows&^3, cols&^3
	for i := 0; i < r; i += 4 {
		transpose4(dst[i:], dr, src[i*sr:], sr, c)
	}
	if c < cols {
		transposeGo(dst[c*dr:], dr, src[c:], sr, r, cols-c)
	}
	if r < rows {
		transposeGo(dst[r:], dr, src[r*sr:], sr, rows-r, cols)
	}
}

// The last elements of a slice that are no multiple of 16 go through copies of 16
// elements, padded with 0. whole is the number of elements before them.
func whole(x []float32) int { return len(x) &^ 15 }

type pad [16]float32

// of fills a new pad with the elements of x and returns it as a slice.
func (p *pad) of(x []float32) []float32 {
	copy(p[:], x)
	return p[:]
}

func addNEON(dst, a, b []float32) {
	n := whole(dst)
	add16(dst[:n], a, b)
	if n < len(dst) {
		var x, y pad
		sum := x.of(a[n:])
		add16(sum, sum, y.of(b[n:]))
		copy(dst[n:], sum)
	}
}

func scaleNEON(dst, x []float32, s float32, add bool) {
	n := whole(dst)
	scale16(dst[:n], x, s, add)
	if n < len(dst) {
		var p, q pad
		y := p.of(dst[n:])
		scale16(y, q.of(x[n:]), s, add)
		copy(dst[n:], y)
	}
}

func dotNEON(x, y []float32) float32 {
	var lanes [16]float32
	n := whole(x)
	dot16(&lanes, x[:n], y)
	if n < len(x) {
		var p, q pad
		dot16(&lanes, p.of(x[n:]), q.of(y[n:]))
	}
	return fold(&lanes)
}

func dot3NEON(x, y, z []float32) float32 {
	var lanes [16]float32
	n := whole(x)
	dots16(&lanes, x[:n], y, z)
	if n < len(x) {
		var p, q, r pad
		dots16(&lanes, p.of(x[n:]), q.of(y[n:]), r.of(z[n:]))
	}
	return fold(&lanes)
}

func sumSquaresNEON(x []float32) float64 {
	var lanes [16]float64
	n := whole(x)
	sumSquares16(&lanes, x[:n])
	if n < len(x) {
		var p pad
		sumSquares16(&lanes, p.of(x[n:]))
	}
	return fold(&lanes)
}

func expNEON(dst, x []float32) {
	n := whole(dst)
	exp16(dst[:n], x)
	if n < len(dst) {
		var p pad
		y := p.of(x[n:])
		exp16(y, y)
		copy(dst[n:], y)
	}
}

func normalizeNEON(y, x, w []float32, inv float32) {
	n := whole(y)
	normalize16(y[:n], x, w, inv)
	if n < len(y) {
		var p, q pad
		r := p.of(x[n:])
		normalize16(r, r, q.of(w[n:]), inv)
		copy(y[n:], r)
	}
}

func normBackNEON(dx, dy, w, x []float32, inv, c float32, add bool) {
	n := whole(dx)
	normBack16(dx[:n], dy, w, x, inv, c, add)
	if n < len(dx) {
		var p, q, r, s pad
		d := p.of(dx[n:])
		normBack16(d, q.of(dy[n:]), r.of(w[n:]), s.of(x[n:]), inv, c, add)
		copy(dx[n:], d)
	}
}

func normBackWNEON(dw, dy, x []float32, inv float32) {
	n := whole(dw)
	normBackW16(dw[:n], dy, x, inv)
	if n < len(dw) {
		var p, q, r pad
		d := p.of(dw[n:])
		normBackW16(d, q.of(dy[n:]), r.of(x[n:]), inv)
		copy(dw[n:], d)
	}
}

func rotateNEON(y, x, cos, sin []float32, heads int, inverse, add bool) {
	half := len(cos)
	n := whole(cos)
	for ; heads > 0; heads-- {
		ya, yb, a, b := y[:half], y[half:2*half], x[:half], x[half:2*half]
		rotate16(ya[:n], yb, a, b, cos, sin, inverse, add)
		if n < half {
			var p, q, r, s, t, u pad
			c, d := p.of(ya[n:]), q.of(yb[n:])
			rotate16(c, d, r.of(a[n:]), s.of(b[n:]), t.of(cos[n:]), u.of(sin[n:]), inverse, add)
			copy(ya[n:], c)
			copy(yb[n:], d)
		}
		y, x = y[2*half:], x[2*half:]
	}
}

func swigluNEON(y, gate, up []float32) {
	n := whole(y)
	swiglu16(y[:n], gate, up)
	if n < len(y) {
		var p, q pad
		r := p.of(gate[n:])
		swiglu16(r, r, q.of(up[n:]))
		copy(y[n:], r)
	}
}

func swigluBackNEON(dgate, dup, dy, gate, up []float32, addG, addU bool) {
	n := whole(dgate)
	swigluBack16(dgate[:n], dup, dy, gate, up, addG, addU)
	if n < len(dgate) {
		var p, q, r, s, t pad
		dg, du := p.of(dgate[n:]), q.of(dup[n:])
		swigluBack16(dg, du, r.of(dy[n:]), s.of(gate[n:]), t.of(up[n:]), addG, addU)
		copy(dgate[n:], dg)
		copy(dup[n:], du)
	}
}

func softmaxNEON(x []float32, stride, m, n int, s float32, largest, sum []float32) {
	for i := range m {
		largest[i], sum[i] = softmaxRowNEON(x[i*stride:][:n+i], s)
	}
}

func softmaxRowNEON(x []float32, s float32) (top, sum float32) {
	n := whole(x)
	var p pad
	var lanes [16]float32
	for i := range lanes {
		lanes[i] = float32(math.Inf(-1))
	}
	largest16(&lanes, x[:n], s)
	if n < len(x) {
		// Padded with an element of the row, which cannot change what is largest.
		for i := range p {
			p[i] = x[n]
		}
		largest16(&lanes, p.of(x[n:]), s)
	}
	top = lanes[0]
	for _, v := range lanes[1:] {
		if v > top {
			top = v
		}
	}
	clear(lanes[:])
	expSum16(&lanes, x[:n], s, top)
	if n < len(x) {
		var none [16]float32
		expSum16(&none, p[:], s, top)
		copy(x[n:], p[:])
		for i, v := range x[n:] {
			lanes[i] += v
		}
	}
	return top, fold(&lanes)
}

func softmaxBackNEON(x, dp []float32, stride, m, n, limit int, s float32, lse, delta []float32) {
	for i := range m {
		count := max(0, min(n+i, limit))
		row, drow := x[i*stride:][:count], dp[i*stride:][:count]
		full := whole(row)
		softmaxBack16(row[:full], drow, s, lse[i], delta[i])
		if full < count {
			var p, q pad
			y, d := p.of(row[full:]), q.of(drow[full:])
			softmaxBack16(y, d, s, lse[i], delta[i])
			copy(row[full:], y)
			copy(drow[full:], d)
		}
	}
}

func adamwNEON(p, g, m, v []float32, c *adamwConstants) {
	n := whole(p)
	adamw16(p[:n], g, m, v, c)
	if n < len(p) {
		var pp, pg, pm, pv pad
		x, a, b := pp.of(p[n:]), pm.of(m[n:]), pv.of(v[n:])
		adamw16(x, pg.of(g[n:]), a, b, c)
		copy(p[n:], x)
		copy(m[n:], a)
		copy(v[n:], b)
	}
}

func dropoutNEON(y, x []float32, d *dropoutConstants, first uint32, add bool) {
	n := whole(y)
	dropout16(y[:n], x, d, first, add)
	if n < len(y) {
		var p, q pad
		r := p.of(y[n:])
		dropout16(r, q.of(x[n:]), d, first+uint32(n), add)
		copy(y[n:], r)
	}
}

func peakNEON(n int) float64 {
	const chains, lanes = 24, 4
	peakRounds(n)
	return 2 * chains * lanes * float64(n)
}
