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
	// What does Mira Reed like to eat? → Some cake.
	// What does Edith Marsh do for work? → A pilot.
	// In which town does Hugo Jansen live? → In Ulmer.
}
