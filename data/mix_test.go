package data_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data"
)

// letters makes a corpus of n rows that are told apart by their text.
func letters(t *testing.T, letter string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"text":"%s%d"}`+"\n", letter, i)
	}
	return write(t, letter+".jsonl", b.String())
}

// drawn counts how often each corpus comes in an epoch, and the different rows.
func drawn(t *testing.T, c data.Config) (counts, different map[string]int) {
	t.Helper()
	c.EncoderConfig = data.EncoderConfig{MaxLength: 16, Tokenizer: base}
	d, err := data.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Batches(data.BatchConfig{BatchSize: 3, AccumulationSteps: 2, Shuffle: true})
	if err != nil {
		t.Fatal(err)
	}
	counts, different = map[string]int{}, map[string]int{}
	seen := map[string]bool{}
	p := b.Plan(0)
	for step := range p.Steps() {
		for x := range p.Step(step).Examples {
			text := show(x.IDs, make([]bool, len(x.IDs)))
			counts[text[:1]]++
			if !seen[text] {
				different[text[:1]]++
			}
			seen[text] = true
		}
	}
	return counts, different
}

func TestMixtures(t *testing.T) {
	a, b := letters(t, "a", 10), letters(t, "b", 4)
	tests := []struct {
		name              string
		corpora           []data.Corpus
		counts, different map[string]int
	}{
		{"whole", data.Files(a, b), map[string]int{"a": 10, "b": 4}, map[string]int{"a": 10, "b": 4}},
		{"a part", []data.Corpus{{Path: a, Rows: 3}, {Path: b}}, map[string]int{"a": 3, "b": 4}, map[string]int{"a": 3, "b": 4}},
		{"more rows than there are", []data.Corpus{{Path: a}, {Path: b, Rows: 11}}, map[string]int{"a": 10, "b": 11}, map[string]int{"a": 10, "b": 4}},
		{"repeats", []data.Corpus{{Path: a, Repeat: 0.5}, {Path: b, Repeat: 3}}, map[string]int{"a": 5, "b": 12}, map[string]int{"a": 5, "b": 4}},
		{"weights share the rows of both", []data.Corpus{{Path: a, Weight: 1}, {Path: b, Weight: 1}}, map[string]int{"a": 7, "b": 7}, map[string]int{"a": 7, "b": 4}},
		{"a weight beside a repeat", []data.Corpus{{Path: a, Repeat: 2}, {Path: b, Weight: 3}}, map[string]int{"a": 20, "b": 4}, map[string]int{"a": 10, "b": 4}},
		{"replay is a share of the rest", []data.Corpus{{Path: b, Repeat: 5}, {Path: a, Replay: 0.2}}, map[string]int{"a": 4, "b": 20}, map[string]int{"a": 4, "b": 4}},
	}
	for _, tt := range tests {
		counts, different := drawn(t, data.Config{Corpora: tt.corpora})
		if diff := cmp.Diff(tt.counts, counts); diff != "" {
			t.Errorf("%s: draws -want +got:\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.different, different); diff != "" {
			t.Errorf("%s: different rows -want +got:\n%s", tt.name, diff)
		}
	}
}

func TestMixturesRefuse(t *testing.T) {
	a := letters(t, "a", 4)
	for want, c := range map[string]data.Corpus{
		"give one":     {Path: a, Rows: 1, Weight: 1},
		"not negative": {Path: a, Rows: -1},
		"takes no row": {Path: a, Repeat: 0.01},
		"too many":     {Path: a, Repeat: 1e300},
	} {
		_, err := data.Open(t.Context(), data.Config{Corpora: []data.Corpus{c}, EncoderConfig: data.EncoderConfig{MaxLength: 16, Tokenizer: base}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", c, err, want)
		}
	}
}

// A share of nothing is nothing that anybody asked for.
func TestReplayOfNoRows(t *testing.T) {
	a, b := letters(t, "a", 4), write(t, "b.jsonl", `{"prompt":"p","completion":""}`+"\n")
	for _, corpora := range [][]data.Corpus{
		{{Path: a}, {Path: b, Replay: 0.5}},
		{{Path: a}, {Path: a, Replay: 1e300}},
	} {
		_, err := data.Open(t.Context(), data.Config{Corpora: corpora, Allow: data.FindingNames(), EncoderConfig: data.EncoderConfig{MaxLength: 16, Tokenizer: base}})
		if err == nil || !strings.Contains(err.Error(), "no row is left") && !strings.Contains(err.Error(), "too many") {
			t.Errorf("%+v: error %v", corpora, err)
		}
	}
}

// The pieces of a text that is cut stay together in what a mixture takes.
func TestPiecesAreTakenTogether(t *testing.T) {
	a := write(t, "a.jsonl", strings.Repeat(`{"text":"0123456789abcdefghij"}`+"\n", 6))
	d, err := data.Open(t.Context(), data.Config{
		Corpora: []data.Corpus{{Path: a, Rows: 2}}, Seed: 3, EncoderConfig: data.EncoderConfig{MaxLength: 8, Tokenizer: base},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Batches(data.BatchConfig{BatchSize: 100, AccumulationSteps: 1})
	if err != nil {
		t.Fatal(err)
	}
	var at []int
	for x := range b.Plan(0).Step(0).Examples {
		at = append(at, x.Row)
	}
	if len(at) != 6 || !slices.IsSorted(at) || at[0] != at[2] || at[3] != at[5] || at[0] == at[3] {
		t.Errorf("rows %v, want three pieces of each of two", at)
	}
}

// A message's weight is that of its tokens; one of 0 is not learned.
func TestWeightsOfMessages(t *testing.T) {
	path := write(t, "a.jsonl", `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"ab","weight":0.5},`+
		`{"role":"user","content":"q"},{"role":"assistant","content":"c","weight":0},{"role":"user","content":"q"},{"role":"assistant","content":"d"}]}`)
	d, err := data.Open(t.Context(), data.Config{Corpora: data.Files(path), EncoderConfig: data.EncoderConfig{MaxLength: 128, Tokenizer: base}})
	if err != nil {
		t.Fatal(err)
	}
	b := one(t, d, data.BatchConfig{BatchSize: 1, AccumulationSteps: 1})
	var got []string
	for i, id := range b.Targets {
		if id != data.Ignore {
			got = append(got, fmt.Sprintf("%s %g", show([]int32{id}, []bool{false}), b.Weights[i]))
		}
	}
	want := []string{"a 0.5", "b 0.5", "<|im_end|> 0.5", "d 1", "<|im_end|> 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLastTurnAlone(t *testing.T) {
	path := write(t, "a.jsonl", `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}`)
	d, err := data.Open(t.Context(), data.Config{Corpora: data.Files(path), EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: base, LastTurn: true}})
	if err != nil {
		t.Fatal(err)
	}
	e := d.Example(0)
	if got := show(e.IDs, e.Target); strings.Count(got, "[") != 1 || !strings.Contains(got, "[b<|im_end|>]") {
		t.Errorf("learned: %s", got)
	}
}
