package kernel

import "math"

type lionJob struct {
	p, g, m                                                []float32
	gscale, keep, beta1, oneMinus1, beta2, oneMinus2, step float32
}

// Lion makes one step of Lion (Chen et al., Symbolic Discovery of Optimization
// Algorithms, 2023, arXiv:2302.06675, algorithm 2) on slices of one length:
// parameters p, gradients g and the moving average m:
//
//	g' = gscale·g
//	c  = beta1·m + (1 − beta1)·g'
//	p  = p·(1 − lr·decay) − lr·sign(c)      sign(0) = 0
//	m  = beta2·m + (1 − beta2)·g'
//
// The constants are worked out in float64 and then rounded. All levels run the
// same plain Go: at about 2 ns an element it is little beside the products that
// made the gradient.
func Lion(t *Team, p, g, m []float32, lr, beta1, beta2, decay, gscale float64) {
	n := len(p)
	check(len(g) == n && len(m) == n, "Lion needs equal lengths")
	t = t.single()
	t.jobs.lion = lionJob{
		p, g, m, float32(gscale), float32(1 - float64(lr*decay)),
		float32(beta1), float32(1 - beta1), float32(beta2), float32(1 - beta2), float32(lr),
	}
	t.sweep(&t.jobs.lion, n)
}

func (j *lionJob) run(_ *worker, lo, hi int) {
	p, g, m := j.p[lo:hi], j.g[lo:hi], j.m[lo:hi]
	step := math.Float32bits(j.step)
	for i := range p {
		grad := float32(g[i] * j.gscale)
		c := float32(j.beta1*m[i]) + float32(j.oneMinus1*grad)
		x := float32(p[i] * j.keep)
		if c != 0 {
			// The sign as bits: a branch on it would be guessed wrong half the time.
			x -= math.Float32frombits(step ^ math.Float32bits(c)&(1<<31))
		}
		p[i] = x
		m[i] = float32(j.beta2*m[i]) + float32(j.oneMinus2*grad)
	}
}
