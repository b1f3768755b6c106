package ref

import "math"

// This file is the arithmetic of the vector units in the mode that package
// kernel sets: float32, round to nearest even, one rounding for a fused
// multiply-add, subnormal inputs read as 0 and subnormal results flushed to 0.

const smallest = 0x1p-126 // the smallest normal float32

// daz reads a subnormal number as 0 of its sign.
func daz(x float32) float64 {
	if v := float64(x); math.Abs(v) >= smallest || v != v {
		return v
	}
	return math.Copysign(0, float64(x))
}

// round32 rounds to float32. A result is flushed if it is subnormal after rounding
// to 24 bits with any exponent, which is how the hardware decides.
func round32(v float64) float32 {
	if a := math.Abs(v); a > 0 && a < smallest {
		if math.Abs(float64(float32(v*0x1p64))) < smallest*0x1p64 {
			return float32(math.Copysign(0, v))
		}
		return float32(math.Copysign(smallest, v))
	}
	return float32(v)
}

// For one operation on float32 numbers, rounding to float64 first changes
// nothing, because 53 ≥ 2·24 + 2.
func add32(a, b float32) float32 { return round32(daz(a) + daz(b)) }
func sub32(a, b float32) float32 { return round32(daz(a) - daz(b)) }
func mul32(a, b float32) float32 { return round32(daz(a) * daz(b)) }
func div32(a, b float32) float32 { return round32(daz(a) / daz(b)) }
func sqrt32(a float32) float32   { return round32(math.Sqrt(daz(a))) }

// fma32 is a·b + c, rounded once. The product is exact in float64, but the sum is
// not, and rounding it to nearest in float64 and then again in float32 is wrong in
// rare cases. Rounding it to odd first is right: an inexact sum gets a last bit of
// 1, so that the second rounding sees on which side of a tie it lies.
func fma32(a, b, c float32) float32 {
	x, y := daz(a)*daz(b), daz(c)
	s := x + y
	if math.IsInf(s, 0) || s != s {
		return float32(s)
	}
	// The error of the sum (Knuth).
	t := s - x
	rest := (x - (s - t)) + (y - t)
	if bits := math.Float64bits(s); rest != 0 && bits&1 == 0 {
		if (rest > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	return round32(s)
}

// lanes are the 16 partial sums of a reduction; element i belongs to lane i mod 16.
type lanes [16]float32

// fold adds lane i+half to lane i, for half = 8, 4, 2, 1.
func (l lanes) fold() float32 {
	for half := 8; half > 0; half /= 2 {
		for i := range half {
			l[i] = add32(l[i], l[i+half])
		}
	}
	return l[0]
}

// Exp32 is eˣ by the polynomial of package kernel.
func Exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > 88.7228317:
		return float32(math.Inf(1))
	case x < -87.3365:
		return 0
	}
	n := float32(math.RoundToEven(float64(mul32(x, 1.44269504088896341))))
	r := fma32(-n, 0.693359375, x)
	r = fma32(-n, -2.12194440e-4, r)
	r2 := mul32(r, r)
	p := fma32(0.001381459878757596, r2, fma32(0.008368716575205326, r, 0.04166838899254799))
	p = fma32(p, r2, fma32(0.1666652113199234, r, 0.4999999403953552))
	p = add32(fma32(p, r2, r), 1)
	return float32(math.Ldexp(float64(p), int(n)))
}
