package kernel

type ropeJob struct {
	y, x, cos, sin []float32
	positions      []int32
	heads, d       int
	inverse, add   bool
}

// RoPE turns each head of each row by the angles of the row's position: x, y
// [n, heads·d]; positions [n]; tables cos, sin [maximum position, d/2]. The pair of
// elements i and i + d/2 of a head is turned by angle i (the "rotate half" order of
// HF's models; Su and others, 2021):
//
//	y[i]     = x[i]·cos − x[i+d/2]·sin
//	y[i+d/2] = x[i+d/2]·cos + x[i]·sin
//
// inverse turns back, which is the gradient. With add the result is added to y;
// without, y may be x. A position outside the tables panics.
func RoPE(t *Team, y, x []float32, positions []int32, cos, sin []float32, n, heads, d int, inverse, add bool) {
	check(d%2 == 0 && d > 0, "RoPE needs heads of even width")
	check(len(y) >= n*heads*d && len(x) >= n*heads*d && len(positions) >= n, "RoPE: a slice is too short")
	t = t.single()
	t.jobs.rope = ropeJob{y, x, cos, sin, positions, heads, d, inverse, add}
	t.split(&t.jobs.rope, n, rowGrain(heads*d))
}

func (j *ropeJob) run(_ *worker, lo, hi int) {
	c, half := j.heads*j.d, j.d/2
	for i := lo; i < hi; i++ {
		at := int(j.positions[i]) * half
		code.rotate(j.y[i*c:(i+1)*c], j.x[i*c:(i+1)*c], j.cos[at:at+half], j.sin[at:at+half], j.heads, j.inverse, j.add)
	}
}
