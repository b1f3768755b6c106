package schedule

// constant stays at the peak: c = 1.
func constant(Config, int, int) float64 { return 1 }
