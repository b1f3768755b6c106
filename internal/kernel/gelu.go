package kernel

type geluJob struct{ y, x []float32 }

type geluBackJob struct {
	dx, dy, x []float32
	add       bool
}

// The two constants of GELU: 2·√(2/π) and the share of the cube.
const (
	geluRate = 1.5957691216057308
	geluCube = 0.044715
)

// geluBlock is the number of elements whose exponentials are held at a time.
const geluBlock = 512

// GELU computes the tanh form of the Gaussian error linear unit (Hendrycks and
// Gimpel 2016, arXiv:1606.08415),
//
//	y = x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
//
// as x·σ(2√(2/π)·x·(1 + 0.044715·x²)), which is the same. y may be x.
func GELU(t *Team, y, x []float32) {
	check(len(x) == len(y), "GELU needs equal lengths")
	t = t.single()
	t.jobs.gelu = geluJob{y, x}
	t.sweep(&t.jobs.gelu, len(y))
}

func (j *geluJob) run(w *worker, lo, hi int) {
	for ; lo < hi; lo += geluBlock {
		x := j.x[lo:min(lo+geluBlock, hi)]
		y, e := j.y[lo:][:len(x)], w.geluExp(x)
		for i, v := range x {
			y[i] = v / (1 + e[i])
		}
	}
}

// geluExp returns exp of minus the argument of σ for each x, in a buffer.
func (b *buffers) geluExp(x []float32) []float32 {
	e := grow(&b.exps, geluBlock)[:len(x)]
	for i, v := range x {
		e[i] = float32(-geluRate*v) * (1 + float32(geluCube*float32(v*v)))
	}
	code.exp(e, e)
	return e
}

// GELUBackward computes the gradient of GELU, with σ as there:
//
//	dx = dy·(σ + x·σ·(1 − σ)·2√(2/π)·(1 + 3·0.044715·x²))
//
// add adds to what dx holds. Without it dx may be dy or x.
func GELUBackward(t *Team, dx, dy, x []float32, add bool) {
	check(len(dy) == len(dx) && len(x) == len(dx), "GELUBackward needs equal lengths")
	t = t.single()
	t.jobs.geluBack = geluBackJob{dx, dy, x, add}
	t.sweep(&t.jobs.geluBack, len(dx))
}

func (j *geluBackJob) run(w *worker, lo, hi int) {
	for ; lo < hi; lo += geluBlock {
		x := j.x[lo:min(lo+geluBlock, hi)]
		dx, dy, e := j.dx[lo:][:len(x)], j.dy[lo:][:len(x)], w.geluExp(x)
		for i, v := range x {
			sigma := 1 / (1 + e[i])
			rise := geluRate * (1 + float32(3*geluCube*float32(v*v)))
			slope := sigma + float32(float32(float32(v*sigma)*(1-sigma))*rise)
			put(&dx[i], float32(dy[i]*slope), j.add)
		}
	}
}
