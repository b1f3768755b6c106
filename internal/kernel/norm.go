package kernel

import "math"

// rowGrain is the number of rows of c elements that are worth a thread's while.
func rowGrain(c int) int { return max(1, elementGrain/max(1, c)) }

type normJob struct {
	y, inv, x, w []float32
	c            int
	eps          float32
}

// RMSNorm computes, for each of n rows of c elements, inv = 1/√(mean(x²) + eps)
// and y = x·inv·w: y, x [n, c]; inv [n]; w [c]. y may be x.
func RMSNorm(t *Team, y, inv, x, w []float32, n, c int, eps float32) {
	check(len(y) >= n*c && len(x) >= n*c && len(inv) >= n && len(w) >= c, "RMSNorm: a slice is too short")
	t = t.single()
	t.jobs.norm = normJob{y, inv, x, w, c, eps}
	t.split(&t.jobs.norm, n, rowGrain(c))
}

func (j *normJob) run(_ *worker, lo, hi int) {
	c, w := j.c, j.w[:j.c]
	for i := lo; i < hi; i++ {
		x := j.x[i*c : (i+1)*c]
		mean := code.dot(x, x) / float32(c)
		inv := 1 / float32(math.Sqrt(float64(mean+j.eps)))
		j.inv[i] = inv
		code.normalize(j.y[i*c:(i+1)*c], x, w, inv)
	}
}

type normBackJob struct {
	dx, dy, x, w, inv []float32
	c                 int
	add               bool
}

type normBackWJob struct {
	dw, dy, x, inv []float32
	n, c           int
}

// RMSNormBackwardScratch is the number of elements of scratch that
// RMSNormBackward needs: none today.
func RMSNormBackwardScratch(n, c int) int { return 0 }

// RMSNormBackward computes the gradients of RMSNorm for the gradient dy [n, c]
// of its result:
//
//	dx = dy·w·inv − x·inv³·mean(dy·w·x)
//	dw = Σ over rows of dy·x·inv, one chain of fused multiply-adds in their order
//
// dx and dw may be nil; addDx and addDw add to what they hold. dx may be dy, not x.
func RMSNormBackward(t *Team, dx, dw, dy, x, w, inv []float32, n, c int, addDx, addDw bool, scratch []float32) {
	check(len(dy) >= n*c && len(x) >= n*c && len(inv) >= n && len(w) >= c, "RMSNormBackward: a slice is too short")
	if dw != nil {
		check(len(dw) >= c, "RMSNormBackward: dw is too short")
		if !addDw {
			clear(dw[:c])
		}
		t := t.single()
		t.jobs.normBackW = normBackWJob{dw, dy, x, inv, n, c}
		t.split(&t.jobs.normBackW, c, max(64, elementGrain/max(1, n)))
	}
	if dx != nil {
		check(len(dx) >= n*c, "RMSNormBackward: dx is too short")
		t := t.single()
		t.jobs.normBack = normBackJob{dx, dy, x, w, inv, c, addDx}
		t.split(&t.jobs.normBack, n, rowGrain(c))
	}
}

func (j *normBackJob) run(_ *worker, lo, hi int) {
	c, w := j.c, j.w[:j.c]
	for i := lo; i < hi; i++ {
		dy, x, inv := j.dy[i*c:(i+1)*c], j.x[i*c:(i+1)*c], j.inv[i]
		mean := code.dot3(dy, w, x) / float32(c)
		coefficient := float32(float32(float32(inv*inv)*inv) * mean)
		code.normBack(j.dx[i*c:(i+1)*c], dy, w, x, inv, coefficient, j.add)
	}
}

// The items are columns, so that each element's chain has one owner.
func (j *normBackWJob) run(_ *worker, lo, hi int) {
	for i := range j.n {
		at := i * j.c
		code.normBackW(j.dw[lo:hi], j.dy[at+lo:at+hi], j.x[at+lo:at+hi], j.inv[i])
	}
}
