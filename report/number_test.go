package report

import (
	"bytes"
	"math"
	"testing"

	"gotune/study"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {12, "12"}, {-3, "−3"}, {0.1234, "0.123"}, {0.5, "0.5"}, {12.34, "12.3"}, {123.4, "123"}, {0.0012, "0.0012"}, {3e-4, "3e−4"}, {1.5e9, "1.5e9"},
		{999_999, "999999"}, {math.NaN(), "–"}, {math.Inf(-1), "–"}, {9.999, "10"},
	} {
		if got := number(c.v); got != c.want {
			t.Errorf("number(%v) = %s, want %s", c.v, got, c.want)
		}
	}
}

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		mid, low, high  float64
		value, interval string
	}{
		{0.0894, 0.0712, 0.1076, "0.089", "[0.071, 0.108]"},
		{0.0894, 0.0394, 0.1394, "0.09", "[0.04, 0.14]"},
		{123.4, 100, 147, "123", "[100, 147]"},
		{-0.0001, -0.02, 0.0198, "0.000", "[−0.020, 0.020]"},
		{0.5, 0.5, 0.5, "0.500", "[0.500, 0.500]"},
		{0, 0, 0, "0.000", "[0.000, 0.000]"},
		{12.5, 12.5, 12.5, "12.5", "[12.5, 12.5]"},
		{2e9, 1e9, 3e9, "2e9", "[1e9, 3e9]"},
	} {
		value, interval := estimate(c.mid, c.low, c.high)
		if value != c.value || interval != c.interval {
			t.Errorf("estimate(%v, %v, %v) = %s %s, want %s %s", c.mid, c.low, c.high, value, interval, c.value, c.interval)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{probability(0.00002), "< 0.001"}, {probability(0.0312), "0.031"}, {probability(0.312), "0.31"}, {probability(0.9999), "1"},
		{amount(950), "950"}, {amount(12_345), "12.3 thousand"}, {amount(1_200_000), "1.2 million"}, {amount(4.3e8), "430 million"},
		{duration(12.34), "12.3 s"}, {duration(200), "3 min 20 s"}, {duration(7500), "2 h 5 min"},
		{plural(1, "seed"), "1 seed"}, {plural(2, "seed"), "2 seeds"},
		{short("a\nb\u202ec\x00", 10), "a bc"}, {short("abcdef", 4), "abc…"},
		{fileName("K5/../x Ä"), "k5----x"}, {fileName("…"), "study"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// A value that is tried far from the others by a group of one point, which is not drawn,
// makes no axis logarithmic that cannot be.
func TestLinesOfWhatIsDrawn(t *testing.T) {
	pic := lines("p", "P", "rate", study.Metric{Name: "m"}, func(yield func(string, float64, spread)) {
		one := spread{1, 1, 1, 2}
		yield("a", 0.5, one)
		yield("a", 0.5, one)
		yield("alone", 50, one)
	})
	var b bytes.Buffer
	if err := pic.svg(&b); err != nil || b.Len() == 0 {
		t.Errorf("%d bytes are drawn: %v", b.Len(), err)
	}
}
