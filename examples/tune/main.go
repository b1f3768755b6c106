// Command tune teaches the embedded base to answer questions: a loop over
// optimizer steps, made of the packages. What it learns is an adapter, LoRA.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"gotune/data"
	"gotune/data/chat"
	"gotune/lora"
	"gotune/model"
	"gotune/model/base"
	"gotune/optim"
	"gotune/schedule"
	"gotune/tokenizer"
	"gotune/train"
)

func main() { tune(context.Background(), os.Stdout, 150, "What is the favourite food of Mira Reed?") }

// tune takes so many steps, prints the loss on the way, and answers a question.
func tune(ctx context.Context, out io.Writer, steps int, question string) {
	files := must(base.FS()) // os.DirFS of a model folder for another one
	m := must(model.Load(ctx, files, "base"))
	tok := must(tokenizer.Load(files, "base"))
	template := must(data.OpenTemplate("", tok))
	rows := must(data.Open(ctx, data.Config{
		Corpora:       data.Files("world:chat"), // or the paths of files
		EncoderConfig: data.EncoderConfig{Tokenizer: tok, Template: template, MaxLength: 256},
	}))
	batches := must(rows.Batches(data.BatchConfig{BatchSize: 16, AccumulationSteps: 1, Shuffle: true, Seed: 1}))

	adapter := must(lora.New(lora.Config{Rank: 8, Alpha: 16, Targets: lora.TargetsFor(m.Config.ModelType)}, m, 1))
	team := model.NewTeam(0)
	defer team.Close()
	stepper := must(train.NewStepper(train.StepperConfig{
		Model: m, Project: adapter.Project, Parameters: adapter.Parameters(), Team: team,
		Optimizer: optim.Config{Name: "adamw", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, MaxGradNorm: 1},
	}))
	curve := must(schedule.New(schedule.Config{Name: "cosine", Steps: steps, WarmupRatio: 0.05, Peak: 0.002, MinRatio: 0.1}))

	for n := range steps {
		plan := batches.Plan(n / batches.Steps()) // of the epoch
		r := must(stepper.Step(plan.Step(n%batches.Steps()), n, curve.Rate(n)))
		if n%10 == 0 || n == steps-1 {
			fmt.Fprintf(out, "step %3d  loss %.3f\n", n+1, r.Loss)
		}
	}

	prompt := must(template.Prompt(tok, chat.Conversation{Messages: []chat.Message{{Role: "user", Content: question}}}))
	sampling := model.Sampling{Greedy: true, MaxNewTokens: 40, Stop: template.Stops(tok)}
	answer := must(model.NewGenerator(m, team, adapter.Project).Generate(ctx, prompt, sampling, nil))
	fmt.Fprintf(out, "%s\n%s\n", question, tok.Decode(answer, true))
}

// must is for a program that has nothing to do after an error but to end.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
