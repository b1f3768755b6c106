package model

// Frequencies returns the sets of rotary frequencies and the factor of their sines.
func (r Rope) Frequencies(head, positions int) ([][]float64, float64) {
	return r.frequencies(head, positions)
}
