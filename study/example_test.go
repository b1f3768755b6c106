package study_test

import (
	"fmt"
	"log"

	"gotune/study"
)

// A study is data: arms that differ in one thing, a metric, and what decides.
func ExampleParse() {
	s, err := study.Parse("ranks.yaml", []byte(`
id: ranks
seeds: {full: 5}
shared: {data: [world:chat], max_steps: 100}
vary: {lora_rank: [2, 8]}
metrics:
  recall: {score: exact_match, data: world:heldout}
tests:
  - {metric: recall, difference: ["lora_rank=8", "lora_rank=2"], expect: above, margin: 0.05}
`))
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range s.Arms {
		fmt.Println(a.Name, s.Seeds.Full)
	}

	_, err = study.Parse("wrong.yaml", []byte("id: wrong\ntest: []\n"))
	fmt.Println(err)
	// Output:
	// lora_rank=2 [1 2 3 4 5]
	// lora_rank=8 [1 2 3 4 5]
	// study wrong.yaml: [2:1] unknown key "test" of a study; perhaps tests is meant
}
