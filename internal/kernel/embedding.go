package kernel

type embeddingJob struct {
	y     []float32
	table Weights
	ids   []int32
}

// Embedding copies rows of a table: y[i] = table[ids[i]]; y [n, c], table [V, c],
// ids [n]. An id outside the table panics.
func Embedding(t *Team, y []float32, table Weights, ids []int32, n int) {
	c := table.Cols
	check(len(y) >= n*c && len(ids) >= n, "Embedding: a slice is too short")
	t = t.single()
	t.jobs.embedding = embeddingJob{y, table, ids}
	t.split(&t.jobs.embedding, n, rowGrain(c))
}

func (j *embeddingJob) run(_ *worker, lo, hi int) {
	c := j.table.Cols
	for i := lo; i < hi; i++ {
		j.table.Widen(j.y[i*c:(i+1)*c], int(j.ids[i])*c)
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
