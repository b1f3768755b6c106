package op

import (
	"fmt"
	"hash"
	"hash/fnv"
	"sync"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// building serialises everything that adds nodes: gorgonia's constants are
// package variables that are written to when a graph takes them in.
var building sync.Mutex

// An Application is a kernel applied to nodes, as a gorgonia operator.
type Application struct {
	Kernel
	identity
	outputs  []Output
	backward bool
	result   applied
	// gradients holds what SymDiff returned, for the check in Grad.
	gradients gorgonia.Nodes
}

// Inputs returns the nodes the kernel is applied to.
func (a *Application) Inputs() []*gorgonia.Node { return a.result.in }

// Backward reports whether the application was made by differentiation.
func (a *Application) Backward() bool { return a.backward }

// A Projection takes one output out of a tuple node.
type Projection struct {
	identity
	Tuple *Application
	Index int
}

// tupleGradient stands for the gradient of a tuple of which only the first
// output has one. It is taken apart again by the tuple's SymDiff.
type tupleGradient struct {
	identity
	dy   *gorgonia.Node
	size int
}

// apply applies a kernel to nodes of one graph.
func apply(k Kernel, in ...*gorgonia.Node) (*applied, error) {
	building.Lock()
	defer building.Unlock()
	return applyLocked(k, false, in)
}

// applyBackward is apply for use while Grad holds the lock.
func applyBackward(k Kernel, in ...*gorgonia.Node) (*applied, error) {
	return applyLocked(k, true, in)
}

// applyOne is apply for a kernel with one output.
func applyOne(k Kernel, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	a, err := apply(k, in...)
	if err != nil {
		return nil, err
	}
	return a.out[0], nil
}

func applyLocked(k Kernel, backward bool, in []*gorgonia.Node) (*applied, error) {
	a := &Application{Kernel: k, outputs: k.Outputs(), backward: backward}
	a.result.in = in
	size := 0
	for _, o := range a.outputs {
		size += o.Size()
	}
	shape := tensor.Shape{size}
	if len(a.outputs) == 1 {
		shape = a.outputs[0].Shape
	}
	node, err := insert(a, &a.identity, k.Name(), shape, in...)
	if err != nil {
		return nil, err
	}
	if len(a.outputs) == 1 {
		a.result.out = []*gorgonia.Node{node}
		return &a.result, nil
	}
	for i, o := range a.outputs {
		p := &Projection{Tuple: a, Index: i}
		n, err := insert(p, &p.identity, fmt.Sprintf("%s[%d]", k.Name(), i), o.Shape, node)
		if err != nil {
			return nil, err
		}
		a.result.out = append(a.result.out, n)
	}
	return &a.result, nil
}

// insert makes the node of an operator. gorgonia takes two nodes for one if
// their 32-bit hashes are equal, so insert gives every operator a serial number
// and takes another one if the node that comes back is not the one sent.
func insert(op gorgonia.Op, id *identity, name string, shape tensor.Shape, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	*id = identity{name: name, out: shape}
	for _, n := range in {
		id.in = append(id.in, n.Type())
	}
	// ApplyOp keeps the slice and may write to it.
	children := make([]*gorgonia.Node, len(in))
	serial := len(in[0].Graph().AllNodes())
	for attempt := range 8 {
		copy(children, in)
		id.serial = uint64(serial) | uint64(attempt)<<32
		n, err := gorgonia.ApplyOp(op, children...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if n.Op() == op {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%s: no free hash in the graph", name)
}

// identity holds what every operator here has in common.
type identity struct {
	name   string
	serial uint64
	in     []hm.Type
	out    tensor.Shape
}

// Arity returns the number of inputs.
func (id *identity) Arity() int { return len(id.in) }

// Type returns a new function type, since gorgonia recycles it after use.
func (id *identity) Type() hm.Type {
	types := make([]hm.Type, 0, len(id.in)+1)
	types = append(types, id.in...)
	if len(id.out) == 0 {
		types = append(types, tensor.Float32)
	} else {
		types = append(types, gorgonia.TensorType{Dims: len(id.out), Of: tensor.Float32})
	}
	return hm.NewFnType(types...)
}

// InferShape returns the shape fixed at construction.
func (id *identity) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return id.out.Clone(), nil
}

// ReturnsPtr is false: results never share memory with inputs.
func (id *identity) ReturnsPtr() bool { return false }

// CallsExtern is false: everything is Go.
func (id *identity) CallsExtern() bool { return false }

// OverwritesInput returns -1: Do leaves its inputs alone.
func (id *identity) OverwritesInput() int { return -1 }

// WriteHash writes name and serial number.
func (id *identity) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s#%d", id.name, id.serial) }

// Hashcode returns the 32-bit hash of what WriteHash writes.
func (id *identity) Hashcode() uint32 {
	h := fnv.New32a()
	id.WriteHash(h)
	return h.Sum32()
}

func (id *identity) String() string { return id.name }

// Do runs the kernel on new memory. It is there for gorgonia's own machines.
func (a *Application) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	c := Call{Add: make([]bool, len(a.outputs))}
	for i, v := range values {
		in, err := input(v)
		if err != nil {
			return nil, fmt.Errorf("%s: input %d: %w", a.name, i, err)
		}
		c.In = append(c.In, in)
	}
	size := 0
	alive := make([]bool, len(a.outputs))
	for i, o := range a.outputs {
		size += o.Size()
		alive[i] = true
	}
	c.Scratch = make([]float32, a.Scratch(alive))
	flat := make([]float32, size)
	rest := flat
	for _, o := range a.outputs {
		c.Out = append(c.Out, rest[:o.Size():o.Size()])
		rest = rest[o.Size():]
	}
	if err := a.Run(&c); err != nil {
		return nil, fmt.Errorf("%s: %w", a.name, err)
	}
	return value(flat, a.out), nil
}

// Do copies the output out of the tuple.
func (p *Projection) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	in, err := input(values[0])
	if err != nil {
		return nil, err
	}
	rest := in.F
	for _, o := range p.Tuple.outputs[:p.Index] {
		rest = rest[o.Size():]
	}
	return value(append([]float32(nil), rest[:p.Tuple.outputs[p.Index].Size()]...), p.out), nil
}

// Do lays the gradient of the first output at the start of the tuple.
func (t *tupleGradient) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	in, err := input(values[0])
	if err != nil {
		return nil, err
	}
	flat := make([]float32, t.size)
	copy(flat, in.F)
	return value(flat, t.out), nil
}

// input reads a gorgonia value.
func input(v gorgonia.Value) (Input, error) {
	switch v := v.(type) {
	case *tensor.Dense:
		switch v.Dtype() {
		case tensor.Float32:
			return Input{F: v.Float32s()}, nil
		case tensor.Int32:
			return Input{I: v.Int32s()}, nil
		}
	case *gorgonia.F32:
		return Input{F: []float32{float32(*v)}}, nil
	}
	return Input{}, fmt.Errorf("a value of type %T cannot be used here", v)
}

func value(data []float32, shape tensor.Shape) gorgonia.Value {
	if len(shape) == 0 {
		return gorgonia.NewF32(data[0])
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}
