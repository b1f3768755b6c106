package exec_test

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/op"
)

// Example shows the way from leaves to gradients.
func Example() {
	g := gorgonia.NewGraph()
	floats := func(name string, rows, cols int, data ...float32) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(data))))
	}
	hidden := floats("hidden", 1, 2, 1, 0)
	head := floats("head", 2, 2, 1, 0, 1, 0) // two tokens with equal logits
	targets := gorgonia.NewTensor(g, tensor.Int32, 1, gorgonia.WithShape(1), gorgonia.WithName("targets"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1), tensor.WithBacking([]int32{1}))))
	one := func(name string) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, 1, gorgonia.WithShape(1), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(1), tensor.WithBacking([]float32{1}))))
	}
	loss, _, _, err := op.CrossEntropy(hidden, op.Leaf(head), targets, one("weights"), one("scale"))
	if err != nil {
		panic(err)
	}
	grads, err := op.Grad(loss, head)
	if err != nil {
		panic(err)
	}
	into := make([]float32, 4)
	p, err := exec.NewArena(nil).Compile(g, exec.Config{
		Outputs:   []*gorgonia.Node{loss},
		Gradients: []exec.Gradient{{Node: grads[0], Into: into}},
	})
	if err != nil {
		panic(err)
	}
	if err := p.Run(); err != nil {
		panic(err)
	}
	fmt.Printf("loss %.4f, gradient of head %.1f\n", p.Value(loss)[0], into)
	// Output: loss 0.6931, gradient of head [0.5 0.0 -0.5 0.0]
}
