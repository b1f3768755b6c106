package kernel

// This file is what a soft cap does to the scores of attention. It is plain Go at every
// level: about 3 ns for each pair of a query and a key, and as much again in the backward
// pass, beside the products, which are made as without a cap.

// softmax is code.softmax of capped and scaled scores.
func (s AttentionShape) softmax(x []float32, stride, m, n int, largest, sum []float32) {
	if s.Cap == 0 {
		code.softmax(x, stride, m, n, s.Scale, largest, sum)
		return
	}
	for i := range m {
		row := x[i*stride : i*stride+n+i]
		softCap(row, nil, row, s.Scale, s.Cap)
	}
	code.softmax(x, stride, m, n, 1, largest, sum)
}

// softmaxBack is code.softmaxBack of capped and scaled scores: with the score c after the
// cap, dp becomes p·(dp − delta)·(1 − (c/Cap)²)·Scale.
func (s AttentionShape) softmaxBack(w *worker, x, dp []float32, stride, m, n, limit int, lse, delta []float32) {
	if s.Cap == 0 {
		code.softmaxBack(x, dp, stride, m, n, limit, s.Scale, lse, delta)
		return
	}
	for i := range m {
		count := min(n+i, limit)
		if count <= 0 {
			continue
		}
		row, slopes := x[i*stride:][:count], grow(&w.slopes, count)
		softCap(row, slopes, row, s.Scale, s.Cap)
		code.softmaxBack(row, dp[i*stride:], stride, 1, count, count, 1, lse[i:], delta[i:])
		for j, slope := range slopes {
			dp[i*stride+j] = float32(float32(dp[i*stride+j]*slope) * s.Scale)
		}
	}
}
