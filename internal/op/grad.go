package op

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// DiffWRT says which inputs have a gradient.
func (a *Application) DiffWRT(inputs int) []bool {
	if k, ok := a.Kernel.(differentiable); ok {
		return k.inputs()
	}
	return make([]bool, inputs)
}

// SymDiff applies the kernel's backward operator.
func (a *Application) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	k, ok := a.Kernel.(differentiable)
	if !ok {
		return nil, fmt.Errorf("%s has no gradient", a.name)
	}
	if len(a.outputs) > 1 {
		t, ok := grad.Op().(*tupleGradient)
		if !ok {
			return nil, fmt.Errorf("%s: only the first output has a gradient", a.name)
		}
		grad = t.dy
	}
	gs, err := k.gradient(&a.result, grad)
	a.gradients = gs
	return gs, err
}

// DiffWRT says that the first output alone has a gradient.
func (p *Projection) DiffWRT(int) []bool { return []bool{p.Index == 0} }

// SymDiff wraps the gradient of the output as a gradient of the tuple.
func (p *Projection) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	t := &tupleGradient{dy: grad, size: p.Tuple.out[0]}
	n, err := insert(t, &t.identity, p.name+" gradient", p.Tuple.out, grad)
	return gorgonia.Nodes{n}, err
}

// Grad returns the gradient of a scalar cost for each of the leaves: nodes of
// the same shapes. Only paths that reach one of the leaves are differentiated,
// so a weight that is not asked for costs nothing. A graph can be
// differentiated once. Graphs may be built and differentiated concurrently.
func Grad(cost *gorgonia.Node, leaves ...*gorgonia.Node) ([]*gorgonia.Node, error) {
	building.Lock()
	defer building.Unlock()
	if cost.Deriv() != nil {
		return nil, errors.New("gradient: this graph was differentiated before; build a new one")
	}
	depends := ancestors(cost)
	seen := make(map[*gorgonia.Node]bool)
	for _, n := range leaves {
		switch {
		case n == nil:
			return nil, errors.New("gradient: a leaf is missing")
		case seen[n]:
			return nil, fmt.Errorf("gradient: %s is asked for twice", n.Name())
		case !depends[n]:
			return nil, fmt.Errorf("gradient: the cost does not depend on %s", n.Name())
		}
		seen[n] = true
	}
	before := slices.Clone(cost.Graph().AllNodes())
	grads, err := gorgonia.Grad(cost, leaves...)
	if err != nil {
		return nil, fmt.Errorf("gradient: %w", err)
	}
	if err := checkSums(before); err != nil {
		return nil, fmt.Errorf("gradient: %w", err)
	}
	return grads, nil
}

// ancestors returns the nodes that a node is computed from.
func ancestors(n *gorgonia.Node) map[*gorgonia.Node]bool {
	seen := map[*gorgonia.Node]bool{n: true}
	for todo := []*gorgonia.Node{n}; len(todo) > 0; {
		last := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, c := range Children(last) {
			if !seen[c] {
				seen[c] = true
				todo = append(todo, c)
			}
		}
	}
	return seen
}

// checkSums makes sure that the gradient of every node is the sum of what its
// consumers gave. gorgonia adds the sums itself and takes two sums of one shape
// for the same when their 32-bit hashes happen to be equal.
func checkSums(nodes gorgonia.Nodes) error {
	want := make(map[*gorgonia.Node][]*gorgonia.Node)
	for _, n := range nodes {
		a, ok := n.Op().(*Application)
		if !ok || a.gradients == nil {
			continue
		}
		for i, in := range a.result.in {
			if g := a.gradients[i]; g != nil {
				want[in] = append(want[in], terms(g)...)
			}
		}
	}
	for n, ts := range want {
		if n.Deriv() == nil {
			continue
		}
		if _, tuple := n.Deriv().Op().(*tupleGradient); tuple {
			continue
		}
		got := terms(n.Deriv())
		byID := func(a, b *gorgonia.Node) int { return int(a.ID() - b.ID()) }
		slices.SortFunc(got, byID)
		slices.SortFunc(ts, byID)
		if !slices.Equal(got, ts) {
			return fmt.Errorf("the gradient of %s is not the sum of its parts (two sums share a hash)", n.Name())
		}
	}
	return nil
}

// terms returns the summands below gorgonia's sums.
func terms(n *gorgonia.Node) []*gorgonia.Node {
	if !IsSum(n) {
		return []*gorgonia.Node{n}
	}
	var ts []*gorgonia.Node
	for _, c := range Children(n) {
		ts = append(ts, terms(c)...)
	}
	return ts
}

// IsSum reports whether a node is the element-wise sum that gorgonia's Grad
// inserts.
func IsSum(n *gorgonia.Node) bool {
	o := n.Op()
	if o == nil || o.String() != "+ false" {
		return false
	}
	_, binary := o.(gorgonia.BinaryOp)
	return binary
}

// Children returns the inputs of a node in order.
func Children(n *gorgonia.Node) []*gorgonia.Node {
	if a, ok := n.Op().(*Application); ok {
		return a.result.in
	}
	var cs []*gorgonia.Node
	for it := n.Graph().From(n.ID()); it.Next(); {
		cs = append(cs, it.Node().(*gorgonia.Node))
	}
	return cs
}

// Constant returns the value of a scalar constant such as the 1 that
// differentiation starts from.
func Constant(n *gorgonia.Node) (float32, bool) {
	if n.Op() == nil || n.Op().Arity() != 0 {
		return 0, false
	}
	v, err := n.Op().Do()
	if err != nil || v.Dtype() != tensor.Float32 {
		return 0, false
	}
	f, ok := v.(*gorgonia.F32)
	if !ok {
		return 0, false
	}
	return float32(*f), true
}
