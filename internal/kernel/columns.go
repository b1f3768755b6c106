package kernel

type columnsJob struct {
	dst, src []float32
	dr, sr   int // elements from row to row
	c        int
	add      bool
}

// Columns copies n rows of c elements whose beginnings are dr elements apart in
// dst and sr in src, or adds them to dst.
func Columns(t *Team, dst []float32, dr int, src []float32, sr, n, c int, add bool) {
	check(dr >= c && sr >= c && n > 0 && len(dst) >= (n-1)*dr+c && len(src) >= (n-1)*sr+c, "Columns: a slice is too short")
	t = t.single()
	t.jobs.columns = columnsJob{dst, src, dr, sr, c, add}
	t.split(&t.jobs.columns, n, rowGrain(c))
}

func (j *columnsJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		dst, src := j.dst[i*j.dr:][:j.c], j.src[i*j.sr:][:j.c]
		if j.add {
			code.add(dst, dst, src)
		} else {
			copy(dst, src)
		}
	}
}
