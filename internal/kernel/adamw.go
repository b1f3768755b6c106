package kernel

import "math"

type adamwConstants struct {
	gscale, keep, oneMinusBeta1, beta2, oneMinusBeta2, rootBias2, eps, step float32
}

type adamwJob struct {
	p, g, m, v []float32
	constants  adamwConstants
}

// AdamW makes one step of Adam with decoupled weight decay (Loshchilov and
// Hutter, 2019) on slices of one length: parameters p, gradients g, and the moving
// averages m and v, in the order of PyTorch's operations:
//
//	g' = gscale·g
//	p  = p·(1 − lr·decay)
//	m  = m + (1 − beta1)·(g' − m)
//	v  = beta2·v + (1 − beta2)·g'²
//	p  = p − (lr/bias1)·m/(√v/√bias2 + eps)
//
// with bias1 = 1 − beta1ᵗ and bias2 = 1 − beta2ᵗ at step t = 1, 2, … The
// constants of the last three lines are worked out in float64 and then rounded.
func AdamW(t *Team, p, g, m, v []float32, lr, beta1, beta2, eps, decay, bias1, bias2, gscale float64) {
	n := len(p)
	check(len(g) == n && len(m) == n && len(v) == n, "AdamW needs equal lengths")
	t = t.single()
	t.jobs.adamw = adamwJob{p, g, m, v, adamwConstants{
		gscale:        float32(gscale),
		keep:          float32(1 - float64(lr*decay)),
		oneMinusBeta1: float32(1 - beta1),
		beta2:         float32(beta2),
		oneMinusBeta2: float32(1 - beta2),
		rootBias2:     float32(math.Sqrt(bias2)),
		eps:           float32(eps),
		step:          float32(lr / bias1),
	}}
	t.sweep(&t.jobs.adamw, n)
}

func (j *adamwJob) run(_ *worker, lo, hi int) {
	code.adamw(j.p[lo:hi], j.g[lo:hi], j.m[lo:hi], j.v[lo:hi], &j.constants)
}
