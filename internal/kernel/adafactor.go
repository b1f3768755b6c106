package kernel

import "math"

type meansJob struct {
	x         Matrix
	dst       []float32
	sums      []float64 // of columns
	scale, up float32
	byColumns bool
}

// SquareMeans writes the means of the rows and of the columns of (scale·x)² + add: rows
// has x.Rows elements, cols x.Cols. Each sum is taken in float64 from the first element
// to the last.
func SquareMeans(t *Team, rows, cols []float32, x Matrix, scale, add float64) {
	x.check()
	check(len(rows) == x.Rows && len(cols) == x.Cols, "SquareMeans: a mean for each row and each column")
	t = t.single()
	defer t.release()
	t.step = 0
	j := &t.jobs.means
	sums := j.sums
	if cap(sums) < x.Cols {
		sums = make([]float64, x.Cols)
	}
	*j = meansJob{x: x, dst: rows, sums: sums[:x.Cols], scale: float32(scale), up: float32(add)}
	t.share(j, x.Rows, max(1, elementGrain/max(1, x.Cols)))
	j.dst, j.byColumns = cols, true
	t.share(j, x.Cols, max(16, elementGrain/max(1, x.Rows)))
}

func (j *meansJob) square(v float32) float64 {
	v = float32(v * j.scale)
	return float64(float32(v*v) + j.up)
}

func (j *meansJob) run(_ *worker, lo, hi int) {
	if !j.byColumns {
		for i := lo; i < hi; i++ {
			sum := 0.0
			for _, v := range j.x.Data[i*j.x.Stride:][:j.x.Cols] {
				sum += j.square(v)
			}
			j.dst[i] = float32(sum / float64(j.x.Cols))
		}
		return
	}
	sums := j.sums[lo:hi]
	clear(sums)
	for i := range j.x.Rows {
		for k, v := range j.x.Data[i*j.x.Stride+lo:][:hi-lo] {
			sums[k] += j.square(v)
		}
	}
	for k, s := range sums {
		j.dst[lo+k] = float32(s / float64(j.x.Rows))
	}
}

type factoredJob struct {
	p, g, m           []float32 // without p the norms are computed
	rows, cols        []float32
	gscale            float32
	norms             []float64 // of each row of the update, squared
	size, beta1, keep float32
}

// update is the update of an element before its scale.
func (j *factoredJob) update(row, col, g float32) float32 {
	return float32(float32(row*col) * float32(g*j.gscale))
}

// FactoredNorm returns Σ u² of the update u[i,k] = (rows[i]·cols[k])·(gscale·g[i,k]) of a
// matrix of len(rows) rows and len(cols) columns.
func FactoredNorm(t *Team, g, rows, cols []float32, gscale float64) float64 {
	check(len(g) == len(rows)*len(cols), "FactoredNorm: a factor for each row and each column")
	t = t.single()
	defer t.release()
	t.step = 0
	j := &t.jobs.factored
	norms := j.norms
	if cap(norms) < len(rows) {
		norms = make([]float64, len(rows))
	}
	norms = norms[:len(rows)]
	*j = factoredJob{g: g, rows: rows, cols: cols, gscale: float32(gscale), norms: norms}
	t.share(j, len(rows), max(1, elementGrain/max(1, len(cols))))
	total := 0.0
	for _, s := range norms {
		total += s
	}
	return total
}

// FactoredStep changes parameters by the update u of [FactoredNorm]:
//
//	p = p·(1 − decay) − size·u
//	m = beta1·m + (1 − beta1)·size·u and p = p·(1 − decay) − m, with an average m
//
// where m is nil if there is none.
func FactoredStep(t *Team, p, g, m, rows, cols []float32, size, beta1, decay, gscale float64) {
	check(len(g) == len(rows)*len(cols) && len(p) == len(g), "FactoredStep: a factor for each row and each column")
	check(m == nil || len(m) == len(p), "FactoredStep needs equal lengths")
	t = t.single()
	j := &t.jobs.factored
	*j = factoredJob{p: p, g: g, m: m, rows: rows, cols: cols, gscale: float32(gscale), norms: j.norms,
		size: float32(size), beta1: float32(beta1), keep: float32(1 - decay)}
	t.split(j, len(rows), max(1, elementGrain/max(1, len(cols))))
}

func (j *factoredJob) run(_ *worker, lo, hi int) {
	n := len(j.cols)
	for i := lo; i < hi; i++ {
		row, g := j.rows[i], j.g[i*n:][:n]
		if j.p == nil {
			sum := 0.0
			for k, col := range j.cols {
				u := float64(j.update(row, col, g[k]))
				sum += u * u
			}
			j.norms[i] = sum
			continue
		}
		p := j.p[i*n:][:n]
		for k, col := range j.cols {
			u := float32(j.update(row, col, g[k]) * j.size)
			if j.m != nil {
				m := &j.m[i*n+k]
				u = float32(j.beta1**m) + float32((1-j.beta1)*u)
				*m = u
			}
			p[k] = float32(p[k]*j.keep) - u
		}
	}
}

// ReciprocalRoots writes 1/√(x·scale).
func ReciprocalRoots(dst, x []float32, scale float32) {
	check(len(dst) == len(x), "ReciprocalRoots needs equal lengths")
	for i, v := range x {
		dst[i] = 1 / float32(math.Sqrt(float64(float32(v*scale))))
	}
}
