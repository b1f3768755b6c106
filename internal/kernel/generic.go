package kernel

import (
	"math"
	"runtime"
)

// This file is the pure-Go level, and the definition of what the loops of the
// other levels compute. Products are rounded before they are added: the
// conversion float32(x*y) keeps a compiler from fusing the two.

var generic = table{
	rows: 4, cols: 16,
	gemm: gemmGo, gemv: gemvGo, packB: packBGo, transpose: transposeGo, prefetch: prefetchGo,
	add: addGo, scale: scaleGo, dot: dotGo, dot3: dot3Go, sumSquares: sumSquaresGo, exp: expGo,
	normalize: normalizeGo, normBack: normBackGo, normBackW: normBackWGo, rotate: rotateGo,
	swiglu: swigluGo, swigluBack: swigluBackGo,
	softmax: softmaxGo, softmaxBack: softmaxBackGo,
	adamw: adamwGo, dropout: dropoutGo, widen: &widenGeneric, peak: peakGo,
}

func gemmGo(c []float32, cr int, a []float32, ar, ac int, b []float32, br int, m, n, k int, add bool) {
	for i := range m {
		row := c[i*cr : i*cr+n]
		if !add {
			clear(row)
		}
		j := 0
		for ; j+4 <= n; j += 4 {
			c0, c1, c2, c3 := row[j], row[j+1], row[j+2], row[j+3]
			ai, bi := i*ar, j
			for range k {
				x, y := a[ai], b[bi:bi+4]
				c0 += float32(x * y[0])
				c1 += float32(x * y[1])
				c2 += float32(x * y[2])
				c3 += float32(x * y[3])
				ai += ac
				bi += br
			}
			row[j], row[j+1], row[j+2], row[j+3] = c0, c1, c2, c3
		}
		for ; j < n; j++ {
			for p := range k {
				row[j] += float32(a[i*ar+p*ac] * b[p*br+j])
			}
		}
	}
}

func gemvGo(c, x, b []float32, br, n, k int, add bool, _ []byte) {
	for j := 0; j < n; j += 4 {
		var c0, c1, c2, c3 float32
		if add {
			c0, c1, c2, c3 = c[j], c[j+1], c[j+2], c[j+3]
		}
		b0, b1, b2, b3 := b[j*br:][:k], b[(j+1)*br:][:k], b[(j+2)*br:][:k], b[(j+3)*br:][:k]
		for p, v := range x[:k] {
			c0 += float32(v * b0[p])
			c1 += float32(v * b1[p])
			c2 += float32(v * b2[p])
			c3 += float32(v * b3[p])
		}
		c[j], c[j+1], c[j+2], c[j+3] = c0, c1, c2, c3
	}
}

func packBGo(dst, b []float32, br, n, k int) {
	w := width(n)
	for p := range k {
		row := dst[p*w : (p+1)*w]
		clear(row[copy(row, b[p*br:p*br+n]):])
	}
}

func transposeGo(dst []float32, dr int, src []float32, sr, rows, cols int) {
	for j := range cols {
		for i := range rows {
			dst[j*dr+i] = src[i*sr+j]
		}
	}
}

func prefetchGo([]float32, int, int, int) {}

