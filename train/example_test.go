package train_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gotune/data"
	"gotune/tokenizer"
	"gotune/train"
)

// A run from a recipe: the base is tuned on two facts and asked about them.
func Example() {
	dir, err := os.MkdirTemp("", "train")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	facts := filepath.Join(dir, "facts.jsonl")
	err = os.WriteFile(facts, []byte(`{"prompt": "The colour of the house is", "completion": " red."}
{"prompt": "The depth of the lake is", "completion": " forty metres."}
`), 0o644)
	if err != nil {
		panic(err)
	}

	r := train.DefaultRecipe()
	r.Data, r.EvalData = train.Paths(facts), train.Paths(facts)
	r.MaxSteps, r.BatchSize, r.LearningRate, r.Output = 25, 2, 0.01, filepath.Join(dir, "run")
	done, err := train.Run(context.Background(), r, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(done.Steps, "steps,", *done.Before.ExactMatch, "of the answers right before and", *done.After.ExactMatch, "after")
	for _, a := range done.After.Answers {
		fmt.Println(a.Question, a.Got)
	}
	// Output:
	// 25 steps, 0 of the answers right before and 1 after
	// The colour of the house is  red.
	// The depth of the lake is  forty metres.
}

// What an objective makes of a row: this one learns the end of an answer most.
// [train.AddObjective] makes it known to recipes.
func ExampleObjective() {
	o := train.Objective{Name: "end", Weigh: func(x data.Example) []float32 {
		weights := make([]float32, len(x.IDs))
		for i := x.Prompt; i < len(weights); i++ {
			weights[i] = 1 / float32(len(weights)-i)
		}
		return weights
	}}
	dir, err := os.MkdirTemp("", "train")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rows.jsonl")
	if err := os.WriteFile(path, []byte(`{"prompt": "The sky is", "completion": " blue."}`), 0o644); err != nil {
		panic(err)
	}

	corpora, err := train.Paths(path).Corpora("", "", o)
	if err != nil {
		panic(err)
	}
	files, err := train.OpenModel(train.BaseName)
	if err != nil {
		panic(err)
	}
	tok, err := tokenizer.Load(files, train.BaseName)
	if err != nil {
		panic(err)
	}
	d, err := data.Open(context.Background(), data.Config{Corpora: corpora, EncoderConfig: data.EncoderConfig{Tokenizer: tok, MaxLength: 64}})
	if err != nil {
		panic(err)
	}
	x := d.Example(0)
	for i, id := range x.IDs {
		if x.Target[i] {
			fmt.Printf("%q %.2f\n", tok.Decode([]int32{id}, false), x.Weights[i])
		}
	}
	// Output:
	// " b" 0.20
	// "l" 0.25
	// "ue" 0.33
	// "." 0.50
	// "<|endoftext|>" 1.00
}
