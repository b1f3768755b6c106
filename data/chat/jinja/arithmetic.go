package jinja

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// arithmetic is a + b and its kin.
func arithmetic(r *run, op string, a, b Value) (Value, error) {
	wrong := fmt.Errorf("%q is not supported between %s and %s", op, a.kind(), b.kind())
	switch x := a.(type) {
	case Str:
		if y, ok := b.(Str); ok && op == "+" {
			return x + y, r.makes(len(x) + len(y))
		}
		if n, ok := asInt(b); ok && op == "*" {
			return repeat(r, x, n)
		}
		if op == "%" {
			return percentFormat(string(x), b)
		}
		return nil, wrong
	case *List:
		if y, ok := b.(*List); ok && op == "+" && x.Tuple == y.Tuple {
			return &List{Items: append(append([]Value(nil), x.Items...), y.Items...), Tuple: x.Tuple}, r.makesItems(len(x.Items) + len(y.Items))
		}
		if n, ok := asInt(b); ok && op == "*" {
			l := &List{Tuple: x.Tuple}
			if n > 0 && len(x.Items) > 0 && n > r.limits.Output/len(x.Items) {
				return nil, r.fits(r.limits.Output + 1)
			}
			for range n {
				l.Items = append(l.Items, x.Items...)
			}
			return l, r.makesItems(len(l.Items))
		}
		return nil, wrong
	}
	if n, ok := asInt(a); ok {
		if s, isText := b.(Str); isText && op == "*" {
			return repeat(r, s, n)
		}
		if m, ok := asInt(b); ok && op != "/" {
			return integers(op, n, m)
		}
	}
	x, okX := asFloat(a)
	y, okY := asFloat(b)
	if !okX || !okY {
		return nil, wrong
	}
	switch op {
	case "+":
		return Float(x + y), nil
	case "-":
		return Float(x - y), nil
	case "*":
		return Float(x * y), nil
	case "**":
		return Float(math.Pow(x, y)), nil
	}
	if y == 0 {
		return nil, errors.New("division by zero")
	}
	switch op {
	case "/":
		return Float(x / y), nil
	case "//":
		return Float(math.Floor(x / y)), nil
	}
	return Float(x - y*math.Floor(x/y)), nil
}

func repeat(r *run, s Str, n int) (Value, error) {
	if n <= 0 || s == "" {
		return Str(""), nil
	}
	if n > r.limits.Output/len(s) {
		return nil, r.fits(r.limits.Output + 1)
	}
	return Str(strings.Repeat(string(s), n)), r.makes(n * len(s))
}

// integers is arithmetic on integers, which rounds downwards as Python does.
func integers(op string, n, m int) (Value, error) {
	const bound = 1 << 31 // whose products stay in 64 bits
	switch op {
	case "+", "-":
		if op == "-" {
			m = -m
		}
		if sum := n + m; (sum > n) == (m > 0) {
			return Int(sum), nil
		}
		return nil, errors.New("the sum of two integers is too large")
	case "*":
		if max(n, -n) >= bound || max(m, -m) >= bound {
			return nil, errors.New("the product of two integers is too large")
		}
		return Int(n * m), nil
	case "**":
		if m < 0 {
			return Float(math.Pow(float64(n), float64(m))), nil
		}
		f := math.Pow(float64(n), float64(m))
		if math.Abs(f) >= 1<<53 {
			return nil, errors.New("the power of two integers is too large")
		}
		return Int(f), nil
	}
	if m == 0 {
		return nil, errors.New("division by zero")
	}
	q := n / m
	if n%m != 0 && (n < 0) != (m < 0) {
		q--
	}
	if op == "//" {
		return Int(q), nil
	}
	return Int(n - q*m), nil
}
