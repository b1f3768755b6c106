package study

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gotune/study/stats"
	"gotune/train"
)

// The best of the tuning seeds is known if all arms were run there; one that diverged is
// never the best, but one that was left out might have been.
func TestBestOf(t *testing.T) {
	s, err := Parse("planted.yaml", []byte(`
id: planted
seeds: {full: 2, tuning: 1}
shared: {data: ["world:chat"]}
arms: {a: {lora_rank: 1}, b: {lora_rank: 2}, c: {lora_rank: 4}}
metrics: {m: {score: exact_match, data: "world:heldout"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	done := func(x float64) *node {
		return &node{state: finished, seed: 1001, values: map[string]measured{"m": {Value: x}}}
	}
	left := &node{state: skipped, seed: 1001, err: errors.New("it did not fit into the budget")}
	diverged := &node{state: failed, seed: 1001, err: fmt.Errorf("step 3: %w", train.ErrDiverged)}
	for name, c := range map[string]struct {
		third *node
		best  string // or a part of the error
	}{
		"all":           {done(0.3), "b"},
		"one diverged":  {diverged, "b"},
		"one left out":  {left, "c of seed 1001: it did not fit into the budget"},
		"third is best": {done(0.9), "c"},
	} {
		var trials []*trial
		for i, n := range []*node{done(0.4), done(0.5), c.third} {
			trials = append(trials, &trial{arm: &s.Arms[i], nodes: []*node{n}, tuning: []*node{n}})
		}
		best, err := bestOf(s, trials, []string{"a", "b", "c"}, "m", stats.Higher, nil)
		if best != c.best && (err == nil || !strings.Contains(err.Error(), c.best)) {
			t.Errorf("%s: %q, %v; want %s", name, best, err, c.best)
		}
	}
}
