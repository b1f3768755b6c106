package rng

import (
	"math"
	"testing"
)

// The first outputs of xoshiro256** from the state {1, 2, 3, 4}, as published
// with the rand_xoshiro crate's reference vector.
func TestReferenceVector(t *testing.T) {
	want := []uint64{11520, 0, 1509978240, 1215971899390074240}
	r := FromState([4]uint64{1, 2, 3, 4})
	for i, w := range want {
		if got := r.Uint64(); got != w {
			t.Errorf("output %d: got %d, want %d", i, got, w)
		}
	}
}

func TestNamesMatter(t *testing.T) {
	a := Key(1, "shuffle", "ab", "c")
	for _, b := range []uint64{Key(1, "shuffle", "a", "bc"), Key(2, "shuffle", "ab", "c"), Key(1, "shuffle", "ab")} {
		if a == b {
			t.Errorf("two streams of different names share the key %x", a)
		}
	}
	if a != Key(1, "shuffle", "ab", "c") {
		t.Error("the same names gave two streams")
	}
}

func TestMoments(t *testing.T) {
	r := New(7, "moments")
	const n = 200000
	var sum, sq float64
	var bins [10]int
	for range n {
		x := r.Normal()
		sum += x
		sq += x * x
		bins[r.IntN(10)]++
	}
	if m := sum / n; math.Abs(m) > 4/math.Sqrt(n) {
		t.Errorf("mean of normal draws %g", m)
	}
	if v := sq / n; math.Abs(v-1) > 4*math.Sqrt(2.0/n) {
		t.Errorf("variance of normal draws %g", v)
	}
	for i, c := range bins {
		if math.Abs(float64(c)-n/10) > 5*math.Sqrt(n*0.09) {
			t.Errorf("bin %d holds %d of %d", i, c, n)
		}
	}
}

func TestPerm(t *testing.T) {
	seen := make([]bool, 50)
	for _, i := range New(3, "perm").Perm(50) {
		if seen[i] {
			t.Fatalf("%d twice", i)
		}
		seen[i] = true
	}
}
