package model_test

import (
	"context"
	"fmt"

	"gotune/model"
	"gotune/model/base"
	"gotune/tokenizer"
)

// A model's loss on one row: token t is to predict the id at t+1.
func ExampleModel_Program() {
	m, err := model.New(example(), 1)
	if err != nil {
		panic(err)
	}
	p, err := m.Program(nil, model.ProgramOptions{Rows: 1, Length: 4})
	if err != nil {
		panic(err)
	}
	copy(p.IDs, []int32{5, 9, 2, 7})
	copy(p.Positions, []int32{0, 1, 2, 3})
	copy(p.Targets, []int32{9, 2, 7, -100})
	p.Scale[0] = 1.0 / 3
	if err := p.Run(); err != nil {
		panic(err)
	}
	// A model with random weights knows nothing: about ln 512 = 6.2.
	fmt.Printf("%.0f\n", p.Loss())
	// Output: 6
}

func ExampleGenerator() {
	m, err := model.New(example(), 1)
	if err != nil {
		panic(err)
	}
	g := model.NewGenerator(m, nil, nil)
	s := model.Sampling{Temperature: 0.8, TopP: 0.9, Seed: 3, MaxNewTokens: 5}
	streamed := 0
	ids, err := g.Generate(context.Background(), []int32{5, 9, 2}, s, func(int32) error {
		streamed++
		return nil
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(len(ids), streamed)
	// Output: 5 5
}

func example() model.Config {
	c, err := model.Shape("toy")
	if err != nil {
		panic(err)
	}
	return c
}

// The embedded base goes on with a text, token by token.
func Example() {
	files, err := base.FS()
	if err != nil {
		panic(err)
	}
	m, err := model.Load(context.Background(), files, "base")
	if err != nil {
		panic(err)
	}
	tok, err := tokenizer.Load(files, "base")
	if err != nil {
		panic(err)
	}
	team := model.NewTeam(0)
	defer team.Close()
	stream := tok.Stream()
	s := model.Sampling{Greedy: true, MaxNewTokens: 8}
	_, err = model.NewGenerator(m, team, nil).Generate(context.Background(), tok.Encode("The favourite food of Mira Reed is"), s, func(id int32) error {
		fmt.Print(stream.Next(id))
		return nil
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(stream.Flush())
	// Output: cake. Mira Reed's job is
}