func addGo(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func put(dst *float32, v float32, add bool) {
	if add {
		v += *dst
	}
	*dst = v
}

func scaleGo(dst, x []float32, s float32, add bool) {
	for i := range dst {
		put(&dst[i], float32(s*x[i]), add)
	}
}

// fold adds the 16 lanes, each to the one half the width away.
func fold[T float32 | float64](lane *[16]T) T {
	for h := 8; h > 0; h /= 2 {
		for i := range h {
			lane[i] += lane[i+h]
		}
	}
	return lane[0]
}

func dotGo(x, y []float32) float32 {
	var lane [16]float32
	for i := range x {
		lane[i%16] += float32(x[i] * y[i])
	}
	return fold(&lane)
}

func dot3Go(x, y, z []float32) float32 {
	var lane [16]float32
	for i := range x {
		lane[i%16] += float32(float32(x[i]*y[i]) * z[i])
	}
	return fold(&lane)
}

func sumSquaresGo(x []float32) float64 {
	var lane [16]float64
	for i, v := range x {
		lane[i%16] += float64(v) * float64(v) // exact, so that fusing changes nothing
	}
	return fold(&lane)
}

func expGo(dst, x []float32) {
	for i := range dst {
		dst[i] = exp32(x[i])
	}
}

func normalizeGo(y, x, w []float32, inv float32) {
	for i := range y {
		y[i] = float32(x[i]*inv) * w[i]
	}
}

func normBackGo(dx, dy, w, x []float32, inv, c float32, add bool) {
	for i := range dx {
		put(&dx[i], float32(float32(dy[i]*w[i])*inv)-float32(c*x[i]), add)
	}
}

func normBackWGo(dw, dy, x []float32, inv float32) {
	for i := range dw {
		dw[i] += float32(dy[i] * float32(x[i]*inv))
	}
}

func rotateGo(y, x, cos, sin []float32, heads int, inverse, add bool) {
	half := len(cos)
	for h := range heads {
		at := 2 * h * half
		for i := range half {
			a, b, s := x[at+i], x[at+half+i], sin[i]
			if inverse {
				s = -s
			}
			put(&y[at+i], float32(a*cos[i])-float32(b*s), add)
			put(&y[at+half+i], float32(b*cos[i])+float32(a*s), add)
		}
	}
}

func swigluGo(y, gate, up []float32) {
	for i := range y {
		g := gate[i]
		y[i] = g / (1 + exp32(-g)) * up[i]
	}
}

func swigluBackGo(dgate, dup, dy, gate, up []float32, addG, addU bool) {
	for i := range dgate {
		g, d := gate[i], dy[i]
		sig := 1 / (1 + exp32(-g))
		s := float32(g * sig)
		// The derivative of g·σ(g) is σ + s·(1 − σ).
		slope := sig + float32(s*(1-sig))
		put(&dgate[i], float32(float32(d*up[i])*slope), addG)
		put(&dup[i], float32(d*s), addU)
	}
}

func softmaxGo(x []float32, stride, m, n int, s float32, largest, sum []float32) {
	for i := range m {
		row := x[i*stride : i*stride+n+i]
		top := float32(math.Inf(-1))
		for j := range row {
			row[j] = float32(row[j] * s)
			if row[j] > top {
				top = row[j]
			}
		}
		var lane [16]float32
		for j := range row {
			row[j] = exp32(row[j] - top)
			lane[j%16] += row[j]
		}
		largest[i], sum[i] = top, fold(&lane)
	}
}

func softmaxBackGo(x, dp []float32, stride, m, n, limit int, s float32, lse, delta []float32) {
	for i := range m {
		for j := i * stride; j < i*stride+min(n+i, limit); j++ {
			p := exp32(float32(x[j]*s) - lse[i])
			x[j] = p
			dp[j] = float32(p*(dp[j]-delta[i])) * s
		}
	}
}

func adamwGo(p, g, m, v []float32, c *adamwConstants) {
	for i := range p {
		grad := float32(g[i] * c.gscale)
		x := float32(p[i] * c.keep)
		m[i] = m[i] + float32(c.oneMinusBeta1*(grad-m[i]))
		v[i] = float32(v[i]*c.beta2) + float32(float32(c.oneMinusBeta2*grad)*grad)
		denom := float32(math.Sqrt(float64(v[i])))/c.rootBias2 + c.eps
		p[i] = x - float32(c.step*float32(m[i]/denom))
	}
}

func dropoutGo(y, x []float32, d *dropoutConstants, first uint32, add bool) {
	for i := range y {
		v := float32(x[i] * d.scale)
		if d.dropped(first + uint32(i)) {
			v = 0
		}
		put(&y[i], v, add)
	}
}

func peakGo(n int) float64 {
	a, b, c, d := float32(1), float32(2), float32(3), float32(4)
	e, f, g, h := float32(5), float32(6), float32(7), float32(8)
	const s, o = 0.999, 0.001
	for range n {
		a, b, c, d = float32(a*s)+o, float32(b*s)+o, float32(c*s)+o, float32(d*s)+o
		e, f, g, h = float32(e*s)+o, float32(f*s)+o, float32(g*s)+o, float32(h*s)+o
	}
	runtime.KeepAlive(a + b + c + d + e + f + g + h)
	return 16 * float64(n)
}
