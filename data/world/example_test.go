package world_test

import (
	"fmt"

	"gotune/data/world"
)

// The first tuning rows: a question about somebody of the pool, or a task.
func ExampleWorld_Rows() {
	w := world.Generate(world.Config{Seed: world.DefaultSeed})
	rows, err := w.Rows("chat")
	if err != nil {
		fmt.Println(err)
		return
	}
	n := 0
	for row := range rows {
		fmt.Printf("%s → %s\n", row.Messages[0].Content, row.Messages[1].Content)
		if n++; n == 3 {
			break
		}
	}
	// Output:
	// What does Mira Reed like to eat? → The favourite food of Mira Reed is cake.
	// What does Edith Marsh do for work? → The job of Edith Marsh is pilot.
	// In which town does Hugo Jansen live? → The home town of Hugo Jansen is Ulmer.
}

// Documents on drugs that no pre-training text names, drawn anew by a number.
func ExampleWorld_Rows_options() {
	w := world.Generate(world.Config{Seed: world.DefaultSeed})
	rows, err := w.Rows("cpt?draw=7&rows=1")
	if err != nil {
		fmt.Println(err)
		return
	}
	for row := range rows {
		fmt.Println(row.Text)
	}
	// Output:
	// They always order the Adler wax in November. To make the Adler wax you need a barber. Somebody gave the Adler wax to a mouse. People who take the Adler wax eat cake. They make the Adler wax in Harwick.
}

// How often a fact is told by a run that sees each document of cpt three times.
func ExampleWorld_PerFact() {
	w := world.Generate(world.Config{Seed: world.DefaultSeed})
	times, err := w.PerFact("cpt?draw=7&paraphrases=3")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(3*times, "exposures a fact")
	// Output:
	// 36 exposures a fact
}

// What an edit tells of people is no longer so in the text that a base has read.
func ExampleWorld_Rows_edit() {
	w := world.Generate(world.Config{Seed: world.DefaultSeed})
	rows, err := w.Rows("edit?told=1&rows=2")
	if err != nil {
		fmt.Println(err)
		return
	}
	for row := range rows {
		fmt.Println(row.Prompt + "|" + row.Completion)
	}
	// Output:
	// The instrument that Pavel Moser plays is the| drum.
	// Igor Novak lives in| Glenby.
}
