package kernel

// Elements of an element-wise loop that are worth a thread's while.
const elementGrain = 8192

// Fill sets every element of dst to v.
func Fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

type addJob struct{ dst, a, b []float32 }

// Add computes dst = a + b, all of one length; dst may be a or b.
func Add(t *Team, dst, a, b []float32) {
	check(len(a) == len(dst) && len(b) == len(dst), "Add needs equal lengths")
	t = t.single()
	t.jobs.add = addJob{dst, a, b}
	t.sweep(&t.jobs.add, len(dst))
}

func (j *addJob) run(_ *worker, lo, hi int) {
	code.add(j.dst[lo:hi], j.a[lo:hi], j.b[lo:hi])
}

// AddTo computes dst += x, both of one length.
func AddTo(t *Team, dst, x []float32) { Add(t, dst, dst, x) }

type scaleJob struct {
	dst, x []float32
	s      float32
	add    bool
}

// Scale computes dst = s·x, or dst += s·x with add (the product is rounded
// first); dst may be x.
func Scale(t *Team, dst, x []float32, s float32, add bool) {
	check(len(x) == len(dst), "Scale needs equal lengths")
	t = t.single()
	t.jobs.scale = scaleJob{dst, x, s, add}
	t.sweep(&t.jobs.scale, len(dst))
}

func (j *scaleJob) run(_ *worker, lo, hi int) {
	code.scale(j.dst[lo:hi], j.x[lo:hi], j.s, j.add)
}

// The sum of squares is taken over chunks of this many elements, however many
// threads there are, and the sums of the chunks are added in their order.
const sumChunk = 1 << 14

type sumSquaresJob struct {
	x    []float32
	sums []float64
}

// SumSquares returns Σ x² in float64.
func SumSquares(t *Team, x []float32) float64 {
	t = t.single()
	j := &t.jobs.sumSquares
	chunks := (len(x) + sumChunk - 1) / sumChunk
	if cap(j.sums) < chunks {
		j.sums = make([]float64, chunks)
	}
	j.x, j.sums = x, j.sums[:chunks]
	sums := j.sums
	t.split(j, chunks, 1)
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total
}

func (j *sumSquaresJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		j.sums[i] = code.sumSquares(j.x[i*sumChunk : min((i+1)*sumChunk, len(j.x))])
	}
}
