package op_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
)

// bench is a graph under test: named random leaves and what must come out.
type bench struct {
	*testing.T
	g      *gorgonia.ExprGraph
	rand   *rand.Rand
	leaves []*gorgonia.Node
	f64    map[*gorgonia.Node][]float64
}

func newBench(t *testing.T) *bench {
	return &bench{T: t, g: gorgonia.NewGraph(), rand: rand.New(rand.NewPCG(3, 4)), f64: make(map[*gorgonia.Node][]float64)}
}

// floats makes a leaf with normal random values.
func (b *bench) floats(name string, shape ...int) (*gorgonia.Node, []float64) {
	data := make([]float32, tensor.Shape(shape).TotalSize())
	wide := make([]float64, len(data))
	for i := range data {
		data[i] = float32(b.rand.NormFloat64())
		wide[i] = float64(data[i])
	}
	n := gorgonia.NewTensor(b.g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))))
	b.f64[n] = wide
	b.leaves = append(b.leaves, n)
	return n, wide
}

func (b *bench) ints(name string, values ...int32) *gorgonia.Node {
	return gorgonia.NewTensor(b.g, tensor.Int32, 1, gorgonia.WithShape(len(values)), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values))))
}

func (b *bench) scalar(name string, v float32) *gorgonia.Node { return b.vector(name, v) }

func (b *bench) vector(name string, v ...float32) *gorgonia.Node {
	return gorgonia.NewTensor(b.g, tensor.Float32, 1, gorgonia.WithShape(len(v)), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v))))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// want is a gradient that must come out.
type want struct {
	leaf *gorgonia.Node
	grad []float64
}

// gradients differentiates Σ dy·y and compares y and the gradients with float64
// values, on one and on two threads.
func (b *bench) gradients(y *gorgonia.Node, yWant []float64, r *gorgonia.Node, wants ...want) {
	b.Helper()
	cost := must(op.Dot(y, r))
	var leaves []*gorgonia.Node
	for _, w := range wants {
		leaves = append(leaves, w.leaf)
	}
	b.check(cost, []*gorgonia.Node{y}, [][]float64{yWant}, leaves, wants)
}

// check runs the graph with all gradients, on one and on two threads, and then
// for each gradient alone, so that every set of dead outputs occurs.
func (b *bench) check(cost *gorgonia.Node, outputs []*gorgonia.Node, values [][]float64, leaves []*gorgonia.Node, wants []want) {
	b.Helper()
	grads, err := op.Grad(cost, leaves...)
	if err != nil {
		b.Fatal(err)
	}
	run := func(team *kernel.Team, outputs []*gorgonia.Node, which ...int) {
		b.Helper()
		c := exec.Config{Outputs: outputs, Poison: true}
		for _, i := range which {
			c.Gradients = append(c.Gradients, exec.Gradient{Node: grads[i], Into: make([]float32, len(wants[i].grad))})
		}
		p, err := exec.NewArena(team).Compile(b.g, c)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Run(); err != nil {
			b.Fatal(err)
		}
		for i, n := range outputs {
			near(b.T, n.Name(), p.Value(n), values[i])
		}
		for i, w := range which {
			near(b.T, "gradient of "+wants[w].leaf.Name(), c.Gradients[i].Into, wants[w].grad)
		}
	}
	var all []int
	for i := range wants {
		all = append(all, i)
	}
	for _, threads := range []int{1, 2} {
		team := kernel.NewTeam(threads)
		defer team.Close()
		run(team, outputs, all...)
	}
	for i := range wants {
		run(nil, nil, i)
	}
}

// near compares float32 results with float64 ones. The bound is relative to the
// largest value: sums of k products of terms of this size have an error of about
// √k·2⁻²⁴, and k is below 100 in these tests.
func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", what, len(got), len(want))
	}
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(w))
	}
	for i, w := range want {
		if diff := math.Abs(float64(got[i]) - w); !(diff <= 2e-6*(largest+1e-3)) {
			t.Errorf("%s[%d] = %g, want %g", what, i, got[i], w)
			return
		}
	}
}
