package op

import (
	"strings"
	"testing"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func leaf(g *gorgonia.ExprGraph, name string) *gorgonia.Node {
	return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName(name))
}

// TestEveryApplicationIsANode: gorgonia merges nodes that look alike; two
// applications of one operator to the same inputs must stay two.
func TestEveryApplicationIsANode(t *testing.T) {
	g := gorgonia.NewGraph()
	x, y := leaf(g, "x"), leaf(g, "y")
	a, err := Add(x, y)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Add(x, y)
	if err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Error("two applications share a node")
	}
}

// TestHashCollision plants an operator with the hash that the next application
// would have.
func TestHashCollision(t *testing.T) {
	g := gorgonia.NewGraph()
	x, y := leaf(g, "x"), leaf(g, "y")
	planted := &Application{Kernel: NewSum(tensor.Shape{2, 2})}
	planted.identity = identity{name: "add", serial: 3, in: []hm.Type{x.Type(), y.Type()}, out: tensor.Shape{2, 2}}
	first, err := gorgonia.ApplyOp(planted, x, y)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(g.AllNodes()); n != 3 {
		t.Fatalf("%d nodes; the planted serial number is wrong", n)
	}
	second, err := Add(x, y)
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Error("an application got the node of another one")
	}
	if s := second.Op().(*Application).serial; s != 3|1<<32 {
		t.Errorf("the serial number is %x; no collision happened", s)
	}
}

// TestMergedSums: a sum that is not the sum of the gradients is noticed.
func TestMergedSums(t *testing.T) {
	g := gorgonia.NewGraph()
	x, w := leaf(g, "x"), leaf(g, "w")
	a, _ := Linear(x, Leaf(w), nil)
	b, _ := Linear(x, Leaf(w), nil)
	sum, _ := Add(a, b)
	cost, err := Dot(sum, leaf(g, "r"))
	if err != nil {
		t.Fatal(err)
	}
	before := append(gorgonia.Nodes(nil), g.AllNodes()...)
	if _, err := Grad(cost, x, w); err != nil {
		t.Fatal(err)
	}
	app := a.Op().(*Application)
	app.gradients[0] = app.gradients[1]
	if err := checkSums(before); err == nil || !strings.Contains(err.Error(), "not the sum of its parts") {
		t.Errorf("a wrong sum gives %v", err)
	}
}

func TestGradErrors(t *testing.T) {
	g := gorgonia.NewGraph()
	x, stray := leaf(g, "x"), leaf(g, "stray")
	cost, err := Dot(x, leaf(g, "r"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		culprit string
		leaves  []*gorgonia.Node
	}{
		{"does not depend on stray", []*gorgonia.Node{x, stray}},
		{"x is asked for twice", []*gorgonia.Node{x, x}},
		{"a leaf is missing", []*gorgonia.Node{nil}},
	} {
		if _, err := Grad(cost, test.leaves...); err == nil || !strings.Contains(err.Error(), test.culprit) {
			t.Errorf("the error is %v and does not say %q", err, test.culprit)
		}
	}
	if _, err := Grad(cost, x); err != nil {
		t.Errorf("after mistakes the gradient fails: %v", err)
	}
}
