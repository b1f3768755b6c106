package exec_test

import (
	"math"
	"strings"
	"sync"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
)

// result is everything a run produces: outputs, then gradients.
type result [][]float32

// compute builds a model, runs it once and returns what came out.
func compute(t testing.TB, s shape, change func(*exec.Config)) result {
	t.Helper()
	return computeOn(t, nil, s, change)
}

func computeOn(t testing.TB, team *kernel.Team, s shape, change func(*exec.Config)) result {
	t.Helper()
	m := build(s, false)
	c := m.config()
	if change != nil {
		change(&c)
	}
	p, err := exec.NewArena(team).Compile(m.g, c)
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

// same compares bits.
func (r result) same(t *testing.T, other result) {
	t.Helper()
	for i := range r {
		for j := range r[i] {
			if math.Float32bits(r[i][j]) != math.Float32bits(other[i][j]) {
				t.Fatalf("result %d, element %d: %g and %g", i, j, r[i][j], other[i][j])
			}
		}
	}
}

// near compares to rounding: relative to the largest element of each result.
func (r result) near(t *testing.T, other result, bound float64) {
	t.Helper()
	for i := range r {
		largest := 0.0
		for _, x := range r[i] {
			largest = max(largest, math.Abs(float64(x)))
		}
		for j := range r[i] {
			if d := math.Abs(float64(r[i][j]) - float64(other[i][j])); !(d <= bound*largest) {
				t.Fatalf("result %d, element %d: %g and %g", i, j, r[i][j], other[i][j])
			}
		}
	}
}

// models are the cases of most tests: adapters, all weights, and a head of its
// own.
func models() map[string]shape {
	lora, full, untied, dropped := tiny, tiny, tiny, tiny
	full.rank, untied.rank, untied.tied, dropped.dropout = 0, 0, false, 0.3
	return map[string]shape{"lora": lora, "full": full, "untied": untied, "dropout": dropped}
}

func forAll(t *testing.T, f func(t *testing.T, s shape)) {
	for name, s := range models() {
		t.Run(name, func(t *testing.T) { f(t, s) })
	}
}

// TestTapeMachine holds the executor against gorgonia's own machine, which runs
// the same kernels one node at a time. Without fused sums the bits are equal.
func TestTapeMachine(t *testing.T) {
	forAll(t, func(t *testing.T, s shape) {
		ours := compute(t, s, func(c *exec.Config) { c.NoFuse = true })
		m := build(s, false)
		roots := append(gorgonia.Nodes{m.loss, m.nll, m.hit}, m.grads...)
		values := make([]gorgonia.Value, len(roots))
		var reads gorgonia.Nodes
		for i, n := range roots {
			reads = append(reads, gorgonia.Read(n, &values[i]))
		}
		vm := gorgonia.NewTapeMachine(m.g.SubgraphRoots(append(roots, reads...)...))
		defer vm.Close()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		var theirs result
		for _, v := range values {
			switch v := v.(type) {
			case *gorgonia.F32:
				theirs = append(theirs, []float32{float32(*v)})
			case *tensor.Dense:
				theirs = append(theirs, v.Float32s())
			default:
				t.Fatalf("a result of type %T", v)
			}
		}
		ours.same(t, theirs)
	})
}

func TestFusedSumsChangeRoundingOnly(t *testing.T) {
	forAll(t, func(t *testing.T, s shape) {
		plain := compute(t, s, func(c *exec.Config) { c.NoFuse = true })
		compute(t, s, nil).near(t, plain, 1e-5)
	})
}

func TestRecomputeHasTheSameBits(t *testing.T) {
	forAll(t, func(t *testing.T, s shape) {
		plain := compute(t, s, nil)
		plain.same(t, compute(t, s, func(c *exec.Config) { c.Recompute = true }))
		plain.same(t, compute(t, s, func(c *exec.Config) { c.Recompute, c.Poison = true, true }))
	})
}

func TestThreadsChangeNoBit(t *testing.T) {
	forAll(t, func(t *testing.T, s shape) {
		s.length, s.f, s.v = 40, 96, 300 // enough work to share
		one := computeOn(t, nil, s, nil)
		for _, threads := range []int{2, 3} {
			team := kernel.NewTeam(threads)
			defer team.Close()
			one.same(t, computeOn(t, team, s, nil))
		}
	})
}

// TestPoison fills all memory with NaN whenever it is dead: a kernel that reads
// what it did not get, or a plan that gives memory away too early, shows.
func TestPoison(t *testing.T) {
	forAll(t, func(t *testing.T, s shape) {
		for _, fuse := range []bool{false, true} {
			plain := compute(t, s, func(c *exec.Config) { c.NoFuse = !fuse })
			plain.same(t, compute(t, s, func(c *exec.Config) { c.NoFuse, c.Poison = !fuse, true }))
		}
	})
}

// TestGradientIsDerivative moves every trained leaf along its gradient.
func TestGradientIsDerivative(t *testing.T) {
	forAll(t, func(t *testing.T, s shape) {
		m := build(s, false)
		c := m.config()
		p := must(exec.NewArena(nil).Compile(m.g, c))
		run := func() float64 {
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			return float64(p.Value(m.loss)[0])
		}
		run()
		var gradients result
		for _, g := range c.Gradients {
			gradients = append(gradients, append([]float32(nil), g.Into...))
		}
		for i, n := range m.trained {
			// Along its own gradient g the loss changes by h·|g|² per step h.
			g := gradients[i]
			square := 0.0
			for _, x := range g {
				square += float64(x) * float64(x)
			}
			if square == 0 {
				t.Errorf("the gradient of %s is zero", n.Name())
				continue
			}
			h := 0.02 / math.Sqrt(square)
			w := n.Value().Data().([]float32)
			old := append([]float32(nil), w...)
			move := func(by float64) float64 {
				for j := range w {
					w[j] = old[j] + float32(by*float64(g[j]))
				}
				return run()
			}
			slope := (move(h) - move(-h)) / (2 * h)
			copy(w, old)
			if math.Abs(slope-square) > 0.02*square {
				t.Errorf("the loss changes by %g along the gradient of %s, want %g", slope, n.Name(), square)
			}
		}
	})
}

func TestGradientsAreAdded(t *testing.T) {
	forAll(t, func(t *testing.T, s shape) {
		once := compute(t, s, nil)
		m := build(s, false)
		c := m.config()
		p := must(exec.NewArena(nil).Compile(m.g, c))
		for range 2 {
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
		}
		var got, want result
		for i, g := range c.Gradients {
			got = append(got, g.Into)
			twice := append([]float32(nil), once[len(c.Outputs)+i]...)
			for j := range twice {
				twice[j] *= 2
			}
			want = append(want, twice)
		}
		want.near(t, got, 1e-5)
	})
}

func TestRunAllocatesNothing(t *testing.T) {
	team := kernel.NewTeam(2)
	defer team.Close()
	for _, recompute := range []bool{false, true} {
		m := build(tiny, false)
		c := m.config()
		c.Recompute = recompute
		p := must(exec.NewArena(team).Compile(m.g, c))
		p.SetProfiling(true)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		// Go may start a thread of the system meanwhile, which takes seven allocations once.
		if n := testing.AllocsPerRun(50, func() {
			if err := p.Run(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%g allocations a run", n)
		}
	}
}

// TestProfile compares operations and bytes with formulas of the shapes, and a second
// run with twice the first.
func TestProfile(t *testing.T) {
	team := kernel.NewTeam(2)
	defer team.Close()
	m := build(tiny, false)
	p := must(exec.NewArena(team).Compile(m.g, m.config()))
	if p.Profile() != nil {
		t.Error("a profile before anybody asked for it")
	}
	p.SetProfiling(true)
	n, width := float64(tiny.rows*tiny.length), float64(tiny.heads*tiny.d)
	pairs := float64(tiny.rows * (6*7/2 + 4*5/2)) // each row has segments of 6 and 4 tokens
	layers, c, f := float64(tiny.layers), float64(tiny.c), float64(tiny.f)
	for run := 1.0; run <= 2; run++ {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, u := range p.Profile() {
			inside := u.Spent.Products + u.Spent.Attention
			if u.Time < inside || inside > 0 != (u.Flops > 0) {
				t.Errorf("%s took %v, of it %v for %g operations", u.Name, u.Time, inside, u.Flops)
			}
			var flops, bytes float64
			switch {
			case u.Name == "linear": // of the output of attention, and the gate
				flops = layers * 2 * n * (width*c + c*f)
				bytes = layers * 4 * (n*(width+c) + width*c + n*(c+f) + c*f)
			case u.Name == "attention":
				flops, bytes = layers*4*pairs*width, u.Bytes/run
			case u.Name == "swiglu" && !u.Backward:
				bytes = layers * 4 * 3 * n * f
			default:
				continue
			}
			seen++
			if u.Flops != run*flops || u.Bytes != run*bytes {
				t.Errorf("%s: %g operations and %g bytes, want %g and %g", u.Name, u.Flops, u.Bytes, run*flops, run*bytes)
			}
		}
		if seen != 3 {
			t.Errorf("%d of 3 operators are in the profile", seen)
		}
	}
}

// TestDeadOutputs: frozen weights get no gradient, and below the first adapter
// nothing flows back.
func TestDeadOutputs(t *testing.T) {
	m := build(tiny, false)
	p := must(exec.NewArena(nil).Compile(m.g, m.config()))
	p.SetProfiling(true)
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	calls := make(map[string]int64)
	for _, u := range p.Profile() {
		calls[u.Name] = u.Calls
	}
	for name, want := range map[string]int64{
		"embedding backward":   0,
		"rmsnorm backward":     4, // of 5: the first norm lies below all adapters
		"lora linear backward": 10,
		"linear backward":      4,
		"attention backward":   2,
		"add":                  4, // residuals; the sums of gradients are fused
		"copy":                 0,
		"swiglu backward":      2,
		"cross entropy":        1,
		"rope backward":        4,
		"lora linear":          10,
	} {
		if calls[name] != want {
			t.Errorf("%d calls of %s, want %d", calls[name], name, want)
		}
	}
}

// TestArenaIsShared: programs of several lengths use one memory and do not
// disturb each other, whichever is compiled or run first.
func TestArenaIsShared(t *testing.T) {
	arena := exec.NewArena(nil)
	long := tiny
	long.length = 20
	var models []*llama
	var programs []*exec.Program
	var first []float32
	for _, s := range []shape{tiny, long} {
		m := build(s, false)
		p := must(arena.Compile(m.g, m.config()))
		models, programs = append(models, m), append(programs, p)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		first = append(first, p.Value(m.loss)[0])
	}
	if arena.Bytes() != max(programs[0].PlannedBytes(), programs[1].PlannedBytes()) {
		t.Errorf("the arena has %d bytes, its programs need %d and %d", arena.Bytes(), programs[0].PlannedBytes(), programs[1].PlannedBytes())
	}
	for range 2 {
		for i, p := range programs {
			if err := p.RunAll(); err != nil {
				t.Fatal(err)
			}
			if got := p.Value(models[i].loss)[0]; got != first[i] {
				t.Errorf("program %d: the loss is %g, was %g", i, got, first[i])
			}
		}
	}
}

// TestConcurrentBuilds is for the race detector.
func TestConcurrentBuilds(t *testing.T) {
	var wg sync.WaitGroup
	losses := make([]float32, 4)
	for i := range losses {
		wg.Go(func() {
			m := build(tiny, false)
			p := must(exec.NewArena(nil).Compile(m.g, m.config()))
			if err := p.Run(); err != nil {
				t.Error(err)
			}
			losses[i] = p.Value(m.loss)[0]
		})
	}
	wg.Wait()
	for _, l := range losses {
		if l != losses[0] {
			t.Errorf("losses %v differ", losses)
		}
	}
}

func TestErrors(t *testing.T) {
	fails := func(name, culprit string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), culprit) {
			t.Errorf("%s: the error is %v and does not name %q", name, err, culprit)
		}
	}
	m := build(tiny, false)
	arena := exec.NewArena(nil)

	c := m.config()
	c.Gradients[0].Into = c.Gradients[0].Into[1:]
	_, err := arena.Compile(m.g, c)
	fails("short buffer", "its buffer", err)

	c.Gradients[0].Into = nil
	_, err = arena.Compile(m.g, c)
	fails("no buffer", "no buffer", err)

	c.Gradients[0] = c.Gradients[1]
	_, err = arena.Compile(m.g, c)
	fails("one buffer for two", "the same buffer", err)

	_, err = arena.Compile(m.g, exec.Config{Outputs: []*gorgonia.Node{build(tiny, false).loss}})
	fails("node of another graph", "no node of the graph", err)

	unbound := gorgonia.NewMatrix(m.g, tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName("unbound"))
	sum := must(op.Add(unbound, unbound))
	_, err = arena.Compile(m.g, exec.Config{Outputs: []*gorgonia.Node{sum}})
	fails("unbound leaf", "unbound", err)

	square := must(gorgonia.Square(unbound))
	_, err = arena.Compile(m.g, exec.Config{Outputs: []*gorgonia.Node{square}})
	fails("gorgonia's operator", "cannot be run here", err)

	_, err = op.Grad(m.loss, m.trained[0])
	fails("second Grad", "differentiated before", err)

	p := must(arena.Compile(m.g, m.config()))
	ids := m.ids.Value().Data().([]int32)
	ids[7] = 99
	fails("id out of range", "id 99 of token 7", p.Run())
	ids[7] = 0
	positions := m.positions.Value().Data().([]int32)
	positions[0] = 1
	fails("position before the row", "position 1 of token 0", p.Run())
	positions[0] = 0
	if err := p.Run(); err != nil {
		t.Error(err)
	}
}
