package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"gotune/data"
	"gotune/model"
	"gotune/tokenizer"
)

// evalBatches lays out evaluations.
var evalBatches = data.BatchConfig{BatchSize: 16, AccumulationSteps: 1}

// An Evaluator computes losses of a model as it stands, with its adapter.
type Evaluator struct {
	programs
	batch data.Batch
	skip  int32 // target that is not scored, or data.Ignore
}

// errNoNumber is a loss that JSON, logs and averages would hide.
var errNoNumber = divergence{errors.New("the loss is no finite number: the weights are damaged, or training has driven them apart")}

// NewEvaluator returns an evaluator. The hook of an adapter may be nil; the arena
// may be shared with training, and nil is one of its own on one thread.
func NewEvaluator(m *model.Model, project model.ProjectFunc, arena *model.Arena) *Evaluator {
	if arena == nil {
		arena = model.NewArena(nil)
	}
	return &Evaluator{programs: newPrograms(m, arena, model.ProgramOptions{Project: project}), skip: data.Ignore}
}

// IgnoreEOS leaves a token out of losses and matches where it is a target: that a
// completion is known says nothing of where the text ends.
func (e *Evaluator) IgnoreEOS(id int32) { e.skip = id }

// A RowScore is the evaluation of one example.
type RowScore struct {
	Example int       // its index in the dataset
	NLL     []float32 // of each target token in order; valid during the call
	Exact   bool      // every target token has the largest logit
}

