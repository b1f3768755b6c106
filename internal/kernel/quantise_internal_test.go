package kernel

import (
	"math"
	"testing"
)

// The nearest of NF4's values is found by a search of all: for numbers close to each
// middle, those in between, and what rounding leaves outside of −1 … 1.
func TestNearestNF4(t *testing.T) {
	values := []float32{-1.0001, -1, 0, 1, 1.0001}
	for i := range 20_000 {
		values = append(values, float32(i)/10_000-1)
	}
	for c := range 15 {
		m := (nf4[c] + nf4[c+1]) / 2
		values = append(values, m, math.Nextafter32(m, -2), math.Nextafter32(m, 2))
	}
	for _, v := range values {
		want := byte(0)
		for want < 15 && v > (nf4[want]+nf4[want+1])/2 {
			want++
		}
		if got := nearestNF4(v); got != want {
			t.Fatalf("%g has the code %d, want %d", v, got, want)
		}
	}
}
