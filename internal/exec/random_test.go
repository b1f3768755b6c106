package exec_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/op"
)

// randomGraph applies operators to what is there already, with values used
// several times, outputs in the middle, sums of sums and weights used twice.
func randomGraph(seed uint64) *llama {
	m := &llama{g: gorgonia.NewGraph(), rand: rand.New(rand.NewPCG(seed, 7)), weights: make(map[string]*gorgonia.Node)}
	n, c := 5, 4
	m.shape = shape{c: c}
	values := []*gorgonia.Node{m.leaf("x", true, n, c), m.leaf("y", seed%2 == 0, n, c)}
	pick := func() *gorgonia.Node { return values[max(m.rand.IntN(len(values)), m.rand.IntN(len(values)))] }
	var outputs []*gorgonia.Node
	first := exec.NextID(m.g)
	for i := range 6 + m.rand.IntN(25) {
		var v *gorgonia.Node
		name := fmt.Sprint(m.rand.IntN(4))
		switch m.rand.IntN(6) {
		case 0, 1:
			v = must(op.Add(pick(), pick()))
		case 2:
			v = must(op.Linear(pick(), op.Leaf(m.leaf("w"+name, true, c, c)), nil))
		case 3:
			v = must(op.SwiGLU(pick(), pick()))
		case 4:
			v = must(op.RMSNorm(pick(), m.leaf("n"+name, true, c), 1e-2))
		case 5:
			v = must(op.LoRALinear(pick(), op.Leaf(m.leaf("w"+name, true, c, c)), nil,
				m.leaf("a"+name, true, 2, c), m.leaf("b"+name, true, c, 2), 0.5, nil))
		}
		values = append(values, v)
		if m.rand.IntN(8) == 0 {
			outputs = append(outputs, v)
		}
		if i%7 == 6 {
			m.blocks = append(m.blocks, exec.Block{First: first, End: exec.NextID(m.g)})
			first = exec.NextID(m.g)
		}
	}
	last := values[len(values)-1]
	targets := []int32{3, -100, 0, 1, 2}
	m.loss, m.nll, m.hit, _ = op.CrossEntropy(must(op.RMSNorm(last, m.leaf("norm", true, c), 1e-2)),
		op.Leaf(m.leaf("head", true, 6, c)), m.ints("targets", targets), m.floats("weights", []float32{1, 1, 0.5, 1, 2}, 5), m.floats("scale", []float32{0.25}, 1))
	// Leaves that the loss does not depend on cannot be asked for.
	m.trained = reached(m.loss, m.trained)
	m.grads = must(op.Grad(m.loss, m.trained...))
	m.trained = append(m.trained, outputs...) // read by the caller
	return m
}

// reached returns the nodes among some that a node depends on.
func reached(from *gorgonia.Node, among []*gorgonia.Node) []*gorgonia.Node {
	seen := make(map[*gorgonia.Node]bool)
	var visit func(n *gorgonia.Node)
	visit = func(n *gorgonia.Node) {
		if !seen[n] {
			seen[n] = true
			for _, c := range op.Children(n) {
				visit(c)
			}
		}
	}
	visit(from)
	var in []*gorgonia.Node
	for _, n := range among {
		if seen[n] {
			in = append(in, n)
		}
	}
	return in
}

// TestRandomGraphs: passes change nothing but rounding, recompute not even that,
// and poisoned dead memory is never read.
func TestRandomGraphs(t *testing.T) {
	compute := func(seed uint64, change func(*exec.Config)) result {
		m := randomGraph(seed)
		c := m.config()
		c.Outputs = append(c.Outputs, m.trained[len(m.grads):]...)
		change(&c)
		p, err := exec.NewArena(nil).Compile(m.g, c)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		var r result
		for _, n := range c.Outputs {
			r = append(r, append([]float32(nil), p.Value(n)...))
		}
		for _, g := range c.Gradients {
			r = append(r, g.Into)
		}
		return r
	}
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			plain := compute(seed, func(c *exec.Config) { c.NoFuse = true })
			fused := compute(seed, func(c *exec.Config) { c.Poison = true })
			fused.near(t, plain, 1e-4)
			fused.same(t, compute(seed, func(c *exec.Config) { c.Recompute, c.Poison = true, true }))
		})
	}
}
