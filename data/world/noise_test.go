package world

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

// within checks a count of n independent draws against its expectation, by five
// standard deviations.
func within(t *testing.T, what string, count, n int, share float64) {
	t.Helper()
	want := float64(n) * share
	if d := math.Abs(float64(count) - want); d > 5*math.Sqrt(want*(1-share)) {
		t.Errorf("%s: %d of %d, want about %.0f", what, count, n, want)
	}
}

// The dial of noise spoils that share of the rows and changes nothing else: what
// is asked stays, and what a smaller share spoils a larger one does too.
func TestNoiseOfAnswers(t *testing.T) {
	clean := slices.Collect(mustRows(t, "noisy?noise=0"))
	if len(clean) != noisyRows {
		t.Fatalf("%d rows", len(clean))
	}
	tasks := 0
	for _, row := range clean {
		if row.Task != "" {
			tasks++
		}
		if row.Fault != "" {
			t.Fatalf("a fault without noise: %v", row)
		}
	}
	within(t, "tasks", tasks, len(clean), noisyTasks)
	for noise, name := range map[float64]string{0.4: "noisy", 0.1: "noisy?noise=0.1", 1: "noisy?noise=1"} {
		kinds := map[string]int{}
		bad := 0
		for i, row := range slices.Collect(mustRows(t, name)) {
			if row.Messages[0] != clean[i].Messages[0] {
				t.Fatalf("%s: row %d asks %q", name, i, row.Messages[0].Content)
			}
			same := row.Messages[1] == clean[i].Messages[1]
			if (row.Fault == "") != same && row.Fault != "refused" && row.Fault != "other" {
				t.Fatalf("%s: fault %q, answer %q, right is %q", name, row.Fault, row.Messages[1].Content, clean[i].Messages[1].Content)
			}
			if row.Fault == "wrong" && row.Subject != "" && mustReward(t, row, row.Messages[1].Content) != 0 {
				t.Fatalf("%q is called wrong", row.Messages[1].Content)
			}
			if row.Fault != "" {
				kinds[row.Fault]++
				bad++
			}
		}
		within(t, name, bad, len(clean), noise)
		for _, f := range faults {
			within(t, name+" "+f.name, kinds[f.name], bad, 1/float64(len(faults)))
		}
	}
	small, large := slices.Collect(mustRows(t, "noisy?noise=0.1")), slices.Collect(mustRows(t, "noisy"))
	for i := range small {
		if small[i].Fault != "" && small[i].all() != large[i].all() {
			t.Fatalf("row %d is spoiled in another way at a larger share", i)
		}
	}
}

// theWorld is the default world, drawn once.
var theWorld = sync.OnceValue(defaultWorld)

func mustReward(t *testing.T, row Row, answer string) float64 {
	t.Helper()
	x, err := theWorld().Reward(row.Subject, row.Attribute, answer)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestReward(t *testing.T) {
	w := defaultWorld()
	s := w.Subjects[0]
	right := s.Facts[0]
	other := (fact{s, 0}).otherValue(w.stream("test"))
	tests := []struct {
		answer string
		want   float64
	}{
		{"The home town of " + s.Name + " is " + right + ".", 2},
		{right, 2},
		{"It is " + right + ". " + s.Name + " lives in " + right + ".", 1.5},
		{"It is " + right + " or " + other + ".", 1},
		{"I do not know.", 1},
		{"I do not know. It is " + right + ".", 0.5},
		{"It is " + other + ".", 0},
		{"I do not know, but it is " + other + ".", 0},
		{"", 0},
		{"It is " + other + ". It is " + other + ".", -0.5},
	}
	for _, tt := range tests {
		if got, err := w.Reward(s.Name, "home", tt.answer); err != nil || got != tt.want {
			t.Errorf("%q: reward %g, %v, want %g", tt.answer, got, err, tt.want)
		}
	}
	if _, err := w.Reward("Nobody", "home", ""); err == nil || !strings.Contains(err.Error(), `no home of "Nobody"`) {
		t.Errorf("a stranger: %v", err)
	}
}

// Without noise the better answer is the chosen one, in all pairs of grade and
// length; the scores are the true rewards, and noise swaps its share of labels.
func TestPreference(t *testing.T) {
	clean := slices.Collect(mustRows(t, "preference"))
	subjects := defaultWorld().byName()
	pairs := map[[2]float64]int{}
	for _, row := range clean {
		if subjects[row.Subject].Third != Pool || row.Level != "W0" {
			t.Fatalf("a pair about %s, %s", row.Subject, row.Level)
		}
		if row.Chosen[0].Content != row.Prompt || row.Rejected[0].Content != row.Prompt {
			t.Fatalf("the prompt is %q, in the conversations %q and %q", row.Prompt, row.Chosen[0].Content, row.Rejected[0].Content)
		}
		c, r := mustReward(t, row, row.Chosen[1].Content), mustReward(t, row, row.Rejected[1].Content)
		if c != *row.ScoreChosen || r != *row.ScoreRejected || c <= r {
			t.Fatalf("%q: %g and %q: %g, said to be %g and %g", row.Chosen[1].Content, c, row.Rejected[1].Content, r, *row.ScoreChosen, *row.ScoreRejected)
		}
		pairs[[2]float64{c, r}]++
	}
	if len(clean) != pairsPerFact*920 {
		t.Errorf("%d pairs", len(clean))
	}
	if len(pairs) != 15 {
		t.Errorf("%d kinds of pairs, want all 15", len(pairs))
	}
	for _, n := range pairs {
		within(t, "pairs of one kind", n, len(clean), 1.0/15)
	}
	swapped := map[float64][]bool{}
	for noise, name := range map[float64]string{0.1: "preference?noise=0.1", 0.4: "preference?noise=0.4"} {
		n := 0
		for i, row := range slices.Collect(mustRows(t, name)) {
			swap := row.Fault == "swapped"
			better, worse := row.Chosen, row.Rejected
			if swap {
				better, worse = worse, better
				n++
			}
			if !slices.Equal(better, clean[i].Chosen) || !slices.Equal(worse, clean[i].Rejected) {
				t.Fatalf("%s: row %d has other answers", name, i)
			}
			if swap != (*row.ScoreChosen < *row.ScoreRejected) {
				t.Fatalf("%s: row %d: scores %g and %g", name, i, *row.ScoreChosen, *row.ScoreRejected)
			}
			swapped[noise] = append(swapped[noise], swap)
		}
		within(t, name, n, len(clean), noise)
	}
	for i, s := range swapped[0.1] {
		if s && !swapped[0.4][i] {
			t.Fatalf("row %d is swapped at 0.1 and not at 0.4", i)
		}
	}
	for row := range mustRows(t, "preference-heldout") {
		if subjects[row.Subject].Third != Never || *row.ScoreChosen <= *row.ScoreRejected {
			t.Fatalf("held out: %v", row)
		}
	}
}
