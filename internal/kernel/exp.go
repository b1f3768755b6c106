package kernel

import "math"

// exp(x) = 2ⁿ·exp(r) with n = round(x/ln 2) and r = x − n·ln 2 (Cody and Waite:
// ln 2 in two parts, the first of them short enough that n times it is exact) and
//
//	exp(r) = 1 + (r + r²·((c2 + c3·r) + r²·((c4 + c5·r) + c6·r²)))
//
// in this order, which lets several terms be computed at the same time. The
// coefficients minimise the largest relative error on [−ln 2/2, ln 2/2], 3e-9;
// with rounding the result is within 1.1 units in the last place.
const (
	expLog2E = 1.44269504088896341
	expLn2Hi = 0.693359375
	expLn2Lo = -2.12194440e-4
	expC2    = 0.4999999403953552
	expC3    = 0.1666652113199234
	expC4    = 0.04166838899254799
	expC5    = 0.008368716575205326
	expC6    = 0.001381459878757596
	expMax   = 88.7228317 // above it: +Inf
	expMin   = -87.3365   // below it: 0, as the result would be subnormal
)

// exp32 is exp at the pure-Go level: the polynomial with products rounded.
func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > expMax:
		return float32(math.Inf(1))
	case x < expMin:
		return 0
	}
	n := float32(math.RoundToEven(float64(float32(x * expLog2E))))
	r := x - float32(n*expLn2Hi)
	r -= float32(n * expLn2Lo)
	r2 := float32(r * r)
	p := float32(float32(expC5*r)+expC4) + float32(expC6*r2)
	p = float32(p*r2) + (float32(expC3*r) + expC2)
	p = float32(p*r2) + r + 1
	return float32(math.Ldexp(float64(p), int(n)))
}
