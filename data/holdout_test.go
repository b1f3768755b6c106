package data_test

import (
	"fmt"
	"strings"
	"testing"

	"gotune/data"
)

// Each row is in one of the two parts, whole, and as often as before.
func TestHoldOut(t *testing.T) {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, `{"text":"row %d %s"}`+"\n", i, strings.Repeat("x", i))
	}
	c := data.Config{
		Corpora:       []data.Corpus{{Path: write(t, "a.jsonl", b.String()), Repeat: 2}},
		EncoderConfig: data.EncoderConfig{Tokenizer: base, MaxLength: 12},
		Allow:         data.FindingNames(),
	}
	d, err := data.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rest, held, err := d.HoldOut(6, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]string{}
	for name, part := range map[string]*data.Dataset{"rest": rest, "held": held} {
		for i := range part.Len() {
			row := part.Example(i).Row
			if seen[row] != "" && seen[row] != name {
				t.Errorf("row %d is in both", row)
			}
			seen[row] = name
		}
	}
	if len(seen) != 20 || rest.Len()+held.Len() != d.Len() {
		t.Errorf("%d rows, %d and %d of %d examples", len(seen), rest.Len(), held.Len(), d.Len())
	}
	for part, times := range map[*data.Dataset]int{rest: 2, held: 1} {
		batches, err := part.Batches(data.BatchConfig{BatchSize: 1, AccumulationSteps: 1})
		if err != nil || batches.Steps() != times*part.Len() {
			t.Errorf("%d steps of %d examples, %v", batches.Steps(), part.Len(), err)
		}
	}
	for _, n := range []int{0, 20} {
		if _, _, err := d.HoldOut(n, 1); err == nil {
			t.Errorf("%d rows were held out", n)
		}
	}
}
