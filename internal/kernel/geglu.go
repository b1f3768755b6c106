package kernel

type gegluJob struct {
	y, gate, up []float32
	form        GELUForm
}

// GeGLU computes y = gelu(gate)·up for slices of one length (Shazeer 2020,
// arXiv:2002.05202). y may be gate or up.
func GeGLU(t *Team, y, gate, up []float32, form GELUForm) {
	check(len(gate) == len(y) && len(up) == len(y), "GeGLU needs equal lengths")
	t = t.single()
	t.jobs.geglu = gegluJob{y, gate, up, form}
	t.sweep(&t.jobs.geglu, len(y))
}

func (j *gegluJob) run(w *worker, lo, hi int) {
	for ; lo < hi; lo += geluBlock {
		gate := j.gate[lo:min(lo+geluBlock, hi)]
		y, up, values := j.y[lo:][:len(gate)], j.up[lo:][:len(gate)], grow(&w.slopes, geluBlock)[:len(gate)]
		j.form.values(&w.buffers, values, gate)
		for i, v := range values {
			y[i] = float32(v * up[i])
		}
	}
}

type gegluBackJob struct {
	dgate, dup, dy, gate, up []float32
	form                     GELUForm
	addG, addU               bool
}

// GeGLUBackward computes the gradients of GeGLU, with the slope of [GELUBackward]:
//
//	dgate = dy·up·slope(gate),  dup = dy·gelu(gate)
//
// addG and addU add to what dgate and dup hold. Without them dgate and dup may be
// any of the inputs.
func GeGLUBackward(t *Team, dgate, dup, dy, gate, up []float32, form GELUForm, addG, addU bool) {
	n := len(dgate)
	check(len(dup) == n && len(dy) == n && len(gate) == n && len(up) == n, "GeGLUBackward needs equal lengths")
	t = t.single()
	t.jobs.gegluBack = gegluBackJob{dgate, dup, dy, gate, up, form, addG, addU}
	t.sweep(&t.jobs.gegluBack, n)
}

func (j *gegluBackJob) run(w *worker, lo, hi int) {
	for ; lo < hi; lo += geluBlock {
		gate := j.gate[lo:min(lo+geluBlock, hi)]
		n := len(gate)
		slopes := grow(&w.slopes, 2*geluBlock)
		slopes, values := slopes[:n], slopes[geluBlock:][:n]
		j.form.slopes(&w.buffers, slopes, values, gate)
		dgate, dup, dy, up := j.dgate[lo:][:n], j.dup[lo:][:n], j.dy[lo:][:n], j.up[lo:][:n]
		for i, slope := range slopes {
			d, u := dy[i], up[i]
			put(&dgate[i], float32(float32(d*u)*slope), j.addG)
			put(&dup[i], float32(d*values[i]), j.addU)
		}
	}
}
