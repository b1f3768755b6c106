package train

import (
	"math"

	"gotune/internal/hf"
	"gotune/internal/rng"
)

// redrawUnseen gives special tokens that the data never had embeddings of their
// own at the end of pre-training. The softmax pushes the rows of all tokens that
// never come onto one point (a cosine of 0.9997 was measured), so that a later
// tuning whose adapters leave the embedding alone could not tell the marks of a
// chat template apart. The rows are normal with the mean square of the rows that
// were trained.
func (j *job) redrawUnseen() {
	seen := make([]bool, j.config.VocabSize)
	j.stage.feed.seen(func(id int32) { seen[id] = true })
	for n, table := range j.model.TokenRows() {
		deviation := rowDeviation(table, seen)
		for id := range j.tokenizer.VocabSize() {
			if seen[id] || !j.tokenizer.IsSpecial(int32(id)) {
				continue
			}
			token, _ := j.tokenizer.Token(int32(id))
			r := rng.New(j.recipe.Seed, "unseen token", token, []string{"embedding", "head"}[n])
			width := table.Shape[1]
			for i := range width {
				table.Data[id*width+i] = float32(r.Normal() * deviation)
			}
		}
	}
}

// rowDeviation returns the root mean square of the rows of tokens seen.
func rowDeviation(t hf.Tensor, seen []bool) float64 {
	width, sum, n := t.Shape[1], 0.0, 0
	for id, yes := range seen {
		if !yes {
			continue
		}
		for _, v := range t.Data[id*width : (id+1)*width] {
			sum += float64(v) * float64(v)
			n++
		}
	}
	return math.Sqrt(sum / float64(max(n, 1)))
}
