package optim_test

import (
	"fmt"

	"gotune/optim"
)

// Two values descend to the minimum of (x−3)² + (y+1)². An optimizer sees slices
// alone: whoever computes the gradient writes it beside the values.
func Example() {
	value, grad := []float32{0, 0}, make([]float32, 2)
	o, err := optim.New(nil, []optim.Parameter{{Name: "point", Shape: []int{2}, Value: value, Grad: grad}},
		optim.Config{Name: "adamw", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8})
	if err != nil {
		panic(err)
	}
	for range 500 {
		grad[0], grad[1] = 2*(value[0]-3), 2*(value[1]+1)
		if _, err := o.Step(0.05); err != nil {
			panic(err)
		}
	}
	fmt.Printf("%.2f %.2f after %d steps\n", value[0], value[1], o.State().Steps)
	// Output: 3.00 -1.00 after 500 steps
}
