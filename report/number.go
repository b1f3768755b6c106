package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// number writes a number with the digits that a reader needs: three, or all of a
// whole one below a million, with an exponent where zeros would have to be counted.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0" // also of −0
	case v == math.Trunc(v) && a < 1e6:
		return minus(strconv.FormatFloat(v, 'f', 0, 64))
	case a < 1e-3 || a >= 1e6:
		return scientific(v)
	case a >= 100:
		return minus(strconv.FormatFloat(v, 'f', 0, 64))
	default:
		digits := 2 - int(math.Floor(math.Log10(a)))
		text := strconv.FormatFloat(v, 'f', digits, 64)
		return minus(strings.TrimRight(strings.TrimRight(text, "0"), "."))
	}
}

// scientific writes 0.0003 as 3e−4.
func scientific(v float64) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	n, err := strconv.Atoi(exponent)
	if err != nil {
		return minus(mantissa)
	}
	return minus(mantissa + "e" + strconv.Itoa(n))
}

func minus(s string) string { return strings.ReplaceAll(s, "-", "−") }

// decimals is how many are meant by an uncertainty: two digits of it where the first is
// 1 or 2, else one.
func decimals(halfWidth float64) int {
	if !(halfWidth > 0) || math.IsInf(halfWidth, 0) {
		return 3
	}
	exponent := math.Floor(math.Log10(halfWidth))
	n := -int(exponent)
	if halfWidth/math.Pow(10, exponent) < 3 {
		n++
	}
	return min(max(n, 0), 6)
}

// estimate writes a mean and its interval to the same digits, which follow from the
// interval's width: 0.031 and [0.012, 0.050].
func estimate(mid, low, high float64) (value, interval string) {
	half := (high - low) / 2
	if widest := max(math.Abs(mid), math.Abs(low), math.Abs(high)); widest >= 1e6 || half > 0 && half < 1e-6 {
		return number(mid), "[" + number(low) + ", " + number(high) + "]"
	}
	n := decimals(half)
	if half == 0 && mid != 0 {
		n = min(max(3-int(math.Ceil(math.Log10(math.Abs(mid)))), 0), 6)
	}
	text := func(v float64) string {
		s := strconv.FormatFloat(v, 'f', n, 64)
		if strings.Trim(s, "-0.") == "" {
			s = strings.TrimPrefix(s, "-") // no minus before a zero
		}
		return minus(s)
	}
	return text(mid), "[" + text(low) + ", " + text(high) + "]"
}

// probability writes a p-value.
func probability(p float64) string {
	switch {
	case p < 0.001:
		return "< 0.001"
	case p >= 0.9995:
		return "1"
	case p < 0.1:
		return strconv.FormatFloat(p, 'f', 3, 64)
	}
	return strconv.FormatFloat(p, 'f', 2, 64)
}

// amount writes a count as 950, 12.3 thousand, 1.20 million.
func amount(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, " billion"}, {1e6, " million"}, {1e3, " thousand"}} {
		if v >= u.size {
			return strconv.FormatFloat(v/u.size, 'g', 3, 64) + u.name
		}
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// duration writes seconds as 12.3 s, 3 min 20 s, 2 h 5 min.
func duration(seconds float64) string {
	if seconds < 60 {
		return strconv.FormatFloat(seconds, 'g', 3, 64) + " s"
	}
	d := time.Duration(min(seconds, 1e9)) * time.Second
	if d < time.Hour {
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// plural writes 1 seed, 2 seeds.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// short is a text of at most n letters on one line, for a place in a picture. What
// cannot be seen, or would turn the writing round, is left out.
func short(s string, n int) string {
	var clean []rune
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			r = ' '
		case !unicode.IsPrint(r):
			continue
		}
		if len(clean) == n {
			clean[n-1] = '…'
			break
		}
		clean = append(clean, r)
	}
	return string(clean)
}
