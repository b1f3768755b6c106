package ref

import (
	"math"
	"slices"
)

// CrossEntropy64 computes logits = hidden·weightᵀ for hidden [n, c] and weight
// [v, c], and for every row with a target ≥ 0 nll = −log softmax(logits)[target]
// and whether the target is the first with the largest logit. The loss is scale·Σ weights·nll; dhidden
// and dweight are its gradients.
func CrossEntropy64(hidden, weight []float64, targets []int32, weights []float32, scale float64, c int) (loss float64, nll, hit, dhidden, dweight []float64) {
	return CappedCrossEntropy64(hidden, weight, targets, weights, scale, c, 0)
}

// CappedCrossEntropy64 is CrossEntropy64 with logits = limit·tanh(hidden·weightᵀ/limit); a
// limit of 0 is none.
func CappedCrossEntropy64(hidden, weight []float64, targets []int32, weights []float32, scale float64, c int, limit float64) (loss float64, nll, hit, dhidden, dweight []float64) {
	n, v := len(targets), len(weight)/c
	nll, hit = make([]float64, n), make([]float64, n)
	dhidden, dweight = make([]float64, n*c), make([]float64, v*c)
	logits, slopes := Linear64(hidden, weight, nil, n, c, v), make([]float64, n*v)
	for i := range slopes {
		slopes[i] = 1
	}
	if limit > 0 {
		logits, slopes = SoftCap64(logits, limit)
	}
	for i, target := range targets {
		if target < 0 {
			continue
		}
		row := logits[i*v : (i+1)*v]
		largest, sum := math.Inf(-1), 0.0
		for _, l := range row {
			largest = max(largest, l)
		}
		for _, l := range row {
			sum += math.Exp(l - largest)
		}
		nll[i] = largest + math.Log(sum) - row[target]
		if slices.Index(row, largest) == int(target) {
			hit[i] = 1
		}
		scale := scale * float64(weights[i])
		loss += scale * nll[i]
		for j, l := range row {
			g := math.Exp(l-largest) / sum
			if j == int(target) {
				g--
			}
			g *= slopes[i*v+j]
			for e := range c {
				dhidden[i*c+e] += scale * g * weight[j*c+e]
				dweight[j*c+e] += scale * g * hidden[i*c+e]
			}
		}
	}
	return loss, nll, hit, dhidden, dweight
}