// Each computes the loss of every example of a dataset, in order, and calls yield
// for each.
func (e *Evaluator) Each(ctx context.Context, d *data.Dataset, yield func(RowScore) error) error {
	batches, err := d.Batches(evalBatches)
	if err != nil {
		return fmt.Errorf("evaluating: %w", err)
	}
	plan := batches.Plan(0)
	var nll []float32
	for step := range batches.Steps() {
		if err := ctx.Err(); err != nil {
			return err
		}
		plan.Step(step).Fill(&e.batch, 0)
		p, err := e.run()
		if err != nil {
			return fmt.Errorf("evaluating: %w", err)
		}
		all, hit := p.NLL(), p.Hit()
		// Rows that share a row of the batch are not in their order.
		slices.SortFunc(e.batch.Segments, func(a, b data.Segment) int { return a.Example - b.Example })
		for _, s := range e.batch.Segments {
			nll = nll[:0]
			exact := true
			from := s.Row*e.batch.Length + s.Start
			for i := from; i < from+s.Length; i++ {
				if t := e.batch.Targets[i]; t != data.Ignore && t != e.skip {
					if v := float64(all[i]); math.IsNaN(v) || math.IsInf(v, 0) {
						return fmt.Errorf("evaluating %s: %w (%g)", s.At, errNoNumber, v)
					}
					nll = append(nll, all[i])
					exact = exact && hit[i] == 1
				}
			}
			if err := yield(RowScore{Example: s.Example, NLL: nll, Exact: exact}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Compile makes the largest program for a dataset, so that the arena is as large as its
// evaluation needs, and returns how many there will be and its shape. A nil dataset needs none.
func (e *Evaluator) Compile(d *data.Dataset) (programs int, largest data.Shape, err error) {
	if d == nil {
		return 0, largest, nil
	}
	extent, err := evalExtent(d)
	if err != nil {
		return 0, largest, err
	}
	_, err = e.program(extent.largest)
	return extent.shapes, extent.largest, err
}

// run computes the batch at hand.
func (e *Evaluator) run() (*model.Program, error) {
	p, err := e.load(&e.batch)
	if err != nil {
		return nil, err
	}
	p.Scale[0] = 1
	return p, p.Run()
}

// A scorer adds up the scores of rows.
type scorer struct {
	tokens, asked, right, unseen, unseenRight int
	nll, logp                                 float64
}

func (c *scorer) add(x data.Example, r RowScore) {
	sum := 0.0
	for _, v := range r.NLL {
		sum += float64(v)
	}
	c.tokens += len(r.NLL)
	c.nll += sum
	if x.Prompt == 0 {
		return
	}
	right := 0
	if r.Exact {
		right = 1
	}
	c.asked++
	c.logp -= sum
	c.right += right
	if x.Wording == "unseen" {
		c.unseen++
		c.unseenRight += right
	}
}

// scores are those of so many rows; a text that was cut into pieces is one.
func (c *scorer) scores(rows int) Scores {
	return Scores{
		Rows:       rows,
		Loss:       ratio(c.nll, c.tokens),
		ExactMatch: ratio(float64(c.right), c.asked), LogProbability: ratio(c.logp, c.asked),
		UnseenWording: ratio(float64(c.unseenRight), c.unseen),
	}
}

// Score evaluates a dataset, and each of its corpora where there are several.
func (e *Evaluator) Score(ctx context.Context, d *data.Dataset) (Scores, error) {
	var all scorer
	corpora := d.Report().Corpora
	of := make([]scorer, len(corpora))
	i, end := -1, 0 // rows are numbered through all corpora
	err := e.Each(ctx, d, func(r RowScore) error {
		x := d.Example(r.Example)
		for x.Row >= end && i+1 < len(corpora) {
			i++
			end += corpora[i].Rows
		}
		all.add(x, r)
		if len(corpora) > 1 {
			of[i].add(x, r)
		}
		return nil
	})
	s := all.scores(d.Report().Kept)
	if err != nil || len(corpora) < 2 {
		return s, err
	}
	for i, c := range corpora {
		s.Corpora = append(s.Corpora, CorpusScores{Path: c.Path, Scores: of[i].scores(c.Kept)})
	}
	return s, nil
}

// ratio is nil where there is nothing to divide by.
func ratio(sum float64, n int) *float64 {
	if n == 0 {
		return nil
	}
	r := sum / float64(n)
	return &r
}

// answerRoom is how many tokens an answer may be longer than what is wanted.
const answerRoom = 16

// Answers lets the model answer up to n questions of a dataset, spread over it,
// greedily.
func Answers(ctx context.Context, m *model.Model, project model.ProjectFunc, team *model.Team, tok *tokenizer.Tokenizer, d *data.Dataset, n int) ([]Answer, error) {
	// Another evaluation would find the caches of this one uncollected.
	defer runtime.GC()
	g := model.NewGenerator(m, team, project)
	var out []Answer
	for _, i := range sample(d, n) {
		x := d.Example(i)
		end := x.IDs[len(x.IDs)-1]
		var want []int32
		for t := x.Prompt; t < len(x.IDs) && (t == x.Prompt || x.Target[t]); t++ {
			if x.Target[t] {
				want = append(want, x.IDs[t])
			}
		}
		if len(want) > 0 {
			end = want[len(want)-1]
		}
		most := len(want) + answerRoom
		prompt := x.IDs[x.Virtual:x.Prompt]
		g.Virtual = x.Virtual
		ids, err := g.Generate(ctx, prompt, model.Sampling{Greedy: true, MaxNewTokens: most, Stop: []int32{end}}, nil)
		if err != nil && !errors.Is(err, model.ErrContextFull) {
			return nil, fmt.Errorf("answering: %w", err)
		}
		out = append(out, Answer{
			Question: question(tok, prompt), Want: tok.Decode(want, true), Got: tok.Decode(ids, true), Wording: x.Wording,
			Ended: err == nil && len(ids) < most,
		})
	}
	return out, nil
}

// sample picks questions in equal steps, half of them in unseen wording where
// there are any.
func sample(d *data.Dataset, n int) []int {
	groups := make(map[bool][]int)
	for i := range d.Len() {
		if x := d.Example(i); x.Prompt > 0 {
			groups[x.Wording == "unseen"] = append(groups[x.Wording == "unseen"], i)
		}
	}
	var picked []int
	for _, unseen := range []bool{false, true} {
		list, share := groups[unseen], n
		if len(groups[!unseen]) > 0 {
			share = n / 2
		}
		for k := range min(share, len(list)) {
			picked = append(picked, list[k*len(list)/min(share, len(list))])
		}
	}
	return picked
}
