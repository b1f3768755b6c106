package kernel

type embeddingJob struct {
	y, table []float32
	ids      []int32
	c        int
}

// Embedding copies rows of a table: y[i] = table[ids[i]]; y [n, c], table [V, c],
// ids [n]. An id outside the table panics.
func Embedding(t *Team, y, table []float32, ids []int32, n, c int) {
	check(len(y) >= n*c && len(ids) >= n, "Embedding: a slice is too short")
	t = t.single()
	t.jobs.embedding = embeddingJob{y, table, ids, c}
	t.split(&t.jobs.embedding, n, rowGrain(c))
}

func (j *embeddingJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		id := int(j.ids[i])
		copy(j.y[i*j.c:(i+1)*j.c], j.table[id*j.c:(id+1)*j.c])
	}
}

type embeddingBackJob struct {
	dtable, dy []float32
	ids        []int32
	n, c       int
}

// EmbeddingBackward adds rows of dy to rows of a table's gradient, in their
// order: dtable[ids[i]] += dy[i]; shapes as in Embedding.
func EmbeddingBackward(t *Team, dtable, dy []float32, ids []int32, n, c int) {
	check(len(dy) >= n*c && len(ids) >= n, "EmbeddingBackward: a slice is too short")
	t = t.single()
	t.jobs.embeddingBack = embeddingBackJob{dtable, dy, ids, n, c}
	t.split(&t.jobs.embeddingBack, c, max(64, elementGrain/max(1, n)))
}

// The items are columns: rows of the same id have one owner.
func (j *embeddingBackJob) run(_ *worker, lo, hi int) {
	for i := range j.n {
		at := int(j.ids[i]) * j.c
		sum := j.dtable[at+lo : at+hi]
		code.add(sum, sum, j.dy[i*j.c+lo:i*j.c+hi])
	}
}
