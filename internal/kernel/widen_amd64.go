//go:build amd64 && !purego

package kernel

// The assembly works on multiples of eight or sixteen elements; plain Go does the rest.
var widenAVX2 = widening{
	halves: func(dst []float32, src []uint16) {
		n := len(dst) &^ 7
		widenHalvesAVX2(dst[:n], src)
		widenHalvesGo(dst[n:], src[n:])
	},
	int8: widenInt8AVX2,
	nf4:  widenNF4AVX2,
	round: func(dst []uint16, src []float32) {
		n := len(dst) &^ 7
		roundAVX2(dst[:n], src)
		roundGo(dst[n:], src[n:])
	},
	inPlace: func(x []float32) {
		n := len(x) &^ 7
		roundInPlaceAVX2(x[:n])
		roundInPlaceGo(x[n:])
	},
	swap: func(dst, src []float32) {
		n := len(src) &^ 7
		roundSwapAVX2(dst, src[:n])
		roundSwapGo(dst[n:], src[n:])
	},
}
