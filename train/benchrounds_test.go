package train_test

import (
	"fmt"

	"gotune/train"
)

func ExampleBenchRounds_Median() {
	fmt.Println(train.BenchRounds{3, 1, 2}.Median(), train.BenchRounds{4, 1, 3, 2}.Median())
	// Output: 2 3
}
