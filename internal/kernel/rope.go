package kernel

type ropeJob struct {
	y, x, cos, sin   []float32
	positions        []int32
	heads, d, turned int
	inverse, add     bool
	interleaved      bool
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
	t.turn(ropeJob{y, x, cos, sin, positions, heads, d, turned, inverse, add, false}, n)
}

// InterleavedRoPE is RoPE with the other order of pairs: elements 2i and 2i + 1 of a head
// are turned by angle i, as in the paper and in GLM.
func InterleavedRoPE(t *Team, y, x []float32, positions []int32, cos, sin []float32, n, heads, d, turned int, inverse, add bool) {
	t.turn(ropeJob{y, x, cos, sin, positions, heads, d, turned, inverse, add, true}, n)
}

// turn does the work of RoPE for n rows.
func (t *Team) turn(j ropeJob, n int) {
	check(j.turned%2 == 0 && j.turned > 0 && j.turned <= j.d, "RoPE needs an even width that is no wider than a head")
	check(len(j.y) >= n*j.heads*j.d && len(j.x) >= n*j.heads*j.d && len(j.positions) >= n, "RoPE: a slice is too short")
	t = t.single()
	t.jobs.rope = j
	t.split(&t.jobs.rope, n, rowGrain(j.heads*j.d))
}

func (j *ropeJob) run(_ *worker, lo, hi int) {
	c, half := j.heads*j.d, j.turned/2
	for i := lo; i < hi; i++ {
		at := int(j.positions[i]) * half
		y, x, cos, sin := j.y[i*c:(i+1)*c], j.x[i*c:(i+1)*c], j.cos[at:at+half], j.sin[at:at+half]
		if j.turned == j.d && !j.interleaved {
			code.rotate(y, x, cos, sin, j.heads, j.inverse, j.add)
			continue
		}
		for h := 0; h < c; h += j.d {
			if j.interleaved {
				rotateNeighbours(y[h:h+j.turned], x[h:h+j.turned], cos, sin, j.inverse, j.add)
			} else {
				code.rotate(y[h:h+j.turned], x[h:h+j.turned], cos, sin, 1, j.inverse, j.add)
			}
			code.scale(y[h+j.turned:h+j.d], x[h+j.turned:h+j.d], 1, j.add)
		}
	}
}

// rotateNeighbours turns neighbouring elements. Its products are rounded before they are
// added at every level.
func rotateNeighbours(y, x, cos, sin []float32, inverse, add bool) {
	for i, c := range cos {
		a, b, s := x[2*i], x[2*i+1], sin[i]
		if inverse {
			s = -s
		}
		put(&y[2*i], float32(a*c)-float32(b*s), add)
		put(&y[2*i+1], float32(b*c)+float32(a*s), add)
	}
}
