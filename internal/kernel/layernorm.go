package kernel

import "math"

type layerNormJob struct {
	y, stats, x, w, bias []float32
	c                    int
	eps                  float32
}

// LayerNorm computes, for each of n rows of c elements, the mean, d = x − mean,
// inv = 1/√(mean(d²) + eps) and y = d·inv·w + bias: y, x [n, c]; w, bias [c]; stats
// [n, 2] receives mean and inv. y may be x.
func LayerNorm(t *Team, y, stats, x, w, bias []float32, n, c int, eps float32) {
	check(len(y) >= n*c && len(x) >= n*c && len(stats) >= 2*n && len(w) >= c && len(bias) >= c, "LayerNorm: a slice is too short")
	t = t.single()
	t.jobs.layerNorm = layerNormJob{y, stats, x, w, bias, c, eps}
	t.split(&t.jobs.layerNorm, n, rowGrain(c))
}

func (j *layerNormJob) run(worker *worker, lo, hi int) {
	c, w, bias := j.c, j.w[:j.c], j.bias[:j.c]
	ones := worker.unit(c)
	for i := lo; i < hi; i++ {
		x, y := j.x[i*c:(i+1)*c], j.y[i*c:(i+1)*c]
		mean := code.dot(x, ones) / float32(c)
		d := worker.centre(x, mean)
		variance := code.dot(d, d) / float32(c)
		inv := 1 / float32(math.Sqrt(float64(variance+j.eps)))
		j.stats[2*i], j.stats[2*i+1] = mean, inv
		code.normalize(y, d, w, inv)
		code.add(y, y, bias)
	}
}

// unit returns n ones: a sum is a product with them, and x + s is x + s·1.
func (b *buffers) unit(n int) []float32 {
	if len(b.ones) < n {
		grow(&b.ones, n)
		Fill(b.ones, 1)
	}
	return b.ones[:n]
}

// centre returns x − mean in a buffer.
func (b *buffers) centre(x []float32, mean float32) []float32 {
	d := grow(&b.centred, len(x))
	copy(d, x)
	code.scale(d, b.unit(len(x)), -mean, true)
	return d
}

type layerNormBackJob struct {
	dx, dy, x, w, stats []float32
	c                   int
	add                 bool
}

type layerNormBackWJob struct {
	dw, dbias, dy, x, stats []float32
	n, c                    int
}

// LayerNormBackward computes the gradients of LayerNorm for the gradient dy [n, c]
// of its result, with d = x − mean:
//
//	dx    = dy·w·inv − d·inv³·mean(dy·w·d) − inv·mean(dy·w)
//	dw    = Σ over rows of dy·d·inv, one chain of fused multiply-adds in their order
//	dbias = Σ over rows of dy, in their order
//
// Each of dx, dw and dbias may be nil; addDx, addDw and addDbias add to what they
// hold. dx may be dy, not x.
func LayerNormBackward(t *Team, dx, dw, dbias, dy, x, w, stats []float32, n, c int, addDx, addDw, addDbias bool) {
	check(len(dy) >= n*c && len(x) >= n*c && len(stats) >= 2*n && len(w) >= c, "LayerNormBackward: a slice is too short")
	for _, sum := range []struct {
		of  []float32
		add bool
	}{{dw, addDw}, {dbias, addDbias}} {
		check(sum.of == nil || len(sum.of) >= c, "LayerNormBackward: dw or dbias is too short")
		if sum.of != nil && !sum.add {
			clear(sum.of[:c])
		}
	}
	if dw != nil || dbias != nil {
		t := t.single()
		t.jobs.layerNormBackW = layerNormBackWJob{dw, dbias, dy, x, stats, n, c}
		t.split(&t.jobs.layerNormBackW, c, max(64, elementGrain/max(1, n)))
	}
	if dx != nil {
		check(len(dx) >= n*c, "LayerNormBackward: dx is too short")
		t := t.single()
		t.jobs.layerNormBack = layerNormBackJob{dx, dy, x, w, stats, c, addDx}
		t.split(&t.jobs.layerNormBack, n, rowGrain(c))
	}
}

func (j *layerNormBackJob) run(worker *worker, lo, hi int) {
	c, w := j.c, j.w[:j.c]
	ones := worker.unit(c)
	for i := lo; i < hi; i++ {
		dy, dx := j.dy[i*c:(i+1)*c], j.dx[i*c:(i+1)*c]
		mean, inv := j.stats[2*i], j.stats[2*i+1]
		d := worker.centre(j.x[i*c:(i+1)*c], mean)
		level := code.dot(dy, w) / float32(c)
		tilt := code.dot3(dy, w, d) / float32(c)
		coefficient := float32(float32(float32(inv*inv)*inv) * tilt)
		code.normBack(dx, dy, w, d, inv, coefficient, j.add)
		code.scale(dx, ones, -float32(inv*level), true)
	}
}

// The items are columns, so that each element's chain has one owner.
func (j *layerNormBackWJob) run(worker *worker, lo, hi int) {
	for i := range j.n {
		at := i * j.c
		dy := j.dy[at+lo : at+hi]
		if j.dw != nil {
			code.normBackW(j.dw[lo:hi], dy, worker.centre(j.x[at+lo:at+hi], j.stats[2*i]), j.stats[2*i+1])
		}
		if j.dbias != nil {
			code.add(j.dbias[lo:hi], j.dbias[lo:hi], dy)
		}
	}
}
