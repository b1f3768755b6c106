package kernel

type swigluJob struct{ y, gate, up []float32 }

// SwiGLU computes y = gate·σ(gate)·up, σ(x) = 1/(1 + e⁻ˣ), for slices of one
// length (Shazeer, 2020). y may be gate or up.
func SwiGLU(t *Team, y, gate, up []float32) {
	check(len(gate) == len(y) && len(up) == len(y), "SwiGLU needs equal lengths")
	t = t.single()
	t.jobs.swiglu = swigluJob{y, gate, up}
	t.sweep(&t.jobs.swiglu, len(y))
}

func (j *swigluJob) run(_ *worker, lo, hi int) {
	code.swiglu(j.y[lo:hi], j.gate[lo:hi], j.up[lo:hi])
}

type swigluBackJob struct {
	dgate, dup, dy, gate, up []float32
	addG, addU               bool
}

// SwiGLUBackward computes the gradients of SwiGLU, with s = gate·σ(gate):
//
//	dgate = dy·up·(σ + s·(1 − σ))
//	dup   = dy·s
//
// addG and addU add to what dgate and dup hold. Without them dgate and dup may be
// any of the inputs.
func SwiGLUBackward(t *Team, dgate, dup, dy, gate, up []float32, addG, addU bool) {
	n := len(dgate)
	check(len(dup) == n && len(dy) == n && len(gate) == n && len(up) == n, "SwiGLUBackward needs equal lengths")
	t = t.single()
	t.jobs.swigluBack = swigluBackJob{dgate, dup, dy, gate, up, addG, addU}
	t.sweep(&t.jobs.swigluBack, n)
}

func (j *swigluBackJob) run(_ *worker, lo, hi int) {
	code.swigluBack(j.dgate[lo:hi], j.dup[lo:hi], j.dy[lo:hi], j.gate[lo:hi], j.up[lo:hi], j.addG, j.addU)
}
