package ref

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMA32RoundsOnce holds the case in which rounding to float64 first goes wrong:
// the exact sum lies just beside a tie of float32.
func TestFMA32RoundsOnce(t *testing.T) {
	a := float32(1 + 0x1p-23)
	b := float32(0x1p-24 * (1 - 0x1p-23))
	c := float32(1 + 0x1p-23)
	if got := fma32(a, b, c); got != 1+0x1p-23 {
		t.Errorf("fma32 = %x, want %x", got, float32(1+0x1p-23))
	}
	if twice := float32(math.FMA(float64(a), float64(b), float64(c))); twice == 1+0x1p-23 {
		t.Error("the case does not tell one rounding from two")
	}
}

// TestFMA32Big compares with exact arithmetic rounded once.
func TestFMA32Big(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() float32 {
		x := math.Float32frombits(r.Uint32())
		for x != x || math.IsInf(float64(x), 0) || math.Abs(float64(x)) > 0x1p60 || math.Abs(float64(x)) < 0x1p-60 {
			x = math.Float32frombits(r.Uint32())
		}
		return x
	}
	for range 100_000 {
		a, b := draw(), draw()
		c := draw()
		if r.IntN(2) == 0 { // near cancellation and near ties
			c = float32(-float64(a) * float64(b) * (1 + math.Ldexp(r.Float64(), -r.IntN(40))))
		}
		exact := new(big.Float).SetPrec(400).Mul(big.NewFloat(float64(a)), big.NewFloat(float64(b)))
		exact.Add(exact, big.NewFloat(float64(c)))
		want, _ := exact.Float32()
		if math.Abs(float64(want)) < smallest {
			continue
		}
		if got := fma32(a, b, c); got != want {
			t.Fatalf("fma32(%x, %x, %x) = %x, want %x", a, b, c, got, want)
		}
	}
}

func TestSubnormalsAreFlushed(t *testing.T) {
	tiny := float32(0x1p-130)
	for name, got := range map[string]float32{
		"tiny + 0":            add32(tiny, 0),
		"2⁻¹⁰⁰ · 2⁻¹⁰⁰":       mul32(0x1p-100, 0x1p-100),
		"tiny · 2¹⁰⁰":         mul32(tiny, 0x1p100),
		"2⁻¹²⁶·1.5 − 2⁻¹²⁶":   sub32(0x1.8p-126, 0x1p-126),
		"2⁻¹²⁶·(1 − 2⁻²⁴)":    mul32(0x1p-126, 1-0x1p-24),
		"√tiny":               sqrt32(tiny),
		"fma(2⁻⁷⁰, 2⁻⁷⁰, 0)":  fma32(0x1p-70, 0x1p-70, 0),
		"fma(tiny, 1, -tiny)": fma32(tiny, 1, -tiny),
	} {
		if got != 0 {
			t.Errorf("%s = %x, want 0", name, got)
		}
	}
}

// TestExp32 holds the accuracy of the polynomial over its whole range.
func TestExp32(t *testing.T) {
	worst := 0.0
	for x := float32(-87.3); x < 88.7; x += 0.0007 {
		want := math.Exp(float64(x))
		ulp := math.Ldexp(1, int(math.Floor(math.Log2(want)))-23)
		worst = max(worst, math.Abs(float64(Exp32(x))-want)/ulp)
	}
	if worst > 1.1 {
		t.Errorf("off by up to %.3f units in the last place, want at most 1.1", worst)
	}
	for x, want := range map[float32]float32{
		0: 1, 88.72284: float32(math.Inf(1)), -87.33655: 0, float32(math.Inf(-1)): 0, float32(math.Inf(1)): float32(math.Inf(1)),
	} {
		if got := Exp32(x); got != want {
			t.Errorf("Exp32(%v) = %v, want %v", x, got, want)
		}
	}
	if x := Exp32(float32(math.NaN())); x == x {
		t.Error("Exp32(NaN) is a number")
	}
}
