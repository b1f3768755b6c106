package schedule

import "math"

// cosine falls along half a period: c = ½(1 + cos(π·i/n)) (Loshchilov and
// Hutter, SGDR, 2017, without restarts).
func cosine(_ Config, i, n int) float64 {
	return (1 + math.Cos(math.Pi*float64(i)/float64(n))) / 2
}
