package data_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gotune/data"
	"gotune/data/rows"
)

// last weighs the last n tokens 1 and the others 0.
func last(n int) func(data.Example) []float32 {
	return func(x data.Example) []float32 {
		w := make([]float32, len(x.IDs))
		for i := max(0, len(w)-n); i < len(w); i++ {
			w[i] = 1
		}
		return w
	}
}

func TestWeigh(t *testing.T) {
	completion := rows.Row{Form: rows.Completion, Prompt: "2+2=", Completion: "4"}
	for _, test := range []struct {
		name    string
		row     rows.Row
		weigh   func(data.Example) []float32
		want    []string // targets in brackets
		weights []float32
		err     string
	}{{
		name: "nil leaves a row as it is", row: completion,
		weigh: func(data.Example) []float32 { return nil },
		want:  []string{"2+2=[4<|endoftext|>]"},
	}, {
		name: "0 is no target", row: completion, weigh: last(1),
		want: []string{"2+2=4[<|endoftext|>]"},
	}, {
		name: "the first token never is one", row: completion, weigh: last(99),
		want: []string{"2[+2=4<|endoftext|>]"},
	}, {
		name: "weights", row: completion,
		weigh:   func(x data.Example) []float32 { return []float32{0, 0, 0, 0, 0.5, 3} },
		want:    []string{"2+2=[4<|endoftext|>]"},
		weights: []float32{0, 0, 0, 0, 0.5, 3},
	}, {
		name: "a text is weighed before it is cut, and pieces without targets are left out",
		row:  rows.Row{Form: rows.Text, Text: "abcdefghi"}, weigh: last(3),
		want: []string{"g[hi<|endoftext|>]"},
	}, {
		name: "nothing is learned", row: completion, weigh: last(0), err: "nothing to learn",
	}, {
		name: "too few weights", row: completion,
		weigh: func(data.Example) []float32 { return make([]float32, 2) }, err: "2 weights for a row of 6 tokens",
	}, {
		name: "a weight below 0", row: completion,
		weigh: func(data.Example) []float32 { return []float32{0, 0, -1, 0, 0, 1} }, err: "token 2 weighs -1",
	}, {
		name: "a weight that is no number", row: completion,
		weigh: func(data.Example) []float32 { return []float32{0, float32(math.NaN()), 0, 0, 0, 1} }, err: "token 1 weighs NaN",
	}} {
		t.Run(test.name, func(t *testing.T) {
			c := data.EncoderConfig{Tokenizer: base, MaxLength: 512, Weigh: test.weigh}
			if test.row.Form == rows.Text {
				c.MaxLength = 6
			}
			e, err := data.NewEncoder(c)
			if err != nil {
				t.Fatal(err)
			}
			examples, err := e.Encode(&test.row)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range examples {
				got = append(got, show(x.IDs, x.Target))
			}
			if !slices.Equal(got, test.want) || !slices.Equal(examples[0].Weights, test.weights) {
				t.Errorf("%q with weights %v, want %q with %v", got, examples[0].Weights, test.want, test.weights)
			}
		})
	}
}

// An error in weights stops the reading and says where, unlike a row with nothing
// to learn; a corpus's own weights come before the common ones; and what is weighed
// is the same in memory and in a stream, through packing.
func TestWeighACorpus(t *testing.T) {
	ctx := context.Background()
	path := write(t, "rows.jsonl", `{"prompt":"2+2=","completion":"4"}`+"\n"+`{"prompt":"40+2=","completion":"42"}`+"\n")
	wrong := func(x data.Example) []float32 { return []float32{1} }
	encoder := data.EncoderConfig{Tokenizer: base, MaxLength: 64, Weigh: wrong}
	_, err := data.Open(ctx, data.Config{Corpora: data.Files(path), EncoderConfig: encoder})
	if err == nil || !strings.Contains(err.Error(), "rows.jsonl:1: 1 weights for a row of 6 tokens") || errors.Is(err, data.ErrNothingToLearn) {
		t.Errorf("error %v", err)
	}

	double := func(x data.Example) []float32 {
		w := last(2)(x)
		w[len(w)-1] = 2
		return w
	}
	corpora := []data.Corpus{{Path: path, Weigh: double}}
	layout := data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Packing: true}
	d, err := data.Open(ctx, data.Config{Corpora: corpora, EncoderConfig: encoder})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := d.Batches(layout)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := data.NewStream(ctx, data.StreamConfig{Corpora: corpora, EncoderConfig: encoder, BatchConfig: layout, Epochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	streamed, err := stream.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []*data.Step{batches.Plan(0).Step(0), streamed} {
		var b data.Batch
		step.Fill(&b, 0)
		var got []float32
		for i, target := range b.Targets {
			if target != data.Ignore {
				got = append(got, b.Weights[i])
			}
		}
		if want := []float32{1, 2, 1, 2}; step.Weight() != 6 || !slices.Equal(got, want) {
			t.Errorf("weights %v, together %g; want %v", got, step.Weight(), want)
		}
	}
}
