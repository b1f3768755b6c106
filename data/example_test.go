package data_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gotune/data"
	"gotune/data/rows"
)

// Two rows, and what is learned of them in brackets.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sums.jsonl")
	lines := `{"question": "2+2=", "answer": "4"}` + "\n" + `{"question": "40+2=", "answer": "42"}` + "\n"
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		panic(err)
	}

	columns, err := rows.ParseColumns("prompt=question,completion=answer")
	if err != nil {
		panic(err)
	}
	d, err := data.Open(context.Background(), data.Config{Corpora: []data.Corpus{{Path: path, Columns: columns}}, EncoderConfig: data.EncoderConfig{MaxLength: 512, Tokenizer: base}})
	if err != nil {
		panic(err)
	}
	for i := range d.Len() {
		e := d.Example(i)
		fmt.Println(show(e.IDs, e.Target))
	}
	fmt.Printf("%.0f %% of %d tokens are learned\n", 100*d.Report().TargetShare(), d.Report().Tokens)
	// Output:
	// 2+2=[4<|endoftext|>]
	// 40+2=[42<|endoftext|>]
	// 36 % of 14 tokens are learned
}

// An epoch of packed rows: positions restart with each example.
func ExamplePlan() {
	d, err := data.Open(context.Background(), data.Config{Corpora: data.Files("world:chat"), EncoderConfig: data.EncoderConfig{MaxLength: 1024, Tokenizer: base}})
	if err != nil {
		panic(err)
	}
	batches, err := d.Batches(data.BatchConfig{BatchSize: 4, AccumulationSteps: 2, Packing: true, Shuffle: true, Seed: 1})
	if err != nil {
		panic(err)
	}
	plan := batches.Plan(0)
	var batch data.Batch
	for step := range min(2, plan.Steps()) {
		learned := 0
		for micro := range plan.Step(step).MicroBatches() {
			plan.Step(step).Fill(&batch, micro)
			learned += batch.TargetTokens
		}
		fmt.Println(batch.Rows, "rows of", batch.Length, "tokens;", learned == int(plan.Step(step).Weight()))
	}
	// Output:
	// 4 rows of 1024 tokens; true
	// 4 rows of 1024 tokens; true
}
