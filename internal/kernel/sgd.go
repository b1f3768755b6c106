package kernel

type sgdJob struct {
	p, g, m                       []float32
	gscale, decay, momentum, step float32
	nesterov                      bool
}

// SGD makes one step of stochastic gradient descent with momentum on slices of
// one length: parameters p, gradients g and the velocity m, in the order of
// PyTorch's operations, with no dampening:
//
//	g' = gscale·g + decay·p
//	m  = momentum·m + g'
//	p  = p − lr·m              or, with nesterov,
//	p  = p − lr·(g' + momentum·m)
//
// A nil m is a momentum of 0: p = p − lr·g'. All levels run the same plain Go:
// at about 2 ns an element it is little beside the products that made the gradient.
func SGD(t *Team, p, g, m []float32, lr, momentum, decay, gscale float64, nesterov bool) {
	n := len(p)
	check(len(g) == n && (m == nil || len(m) == n), "SGD needs equal lengths")
	t = t.single()
	t.jobs.sgd = sgdJob{p, g, m, float32(gscale), float32(decay), float32(momentum), float32(lr), nesterov}
	t.sweep(&t.jobs.sgd, n)
}

func (j *sgdJob) run(_ *worker, lo, hi int) {
	p, g := j.p[lo:hi], j.g[lo:hi]
	if j.m == nil {
		for i := range p {
			grad := float32(g[i]*j.gscale) + float32(j.decay*p[i])
			p[i] -= float32(j.step * grad)
		}
		return
	}
	m := j.m[lo:hi]
	for i := range p {
		grad := float32(g[i]*j.gscale) + float32(j.decay*p[i])
		v := float32(j.momentum*m[i]) + grad
		m[i] = v
		if j.nesterov {
			v = grad + float32(j.momentum*v)
		}
		p[i] -= float32(j.step * v)
	}
}
