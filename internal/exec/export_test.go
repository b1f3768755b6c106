package exec

import "gorgonia.org/gorgonia"

// Bound returns the bytes that a program plans and the bytes that live at the
// same time at its worst step, which no plan can go below.
func Bound(g *gorgonia.ExprGraph, c Config) (planned, bound int64, err error) {
	l, _, err := prepare(g, c)
	if err != nil {
		return 0, 0, err
	}
	return int64(l.need) * 4, int64(l.lowerBound()) * 4, nil
}
