package ref

import "math"

// UnitRMSNorm64 is y = x·(1+w)/√(mean(x²)+eps) for every row of x [n, c].
func UnitRMSNorm64(x, w []float64, n, c int, eps float64) []float64 {
	return RMSNorm64(x, onePlus(w), n, c, eps)
}

// UnitRMSNormBackward64 is RMSNormBackward64 with 1 + w for w.
func UnitRMSNormBackward64(dy, x, w []float64, n, c int, eps float64) (dx, dw []float64) {
	return RMSNormBackward64(dy, x, onePlus(w), n, c, eps)
}

func onePlus(w []float64) []float64 {
	one := make([]float64, len(w))
	for i, v := range w {
		one[i] = 1 + v
	}
	return one
}

// GeGLU64 is gelu(gate)·up.
func GeGLU64(gate, up []float64, exact bool) []float64 {
	y := GELU64(gate)
	if exact {
		y = GELUExact64(gate)
	}
	for i := range y {
		y[i] *= up[i]
	}
	return y
}

// GeGLUBackward64 is the product rule.
func GeGLUBackward64(dy, gate, up []float64, exact bool) (dgate, dup []float64) {
	value, backward := GELU64, GELUBackward64
	if exact {
		value, backward = GELUExact64, GELUExactBackward64
	}
	scaled := make([]float64, len(dy))
	for i := range dy {
		scaled[i] = dy[i] * up[i]
	}
	dgate, dup = backward(scaled, gate), value(gate)
	for i := range dup {
		dup[i] *= dy[i]
	}
	return dgate, dup
}

// SoftCap64 is limit·tanh(x/limit) and its derivative.
func SoftCap64(x []float64, limit float64) (y, slope []float64) {
	y, slope = make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		th := math.Tanh(v / limit)
		y[i], slope[i] = limit*th, 1-th*th
	}
	return y, slope
}

// Tanh32 is tanh by the quotient of package kernel.
func Tanh32(x float32) float32 {
	if x != x {
		return x
	}
	if math.Abs(float64(x)) > float64(float32(9.05)) {
		return float32(math.Copysign(1, float64(x)))
	}
	v := daz(x)
	z := v * v
	n := horner(z, 5.0620922742225546e-08, 3.154894380457222e-05, 0.004006666896801174, 0.13783919335941847, 0.9999999990139535)
	d := horner(z, 7.345953220667246e-10, 1.6143717179289192e-06, 0.00042040747114810797, 0.02773085490223239, 0.4711725170685296, 1)
	return round32(v * n / d)
}

// horner is the polynomial with the coefficients from the highest power down.
func horner(x float64, coefficients ...float64) (sum float64) {
	for _, c := range coefficients {
		sum = float64(sum*x) + c
	}
	return sum
}

// SoftCap is the twin of kernel.SoftCap for s·x.
func SoftCap(y, slope, x []float32, s, limit float32) {
	inverse := div32(1, limit)
	for i, v := range x {
		th := Tanh32(mul32(mul32(v, s), inverse))
		y[i], slope[i] = mul32(th, limit), mul32(sub32(1, th), add32(1, th))
	}
}

// normalShare is Φ(x) and exp(−x²/2).
func normalShare(x float32) (share, e float32) {
	e = Exp32(mul32(mul32(-0.5, x), x))
	a := min(14, math.Abs(daz(x)))
	n := horner(a, 0.004020181396491666, 0.039984126247651935, 0.18130664548585732, 0.4356862022770116, 0.5000000024819342)
	d := horner(a, 0.01007695714450707, 0.10023272249879707, 0.4643800271267169, 1.1944838017708612, 1.6692573234714565, 1)
	share = round32(daz(e) * (n / d))
	if x > 0 {
		share = sub32(1, share)
	}
	return share, e
}

// GELUExact is the twin of kernel.GELU in the exact form.
func GELUExact(y, x []float32) {
	for i, v := range x {
		share, _ := normalShare(v)
		y[i] = mul32(v, share)
	}
}

// geluExactSlope is the derivative.
func geluExactSlope(x float32) float32 {
	share, e := normalShare(x)
	return add32(share, mul32(x, mul32(0.3989422804014327, e)))
}

// GELUExactBackward is the twin of kernel.GELUBackward in the exact form.
func GELUExactBackward(dx, dy, x []float32, add bool) {
	for i, v := range x {
		dx[i] = plus(add, dx[i], mul32(dy[i], geluExactSlope(v)))
	}
}

// GeGLU is the twin of kernel.GeGLU.
func GeGLU(y, gate, up []float32, exact bool) {
	values := make([]float32, len(gate))
	if exact {
		GELUExact(values, gate)
	} else {
		GELU(values, gate)
	}
	for i, v := range values {
		y[i] = mul32(v, up[i])
	}
}

// GeGLUBackward is the twin of kernel.GeGLUBackward.
func GeGLUBackward(dgate, dup, dy, gate, up []float32, exact, addG, addU bool) {
	values, product := make([]float32, len(gate)), make([]float32, len(gate))
	for i := range dy {
		product[i] = mul32(dy[i], up[i])
	}
	if exact {
		GELUExact(values, gate)
		GELUExactBackward(dgate, product, gate, addG)
	} else {
		GELU(values, gate)
		GELUBackward(dgate, product, gate, addG)
	}
	for i, v := range values {
		dup[i] = plus(addU, dup[i], mul32(dy[i], v))
	}
}

// InterleavedRoPE64 is RoPE64 of the pairs (2i, 2i+1).
func InterleavedRoPE64(x []float64, positions []int32, heads, d int, base float64, inverse bool) []float64 {
	y := make([]float64, len(x))
	apart := func(dst, src []float64, back bool) {
		for h := range len(x) / d {
			for i := range d / 2 {
				for part := range 2 {
					from, to := h*d+2*i+part, h*d+part*d/2+i
					if back {
						from, to = to, from
					}
					dst[to] = src[from]
				}
			}
		}
	}
	halves := make([]float64, len(x))
	apart(halves, x, false)
	apart(y, RoPE64(halves, positions, heads, d, base, inverse), true)
	return y
}

// InterleavedRoPE is the twin of kernel.InterleavedRoPE.
func InterleavedRoPE(y, x []float32, positions []int32, cos, sin []float32, n, heads, d, turned int, inverse, add bool) {
	for i := range n * heads {
		for j := range d {
			at := i*d + j
			if j >= turned {
				y[at] = plus(add, y[at], mul32(1, x[at]))
				continue
			}
			row := int(positions[i/heads])*turned/2 + j/2
			s := sin[row]
			if inverse != (j%2 == 0) {
				s = -s
			}
			y[at] = plus(add, y[at], add32(mul32(x[at], cos[row]), mul32(x[i*d+j^1], s)))
		}
	}
}
