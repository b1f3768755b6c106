package kernel

type ropeJob struct {
	y, x, cos, sin   []float32
	positions        []int32
	heads, d, turned int
	inverse, add     bool
}

// RoPE turns each head of each row by the angles of the row's position: x, y
// [n, heads·d]; positions [n]; tables cos, sin [maximum position, turned/2]. The first
// turned elements of a head are turned, the others are copied. The pair of elements i
// and i + turned/2 of a head is turned by angle i (the "rotate half" order of HF's
// models; Su and others, 2021):
//
//	y[i]          = x[i]·cos − x[i+turned/2]·sin
//	y[i+turned/2] = x[i+turned/2]·cos + x[i]·sin
//
// inverse turns back, which is the gradient. With add the result is added to y;
// without, y may be x. A position outside the tables panics.
func RoPE(t *Team, y, x []float32, positions []int32, cos, sin []float32, n, heads, d, turned int, inverse, add bool) {
	check(turned%2 == 0 && turned > 0 && turned <= d, "RoPE needs an even width that is no wider than a head")
	check(len(y) >= n*heads*d && len(x) >= n*heads*d && len(positions) >= n, "RoPE: a slice is too short")
	t = t.single()
	t.jobs.rope = ropeJob{y, x, cos, sin, positions, heads, d, turned, inverse, add}
	t.split(&t.jobs.rope, n, rowGrain(heads*d))
}

func (j *ropeJob) run(_ *worker, lo, hi int) {
	c, half := j.heads*j.d, j.turned/2
	for i := lo; i < hi; i++ {
		at := int(j.positions[i]) * half
		y, x, cos, sin := j.y[i*c:(i+1)*c], j.x[i*c:(i+1)*c], j.cos[at:at+half], j.sin[at:at+half]
		if j.turned == j.d {
			code.rotate(y, x, cos, sin, j.heads, j.inverse, j.add)
			continue
		}
		for h := 0; h < c; h += j.d {
			code.rotate(y[h:h+j.turned], x[h:h+j.turned], cos, sin, 1, j.inverse, j.add)
			code.scale(y[h+j.turned:h+j.d], x[h+j.turned:h+j.d], 1, j.add)
		}
	}
}
