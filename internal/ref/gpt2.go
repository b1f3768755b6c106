package ref

import "math"

// LayerNorm64 is y = (x−mean)·w/√(variance+eps) + bias for every row of x [n, c].
func LayerNorm64(x, w, bias []float64, n, c int, eps float64) (y []float64) {
	y = make([]float64, n*c)
	for i := range n {
		hat, _ := standardise(x[i*c:(i+1)*c], eps)
		for j := range c {
			y[i*c+j] = hat[j]*w[j] + bias[j]
		}
	}
	return y
}

// standardise returns (x−mean)·inv and inv = 1/√(variance+eps).
func standardise(x []float64, eps float64) (hat []float64, inv float64) {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	inv = 1 / math.Sqrt(variance+eps)
	for _, v := range x {
		hat = append(hat, (v-mean)*inv)
	}
	return hat, inv
}

// LayerNormBackward64 is, with g = dy·w and h = (x−mean)·inv,
// dx = inv·(g − mean(g) − h·mean(g·h)), dw = Σ rows of dy·h, dbias = Σ rows of dy.
func LayerNormBackward64(dy, x, w []float64, n, c int, eps float64) (dx, dw, dbias []float64) {
	dx, dw, dbias = make([]float64, n*c), make([]float64, c), make([]float64, c)
	for i := range n {
		hat, inv := standardise(x[i*c:(i+1)*c], eps)
		level, tilt := 0.0, 0.0
		for j := range c {
			g := dy[i*c+j] * w[j]
			level += g / float64(c)
			tilt += g * hat[j] / float64(c)
			dw[j] += dy[i*c+j] * hat[j]
			dbias[j] += dy[i*c+j]
		}
		for j := range c {
			dx[i*c+j] = inv * (dy[i*c+j]*w[j] - level - hat[j]*tilt)
		}
	}
	return dx, dw, dbias
}

// GELU64 is x·½·(1 + tanh(u)) with u = √(2/π)·(x + 0.044715·x³).
func GELU64(x []float64) (y []float64) {
	y = make([]float64, len(x))
	for i, v := range x {
		y[i] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	}
	return y
}

// GELUBackward64 uses d tanh(u)/du = 1 − tanh²(u).
func GELUBackward64(dy, x []float64) (dx []float64) {
	dx = make([]float64, len(x))
	for i, v := range x {
		root := math.Sqrt(2 / math.Pi)
		tanh := math.Tanh(root * (v + 0.044715*v*v*v))
		dx[i] = dy[i] * ((1+tanh)/2 + v/2*(1-tanh*tanh)*root*(1+3*0.044715*v*v))
	}
	return dx
}

// Transposed64 returns the transpose of x [rows, cols].
func Transposed64(x []float64, rows, cols int) (y []float64) {
	y = make([]float64, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}

// LayerNorm is the twin of kernel.LayerNorm.
func LayerNorm(y, stats, x, w, bias []float32, n, c int, eps float32) {
	for i := range n {
		row := x[i*c : (i+1)*c]
		mean := div32(Dot(row, ones(c)), float32(c))
		d := centred(row, mean)
		inv := 1 / float32(math.Sqrt(float64(Dot(d, d)/float32(c)+eps)))
		stats[2*i], stats[2*i+1] = mean, inv
		for j, v := range d {
			y[i*c+j] = add32(mul32(mul32(v, inv), w[j]), bias[j])
		}
	}
}

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

func centred(x []float32, mean float32) []float32 {
	d := make([]float32, len(x))
	for i, v := range x {
		d[i] = sub32(v, mean)
	}
	return d
}

// LayerNormBackward is the twin of kernel.LayerNormBackward.
func LayerNormBackward(dx, dw, dbias, dy, x, w, stats []float32, n, c int, addDx, addDw, addDbias bool) {
	if !addDw {
		clear(dw)
	}
	if !addDbias {
		clear(dbias)
	}
	for i := range n {
		inv, d, dy := stats[2*i+1], centred(x[i*c:(i+1)*c], stats[2*i]), dy[i*c:(i+1)*c]
		var l lanes
		for j := range c {
			l[j%16] = fma32(mul32(dy[j], w[j]), d[j], l[j%16])
			dw[j] = fma32(dy[j], mul32(d[j], inv), dw[j])
			dbias[j] = add32(dbias[j], dy[j])
		}
		level := div32(Dot(dy, w), float32(c))
		coefficient := mul32(mul32(mul32(inv, inv), inv), div32(l.fold(), float32(c)))
		for j := range c {
			r := fma32(-coefficient, d[j], mul32(mul32(dy[j], w[j]), inv))
			dx[i*c+j] = add32(plus(addDx, dx[i*c+j], r), -mul32(inv, level))
		}
	}
}

// GELU is the twin of kernel.GELU.
func GELU(y, x []float32) {
	for i, v := range x {
		y[i] = div32(v, add32(1, geluExp(v)))
	}
}

func geluExp(x float32) float32 {
	return Exp32(mul32(mul32(-1.5957691216057308, x), add32(1, mul32(0.044715, mul32(x, x)))))
}

// GELUBackward is the twin of kernel.GELUBackward.
func GELUBackward(dx, dy, x []float32, add bool) {
	for i, v := range x {
		sigma := div32(1, add32(1, geluExp(v)))
		rise := mul32(1.5957691216057308, add32(1, mul32(3*0.044715, mul32(v, v))))
		slope := add32(sigma, mul32(mul32(mul32(v, sigma), sub32(1, sigma)), rise))
		dx[i] = plus(add, dx[i], mul32(dy[i], slope))
	}
}

// GELUExact64 is x·Φ(x) with Φ(x) = ½·erfc(−x/√2).
func GELUExact64(x []float64) (y []float64) {
	y = make([]float64, len(x))
	for i, v := range x {
		y[i] = v / 2 * math.Erfc(-v/math.Sqrt2)
	}
	return y
}

// GELUExactBackward64 uses d Φ(x)/dx = exp(−x²/2)/√(2π).
func GELUExactBackward64(dy, x []float64) (dx []float64) {
	dx = make([]float64, len(x))
	for i, v := range x {
		dx[i] = dy[i] * (math.Erfc(-v/math.Sqrt2)/2 + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi))
	}
	return dx
}
