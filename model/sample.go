package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gotune/internal/rng"
)

// Sampling says how the next token is chosen. The steps and their order are those
// of transformers' generate: repetition penalty, temperature, top-k, top-p,
// min-p, then a draw. Differs from it where tokens have equal logits: top-k keeps
// k of them and not all, those of lower ids.
type Sampling struct {
	// Greedy takes the most likely token; only the repetition penalty applies.
	Greedy bool
	// Temperature divides the logits; 0 stands for 1.
	Temperature float64
	// TopK keeps the k most likely tokens; 0 keeps all.
	TopK int
	// TopP keeps the smallest set of most likely tokens whose probability is at
	// least p; 0 and 1 keep all.
	TopP float64
	// MinP keeps tokens with at least p times the probability of the most
	// likely one; 0 keeps all.
	MinP float64
	// RepetitionPenalty divides positive logits and multiplies negative ones of
	// all tokens seen before (Keskar et al. 2019, arXiv:1909.05858); 0 and 1
	// change nothing.
	RepetitionPenalty float64
	// Seed names the stream of random numbers.
	Seed uint64
	// MaxNewTokens is the largest number of new tokens; 0 or less: no limit but
	// the model's context.
	MaxNewTokens int
	// Stop lists ids that end the text; IgnoreEOS goes on past them.
	Stop      []int32
	IgnoreEOS bool
}

// Validate names the first setting that is out of its range.
func (s Sampling) Validate() error {
	for _, c := range []struct {
		name     string
		value    float64
		low, top float64
	}{
		{"temperature", s.Temperature, 0, math.MaxFloat64}, {"top_p", s.TopP, 0, 1}, {"min_p", s.MinP, 0, 1},
		{"repetition_penalty", s.RepetitionPenalty, 0, math.MaxFloat64}, {"top_k", float64(s.TopK), 0, math.MaxInt32},
	} {
		if !(c.value >= c.low && c.value <= c.top) {
			most := ""
			if c.top < math.MaxInt32 {
				most = fmt.Sprintf(" and at most %g", c.top)
			}
			return fmt.Errorf("%s is %g; it must be a number of at least %g%s", c.name, c.value, c.low, most)
		}
	}
	return nil
}

type sampler struct {
	Sampling
	random *rng.Stream
	seen   map[int32]bool
	tokens []candidate
}

type candidate struct {
	id    int32
	logit float64
	p     float64
}

func newSampler(s Sampling, prompt []int32, vocabulary int) *sampler {
	x := &sampler{Sampling: s, random: rng.New(s.Seed, "sampling"), seen: make(map[int32]bool), tokens: make([]candidate, vocabulary)}
	for _, id := range prompt {
		x.seen[id] = true
	}
	return x
}

// next chooses a token by the logits after the text so far.
func (x *sampler) next(logits []float32) int32 {
	id := x.choose(logits)
	x.seen[id] = true
	return id
}

func (x *sampler) choose(logits []float32) int32 {
	if r := x.RepetitionPenalty; x.Greedy && (r == 0 || r == 1) {
		best := 0
		for i, l := range logits {
			if l > logits[best] {
				best = i
			}
		}
		return int32(best)
	}
	ts := x.penalise(logits)
	if x.Greedy {
		best := ts[0]
		for _, t := range ts[1:] {
			if t.logit > best.logit {
				best = t
			}
		}
		return best.id
	}
	ts = x.filter(ts)
	at := x.random.Float64() * softmax(ts)
	for _, t := range ts {
		if at -= t.p; at < 0 {
			return t.id
		}
	}
	return ts[len(ts)-1].id
}

// penalise makes logits into candidates, with the repetition penalty.
func (x *sampler) penalise(logits []float32) []candidate {
	ts := x.tokens[:len(logits)]
	for i, l := range logits {
		v := float64(l)
		if r := x.RepetitionPenalty; r > 0 && r != 1 && x.seen[int32(i)] {
			if v > 0 {
				v /= r
			} else {
				v *= r
			}
		}
		ts[i] = candidate{id: int32(i), logit: v}
	}
	return ts
}

// filter applies temperature, top-k, top-p and min-p; the most likely token
// always stays. The result is in order of falling logits, ties by id.
func (x *sampler) filter(ts []candidate) []candidate {
	slices.SortFunc(ts, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.id, b.id))
	})
	if x.Temperature > 0 {
		// Only differences count, and those from the largest cannot overflow to +∞.
		largest := ts[0].logit
		for i := range ts {
			ts[i].logit = (ts[i].logit - largest) / x.Temperature
		}
	}
	if x.TopK > 0 {
		ts = ts[:min(x.TopK, len(ts))]
	}
	if x.TopP > 0 && x.TopP < 1 {
		total, sum := softmax(ts), 0.0
		for i, t := range ts {
			if sum += t.p / total; sum >= x.TopP {
				ts = ts[:i+1]
				break
			}
		}
	}
	if x.MinP > 0 {
		softmax(ts)
		for i, t := range ts {
			if t.p < x.MinP*ts[0].p {
				ts = ts[:i]
				break
			}
		}
	}
	return ts
}

// softmax sets p to exp(logit − max), and returns the sum.
func softmax(ts []candidate) (total float64) {
	for i := range ts {
		ts[i].p = math.Exp(ts[i].logit - ts[0].logit)
		total += ts[i].p
	}
	return total
}
