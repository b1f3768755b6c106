package schedule

// linear falls in a straight line: c = 1 − i/n.
func linear(_ Config, i, n int) float64 { return float64(n-i) / float64(n) }
