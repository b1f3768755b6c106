package model

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// golden is what testdata/sampling.json holds: probabilities that transformers'
// logits processors leave.
type golden struct {
	Logits []float32
	Seen   []int32
	Cases  []struct {
		Name     string
		Settings struct {
			Temperature       float64
			TopK              int     `json:"top_k"`
			TopP              float64 `json:"top_p"`
			MinP              float64 `json:"min_p"`
			RepetitionPenalty float64 `json:"repetition_penalty"`
		}
		Probabilities []float64
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	raw, err := os.ReadFile("testdata/sampling.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// The same tokens are left as in transformers, with the same probabilities, and
// they are drawn that often.
func TestSamplingIsThatOfTransformers(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Cases {
		t.Run(c.Name, func(t *testing.T) {
			s := Sampling{
				Temperature: c.Settings.Temperature, TopK: c.Settings.TopK, TopP: c.Settings.TopP, MinP: c.Settings.MinP,
				RepetitionPenalty: c.Settings.RepetitionPenalty, Seed: 11,
			}
			x := newSampler(s, g.Seen, len(g.Logits))
			got := make([]float64, len(g.Logits))
			left := x.filter(x.penalise(g.Logits))
			total := softmax(left)
			for _, token := range left {
				got[token.id] = token.p / total
			}
			for id, want := range c.Probabilities {
				if math.Abs(got[id]-want) > 1e-6 || (got[id] == 0) != (want == 0) {
					t.Errorf("token %d has probability %g, want %g", id, got[id], want)
				}
			}
			const draws = 20000
			count := make([]float64, len(g.Logits))
			for range draws {
				count[x.choose(g.Logits)]++
			}
			for id, p := range c.Probabilities {
				if math.Abs(count[id]-draws*p) > 5*math.Sqrt(draws*p*(1-p)) {
					t.Errorf("token %d was drawn %g times of %d, want about %g", id, count[id], draws, draws*p)
				}
			}
		})
	}
}

// By hand: of logits 2, 1, 0, −1 the probabilities are as 1 : e⁻¹ : e⁻² : e⁻³,
// that is 0.644, 0.237, 0.087, 0.032.
func TestFilter(t *testing.T) {
	logits := []float32{0, 2, -1, 1} // ids 1, 3, 0, 2 by likelihood
	for _, c := range []struct {
		s    Sampling
		want string
	}{
		{Sampling{}, "1302"},
		{Sampling{TopK: 2}, "13"},
		{Sampling{TopP: 0.64}, "1"},
		{Sampling{TopP: 0.65}, "13"},
		{Sampling{TopP: 0.95}, "130"},
		{Sampling{TopP: 1}, "1302"},
		{Sampling{MinP: 0.36}, "13"},  // e⁻¹ = 0.368
		{Sampling{MinP: 0.37}, "1"},   //
		{Sampling{MinP: 0.13}, "130"}, // e⁻² = 0.135
		{Sampling{Temperature: 2, MinP: 0.36}, "130"},
		// Seen twice or once, positive or not: 2/4 and −1·4; 1 stands first then.
		{Sampling{RepetitionPenalty: 4, TopK: 3}, "310"},
	} {
		x := newSampler(c.s, []int32{1, 2, 1}, 4)
		var got strings.Builder
		for _, token := range x.filter(x.penalise(logits)) {
			got.WriteByte('0' + byte(token.id))
		}
		if got.String() != c.want {
			t.Errorf("%+v leaves %s, want %s", c.s, got.String(), c.want)
		}
	}
	// Of equal logits the lower ids stay.
	x := newSampler(Sampling{TopK: 2}, nil, 4)
	if left := x.filter(x.penalise([]float32{1, 1, 1, 1})); len(left) != 2 || left[0].id != 0 || left[1].id != 1 {
		t.Errorf("of equal tokens %v are left", left)
	}
}

// A token counts as seen once it has been chosen.
func TestRepetitionPenaltyOfNewTokens(t *testing.T) {
	x := newSampler(Sampling{Greedy: true, RepetitionPenalty: 2}, nil, 3)
	logits := []float32{3, 2, 1.1}
	for i, want := range []int32{0, 1, 0, 0} { // 3; then 2; then 3/2, which stays first
		if got := x.next(logits); got != want {
			t.Errorf("token %d is %d, want %d", i, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, ok := range []Sampling{{}, {Temperature: 0.7, TopK: 40, TopP: 0.9, MinP: 0.05, RepetitionPenalty: 1.1}, {TopP: 1, MinP: 1}} {
		if err := ok.Validate(); err != nil {
			t.Errorf("%+v: %v", ok, err)
		}
	}
	for _, c := range []struct {
		s    Sampling
		part string
	}{
		{Sampling{Temperature: -1}, "temperature is -1; it must be a number of at least 0"},
		{Sampling{TopP: 3}, "top_p is 3; it must be a number of at least 0 and at most 1"},
		{Sampling{Temperature: math.NaN()}, "temperature is NaN"},
		{Sampling{Temperature: math.Inf(1)}, "temperature is +Inf"},
		{Sampling{TopP: 1.5}, "top_p is 1.5"},
		{Sampling{TopP: -0.1}, "top_p is -0.1"},
		{Sampling{MinP: 1.01}, "min_p is 1.01"},
		{Sampling{RepetitionPenalty: -2}, "repetition_penalty is -2"},
		{Sampling{TopK: -1}, "top_k is -1"},
	} {
		if err := c.s.Validate(); err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%+v: error %v, want %q", c.s, err, c.part)
		}
	}
}
