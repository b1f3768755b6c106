package kernel

type averageJob struct {
	average, x []float32
	share      float32
}

// Average moves a moving average towards x: average −= (1 − decay)·(average − x), both of
// one length. With a decay of 0 it becomes x.
func Average(t *Team, average, x []float32, decay float64) {
	check(len(average) == len(x), "Average needs equal lengths")
	t = t.single()
	t.jobs.average = averageJob{average, x, float32(1 - decay)}
	t.sweep(&t.jobs.average, len(x))
}

func (j *averageJob) run(_ *worker, lo, hi int) {
	average, x := j.average[lo:hi], j.x[lo:hi]
	if j.share == 1 {
		copy(average, x)
		return
	}
	for i, v := range x {
		average[i] -= float32(j.share * (average[i] - v))
	}
}

type lookaheadJob struct {
	u, g, m       []float32
	gscale, share float32
}

// Lookahead is the momentum of Muon, Nesterov's with averages in place of sums: of
// gradients g it updates the average m and writes the mean u of the two, all of one
// length, in the order of torch.optim.Muon:
//
//	g' = gscale·g
//	m  = m + (1 − momentum)·(g' − m)
//	u  = m − (1 − momentum)·(m − g')    which is (1 − momentum)·g' + momentum·m
func Lookahead(t *Team, u, g, m []float32, momentum, gscale float64) {
	n := len(u)
	check(len(g) == n && len(m) == n, "Lookahead needs equal lengths")
	t = t.single()
	t.jobs.lookahead = lookaheadJob{u: u, g: g, m: m, gscale: float32(gscale), share: float32(1 - momentum)}
	t.sweep(&t.jobs.lookahead, n)
}

func (j *lookaheadJob) run(_ *worker, lo, hi int) {
	u, g, m := j.u[lo:hi], j.g[lo:hi], j.m[lo:hi]
	for i := range u {
		grad := float32(g[i] * j.gscale)
		x := m[i] + float32(j.share*(grad-m[i]))
		m[i] = x
		u[i] = x - float32(j.share*(x-grad))
	}
}
