package kernel

import "math"

type nllJob struct {
	logits, nll, hit []float32
	targets          []int32
	v                int
	scale            float32
}

// SoftmaxNLL computes, for each of m rows of v logits with a target,
//
//	nll    = log Σ exp(logits) − logits[target]
//	hit    = 1 if the target has the largest logit and none before it equals it, else 0
//	logits = scale·(softmax(logits) − onehot(target)), the gradient of scale·nll
//
// logits [m, v], nll, hit [m], targets [m] in 0 … v-1; another target panics.
func SoftmaxNLL(t *Team, logits, nll, hit []float32, targets []int32, m, v int, scale float32) {
	check(len(logits) >= m*v && len(nll) >= m && len(hit) >= m && len(targets) >= m, "SoftmaxNLL: a slice is too short")
	t = t.single()
	t.jobs.nll = nllJob{logits, nll, hit, targets, v, scale}
	t.split(&t.jobs.nll, m, max(1, elementGrain/2/max(1, v)))
}

func (j *nllJob) run(w *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		row, target := j.logits[i*j.v:(i+1)*j.v], int(j.targets[i])
		wanted := row[target]
		first := true
		for _, x := range row[:target] {
			if x >= wanted {
				first = false
				break
			}
		}
		code.softmax(row, j.v, 1, j.v, 1, w.largest[:], w.sum[:])
		largest, sum := w.largest[0], w.sum[0]
		j.hit[i] = 0
		if first && wanted == largest {
			j.hit[i] = 1
		}
		j.nll[i] = logSum(largest, sum) - wanted
		p := float32(j.scale / sum)
		code.scale(row, row, p, false)
		row[target] -= j.scale
	}
}

// logSum returns largest + log(sum).
func logSum(largest, sum float32) float32 {
	return largest + float32(math.Log(float64(sum)))
}
