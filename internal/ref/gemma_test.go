package ref

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTwinsOfGemma(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const n = 200
	x, x64 := draw(r, n)
	up, up64 := draw(r, n)
	dy, dy64 := draw(r, n)
	y, dgate, dup := make([]float32, n), make([]float32, n), make([]float32, n)
	GELUExact(y, x)
	near(t, "exact GELU", y, GELUExact64(x64))
	GELUExactBackward(y, dy, x, false)
	near(t, "dx of exact GELU", y, GELUExactBackward64(dy64, x64))
	for _, exact := range []bool{false, true} {
		GeGLU(y, x, up, exact)
		near(t, "GeGLU", y, GeGLU64(x64, up64, exact))
		GeGLUBackward(dgate, dup, dy, x, up, exact, false, false)
		dgate64, dup64 := GeGLUBackward64(dy64, x64, up64, exact)
		near(t, "dgate", dgate, dgate64)
		near(t, "dup", dup, dup64)
	}
	SoftCap(y, dgate, x, 1, 2)
	y64, slope64 := SoftCap64(x64, 2)
	near(t, "soft cap", y, y64)
	near(t, "slope", dgate, slope64)
}

// The two fits over their whole range: tanh to a unit in the last place, Φ to 2⁻²⁴ of 1
// and to 2e-6 of itself where it is small, which is what exp of −x²/2 leaves of it.
func TestFits(t *testing.T) {
	for x := -9.5; x < 9.5; x += 0.0003 {
		v := float32(x)
		want := math.Tanh(float64(v))
		if off := math.Abs(float64(Tanh32(v)) - want); off > 0x1p-24*math.Abs(want)*1.05 {
			t.Fatalf("tanh(%g) is off by %.3g of itself", v, off/want)
		}
	}
	for x := -12.0; x < 12; x += 0.0003 {
		v := float32(x)
		got, _ := normalShare(v)
		want := math.Erfc(-float64(v)/math.Sqrt2) / 2
		if off := math.Abs(float64(got) - want); off > 0x1p-24*1.3 || off > 4e-6*want {
			t.Fatalf("Φ(%g) is off by %.3g, %.3g of itself", v, off, off/want)
		}
	}
}
