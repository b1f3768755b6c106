package stats

import (
	"math"
	"slices"
)

// Holm returns p-values adjusted so that the chance of even one false rejection among
// them stays at the level (Holm 1979, "A simple sequentially rejective multiple test
// procedure"): with the p in ascending order,
//
//	adjusted[i] = max over j ≤ i of min(1, (n−j)·p[j])   j from 0
//
// in the order given. What is no probability counts as 1.
func Holm(p []float64) []float64 {
	adjusted, order := ascending(p)
	least := 0.0
	for rank, i := range order {
		least = math.Max(least, math.Min(1, float64(len(p)-rank)*adjusted[i]))
		adjusted[i] = least
	}
	return adjusted
}

// BenjaminiHochberg returns p-values adjusted so that the expected share of false ones
// among the rejected stays at the level, if the tests are independent or positively
// dependent (Benjamini and Hochberg 1995, "Controlling the false discovery rate"):
// with the p in ascending order,
//
//	adjusted[i] = min over j ≥ i of min(1, n/(j+1)·p[j])   j from 0
//
// in the order given. What is no probability counts as 1.
func BenjaminiHochberg(p []float64) []float64 {
	adjusted, order := ascending(p)
	most := 1.0
	for rank, i := range slices.Backward(order) {
		most = math.Min(most, float64(len(p))/float64(rank+1)*adjusted[i])
		adjusted[i] = most
	}
	return adjusted
}

// ascending returns a copy of p within 0 to 1 and the indices in its order.
func ascending(p []float64) (within []float64, order []int) {
	within, order = make([]float64, len(p)), make([]int, len(p))
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			v = 1
		}
		within[i], order[i] = v, i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case within[a] < within[b]:
			return -1
		case within[a] > within[b]:
			return 1
		}
		return 0
	})
	return within, order
}
