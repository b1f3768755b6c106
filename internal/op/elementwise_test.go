package op_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/ref"
)

func TestGELU(t *testing.T) {
	for form, f := range map[kernel.GELUForm]struct {
		forward  func(x []float64) []float64
		backward func(dy, x []float64) []float64
	}{
		kernel.GELUTanh:  {ref.GELU64, ref.GELUBackward64},
		kernel.GELUExact: {ref.GELUExact64, ref.GELUExactBackward64},
	} {
		b := newBench(t)
		x, xw := b.floats("x", 3, 21)
		r, rw := b.floats("r", 3, 21)
		b.gradients(must(op.GELU(x, form)), f.forward(xw), r, want{x, f.backward(rw, xw)})
	}
}

func TestGated(t *testing.T) {
	geGLU := func(form kernel.GELUForm) func(gate, up *gorgonia.Node) (*gorgonia.Node, error) {
		return func(gate, up *gorgonia.Node) (*gorgonia.Node, error) { return op.GeGLU(gate, up, form) }
	}
	geGLU64 := func(exact bool) func(gate, up []float64) []float64 {
		return func(gate, up []float64) []float64 { return ref.GeGLU64(gate, up, exact) }
	}
	geGLUBackward64 := func(exact bool) func(dy, gate, up []float64) (dgate, dup []float64) {
		return func(dy, gate, up []float64) (dgate, dup []float64) { return ref.GeGLUBackward64(dy, gate, up, exact) }
	}
	for name, f := range map[string]struct {
		make     func(gate, up *gorgonia.Node) (*gorgonia.Node, error)
		forward  func(gate, up []float64) []float64
		backward func(dy, gate, up []float64) (dgate, dup []float64)
	}{
		"swiglu":       {op.SwiGLU, ref.SwiGLU64, ref.SwiGLUBackward64},
		"geglu":        {geGLU(kernel.GELUTanh), geGLU64(false), geGLUBackward64(false)},
		"geglu, exact": {geGLU(kernel.GELUExact), geGLU64(true), geGLUBackward64(true)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			gate, gw := b.floats("gate", 3, 21)
			up, uw := b.floats("up", 3, 21)
			r, rw := b.floats("r", 3, 21)
			dg, du := f.backward(rw, gw, uw)
			b.gradients(must(f.make(gate, up)), f.forward(gw, uw), r, want{gate, dg}, want{up, du})
		})
	}
}

func TestSoftCap(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 50)
	y := must(op.SoftCap(x, 0.5))
	p := must(exec.NewArena(nil).Compile(b.g, exec.Config{Outputs: []*gorgonia.Node{y}}))
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	capped, _ := ref.SoftCap64(xw, 0.5)
	near(t, "capped", p.Value(y), capped)
}

func TestScale(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 21)
	r, rw := b.floats("r", 3, 21)
	y, dx := make([]float64, 63), make([]float64, 63)
	for i := range y {
		y[i], dx[i] = -2.5*xw[i], -2.5*rw[i]
	}
	b.gradients(must(op.Scale(x, -2.5)), y, r, want{x, dx})
}

func TestAdd(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 5)
	y, yw := b.floats("y", 3, 5)
	r, rw := b.floats("r", 3, 5)
	sum := make([]float64, len(xw))
	for i := range sum {
		sum[i] = xw[i] + yw[i]
	}
	z := must(op.Add(x, y))
	b.gradients(z, sum, r, want{x, rw}, want{y, rw})
}

func TestAddToItself(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 3, 5)
	r, rw := b.floats("r", 3, 5)
	twice, grad := make([]float64, len(xw)), make([]float64, len(xw))
	for i := range twice {
		twice[i], grad[i] = 2*xw[i], 2*rw[i]
	}
	b.gradients(must(op.Add(x, x)), twice, r, want{x, grad})
}

// The noise is uniform, follows from the key alone, and lets gradients through.
func TestNoise(t *testing.T) {
	values := func(key ...int32) []float32 {
		b := newBench(t)
		x, _ := b.floats("x", 40, 50)
		y := must(op.Noise(x, b.ints("key", key...), b.scalar("size", 0.5), 3))
		p := must(exec.NewArena(nil).Compile(b.g, exec.Config{Outputs: []*gorgonia.Node{y}}))
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		noise := slices.Clone(p.Value(y))
		for i, v := range x.Value().Data().([]float32) {
			noise[i] -= v
		}
		return noise
	}
	a := values(1, 2)
	sum, squares := 0.0, 0.0
	for _, u := range a {
		if u < -0.5001 || u > 0.5001 {
			t.Fatalf("noise %v is outside ±0.5", u)
		}
		sum += float64(u)
		squares += float64(u) * float64(u)
	}
	// 2,000 numbers of variance 1/12: four standard errors of mean and variance.
	if mean, variance := sum/2000, squares/2000; math.Abs(mean) > 0.026 || math.Abs(variance-1./12) > 0.0067 {
		t.Errorf("mean %v and variance %v, want 0 and 1/12", mean, variance)
	}
	if !slices.Equal(a, values(1, 2)) || slices.Equal(a, values(1, 3)) {
		t.Error("the noise does not follow from the key")
	}
	b := newBench(t)
	x, _ := b.floats("x", 3, 4)
	y := must(op.Noise(x, b.ints("key", 1, 2), b.scalar("size", 0.5), 3))
	r, rw := b.floats("r", 3, 4)
	noisy := make([]float64, 12)
	p := must(exec.NewArena(nil).Compile(b.g, exec.Config{Outputs: []*gorgonia.Node{y}}))
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	for i, v := range p.Value(y) {
		noisy[i] = float64(v)
	}
	b.gradients(y, noisy, r, want{x, rw})
}
