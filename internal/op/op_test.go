package op_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/ref"
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

func TestEmbedding(t *testing.T) {
	b := newBench(t)
	table, tw := b.floats("table", 5, 3)
	r, rw := b.floats("r", 4, 3)
	ids := []int32{4, 0, 4, 2}
	y := must(op.Embedding(op.Leaf(table), b.ints("ids", ids...)))
	b.gradients(y, ref.Embedding64(tw, ids, 3), r, want{table, ref.EmbeddingBackward64(rw, ids, 5, 3)})
}

func TestRMSNorm(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 24)
	w, ww := b.floats("w", 24)
	r, rw := b.floats("r", 4, 24)
	dx, dw := ref.RMSNormBackward64(rw, xw, ww, 4, 24, 1e-5)
	y := must(op.RMSNorm(x, w, 1e-5))
	b.gradients(y, ref.RMSNorm64(xw, ww, 4, 24, 1e-5), r, want{x, dx}, want{w, dw})
}

// Heads are normalised one by one with the same weight.
func TestRMSNormOfHeads(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 24)
	w, ww := b.floats("w", 6)
	r, rw := b.floats("r", 4, 24)
	dx, dw := ref.RMSNormBackward64(rw, xw, ww, 16, 6, 1e-5)
	y := must(op.RMSNorm(x, w, 1e-5))
	b.gradients(y, ref.RMSNorm64(xw, ww, 16, 6, 1e-5), r, want{x, dx}, want{w, dw})
}

// A weight of Conv1D is the transpose of one of Linear, and so is its gradient.
func TestLinear(t *testing.T) {
	for flags := range 4 {
		bias, conv := flags&1 != 0, flags&2 != 0
		b := newBench(t)
		x, xw := b.floats("x", 7, 12)
		w, ww := b.weight("w", conv, 19, 12)
		r, rw := b.floats("r", 7, 19)
		dx, dw, db := ref.LinearBackward64(rw, xw, ww, 7, 12, 19)
		wants := []want{{x, dx}, {w, stored(conv, dw, 19, 12)}}
		var bn *gorgonia.Node
		var bw []float64
		if bias {
			bn, bw = b.floats("bias", 19)
			wants = append(wants, want{bn, db})
		}
		y := must(op.Linear(x, op.Weight{Node: w, Conv1D: conv}, bn))
		b.gradients(y, ref.Linear64(xw, ww, bw, 7, 12, 19), r, wants...)
	}
}

// weight makes a leaf of a linear layer's weight; the values come back as [out, in].
func (b *bench) weight(name string, conv bool, out, in int) (*gorgonia.Node, []float64) {
	if !conv {
		return b.floats(name, out, in)
	}
	n, w := b.floats(name, in, out)
	return n, ref.Transposed64(w, in, out)
}

// stored brings [out, in] into the order in which the weight lies.
func stored(conv bool, w []float64, out, in int) []float64 {
	if conv {
		return ref.Transposed64(w, out, in)
	}
	return w
}

func TestLoRALinear(t *testing.T) {
	for flags := range 8 {
		p, bias, conv := float64(flags&1)/2, flags&2 != 0, flags&4 != 0
		b := newBench(t)
		l := &ref.LoRA64{N: 7, In: 12, Out: 19, Rank: 4, Scale: 2}
		var x, w, a, bm, bn *gorgonia.Node
		x, l.X = b.floats("x", l.N, l.In)
		w, l.W = b.weight("w", conv, l.Out, l.In)
		a, l.A = b.floats("a", l.Rank, l.In)
		bm, l.B = b.floats("b", l.Out, l.Rank)
		if bias {
			bn, l.Bias = b.floats("bias", l.Out)
		}
		r, rw := b.floats("r", l.N, l.Out)
		var drop *op.Dropout
		if p > 0 {
			drop = &op.Dropout{P: p, Key: b.ints("key", 11, -7), Stream: 3}
			l.Mask = op.DropoutMask(drop, [2]int32{11, -7}, l.N*l.In)
		}
		y := must(op.LoRALinear(x, op.Weight{Node: w, Conv1D: conv}, bn, a, bm, l.Scale, drop))
		dx, dw, da, db, dbias := ref.LoRALinearBackward64(l, rw)
		wants := []want{{x, dx}, {w, stored(conv, dw, l.Out, l.In)}, {a, da}, {bm, db}}
		if bias {
			wants = append(wants, want{bn, dbias})
		}
		b.gradients(y, ref.LoRALinear64(l), r, wants...)
	}
}

func TestDropoutMask(t *testing.T) {
	d := &op.Dropout{P: 0.25, Stream: 1}
	mask := op.DropoutMask(d, [2]int32{1, 2}, 4000)
	zeros := 0
	for _, m := range mask {
		if m == 0 {
			zeros++
		} else if math.Abs(m-1/0.75) > 1e-6 {
			t.Fatalf("a mask value is %g", m)
		}
	}
	// The standard deviation of the count is √(4000·0.25·0.75) = 27.
	if zeros < 890 || zeros > 1110 {
		t.Errorf("%d of 4000 elements dropped at p = 0.25", zeros)
	}
	same := func(other []float64) bool {
		for i := range mask {
			if mask[i] != other[i] {
				return false
			}
		}
		return true
	}
	if !same(op.DropoutMask(d, [2]int32{1, 2}, 4000)) {
		t.Error("the mask is not a function of the key")
	}
	if same(op.DropoutMask(d, [2]int32{1, 3}, 4000)) || same(op.DropoutMask(&op.Dropout{P: 0.25, Stream: 2}, [2]int32{1, 2}, 4000)) {
		t.Error("another key or stream gives the same mask")
	}
}

func TestRoPE(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 5, 32)
	r, rw := b.floats("r", 5, 32)
	positions := []int32{0, 1, 2, 77, 1023}
	table := must(op.NewRoPETable(1024, 16, 1, frequencies(16, 10000)))
	y := must(op.RoPE(x, b.ints("positions", positions...), table))
	b.gradients(y, ref.RoPE64(xw, positions, 2, 16, 10000, false), r,
		want{x, ref.RoPE64(rw, positions, 2, 16, 10000, true)})
}

// frequencies are those of d elements: base^(−2i/d).
func frequencies(d int, base float64) (f []float64) {
	for i := range d / 2 {
		f = append(f, math.Pow(base, -2*float64(i)/float64(d)))
	}
	return f
}

// A part of each head is turned, by frequencies of one of two sets for each token, and
// grows by a factor.
func TestRoPEPart(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 4, 20)
	r, rw := b.floats("r", 4, 20)
	positions, sets := []int32{0, 3, 90, 90}, []int32{1, 0, 0, 1}
	rows := make([]int32, 4)
	for i := range rows {
		rows[i] = 2*positions[i] + sets[i]
	}
	turn := func(x []float64, inverse bool) []float64 {
		y := make([]float64, len(x))
		for h := 0; h < len(x); h += 10 { // 6 of 10 elements
			base := []float64{100, 5000}[sets[h/20]]
			for i, v := range ref.RoPE64(x[h:h+6], positions[h/20:h/20+1], 1, 6, base, inverse) {
				y[h+i] = 1.5 * v
			}
			copy(y[h+6:], x[h+6:h+10])
		}
		return y
	}
	table := must(op.NewRoPETable(100, 10, 1.5, frequencies(6, 100), frequencies(6, 5000)))
	y := must(op.RoPE(x, b.ints("positions", rows...), table))
	b.gradients(y, turn(xw, false), r, want{x, turn(rw, true)})
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

// With a window a token reaches no further back than it allows, and a cap bounds scores.
func TestAttention(t *testing.T) {
	for flags := range 4 {
		window, limit := 3*(flags&1), float64(flags>>1)
		b := newBench(t)
		s := ref.Attention64Shape{B: 2, T: 9, Heads: 4, KVHeads: 2, HeadDim: 8, Cap: limit}
		n, c, kv := 18, 32, 16
		q, qw := b.floats("q", n, c)
		k, kw := b.floats("k", n, kv)
		v, vw := b.floats("v", n, kv)
		r, rw := b.floats("r", n, c)
		// The first row holds three segments, the last of which is padding.
		positions := []int32{0, 1, 2, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
		reach := slices.Clone(positions)
		for i := range reach {
			if window > 0 {
				reach[i] = min(reach[i], int32(window-1))
			}
		}
		dq, dk, dv := ref.AttentionBackward64(rw, qw, kw, vw, reach, s, 0.25)
		y := must(op.Attention(q, k, v, b.ints("positions", positions...),
			kernel.AttentionShape{B: 2, T: 9, Heads: 4, KVHeads: 2, HeadDim: 8, Scale: 0.25, Window: window, Cap: float32(limit)}, kernel.FP32))
		b.gradients(y, ref.Attention64(qw, kw, vw, reach, s, 0.25), r, want{q, dq}, want{k, dk}, want{v, dv})
	}
}

// TestAttentionBF16 holds the operator against the kernels that it calls, for every set of
// gradients that may be asked for.
func TestAttentionBF16(t *testing.T) {
	s := kernel.AttentionShape{B: 2, T: 9, Heads: 4, KVHeads: 2, HeadDim: 8, Scale: 0.25}
	n, c, kv := 18, 32, 16
	b := newBench(t)
	q, _ := b.floats("q", n, c)
	k, _ := b.floats("k", n, kv)
	v, _ := b.floats("v", n, kv)
	r, _ := b.floats("r", n, c)
	positions := []int32{0, 1, 2, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	y := must(op.Attention(q, k, v, b.ints("positions", positions...), s, kernel.BF16))
	cost := must(op.Dot(y, r))
	grads := must(op.Grad(cost, q, k, v))

	data := func(n *gorgonia.Node) []float32 { return n.Value().Data().([]float32) }
	o, lse, rounded := make([]float32, n*c), make([]float32, n*s.Heads), make([]float32, kernel.AttentionRounded(s))
	kernel.AttentionBF16(nil, o, lse, rounded, data(q), data(k), data(v), positions, s)
	wants := [][]float32{make([]float32, n*c), make([]float32, n*kv), make([]float32, n*kv)}
	kernel.AttentionBackwardBF16(nil, wants[0], wants[1], wants[2], data(r), lse, rounded, positions, s)
	for _, which := range [][]int{{}, {0, 1, 2}, {0}, {1}, {2}} {
		config := exec.Config{Outputs: []*gorgonia.Node{y}, Poison: true}
		for _, i := range which {
			config.Gradients = append(config.Gradients, exec.Gradient{Node: grads[i], Into: make([]float32, len(wants[i]))})
		}
		p := must(exec.NewArena(nil).Compile(b.g, config))
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(p.Value(y), o) {
			t.Fatalf("gradients %v: the result is not that of the kernel", which)
		}
		for i, w := range which {
			if !slices.Equal(config.Gradients[i].Into, wants[w]) {
				t.Fatalf("gradients %v: that of %s is not that of the kernel", which, []string{"q", "k", "v"}[w])
			}
		}
	}
}

func TestSwiGLU(t *testing.T) {
	b := newBench(t)
	gate, gw := b.floats("gate", 3, 21)
	up, uw := b.floats("up", 3, 21)
	r, rw := b.floats("r", 3, 21)
	dg, du := ref.SwiGLUBackward64(rw, gw, uw)
	y := must(op.SwiGLU(gate, up))
	b.gradients(y, ref.SwiGLU64(gw, uw), r, want{gate, dg}, want{up, du})
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

// The second size needs several chunks of rows.
func TestCrossEntropy(t *testing.T) {
	for _, n := range []int{23, 1100} {
		b := newBench(t)
		c, v := 8, 50
		h, hw := b.floats("hidden", n, c)
		w, ww := b.floats("weight", v, c)
		targets, weights := make([]int32, n), make([]float32, n)
		for i := range targets {
			targets[i] = int32(b.rand.IntN(v))
			weights[i] = []float32{1, 1, 0.25, 3}[i%4]
			if i%3 == 0 && i < 500 {
				targets[i] = -100
			}
		}
		loss, nll, hit, err := op.CrossEntropy(h, op.Leaf(w), b.ints("targets", targets...), b.vector("weights", weights...), b.scalar("scale", 0.125))
		if err != nil {
			t.Fatal(err)
		}
		lossWant, nllWant, hitWant, dh, dw := ref.CrossEntropy64(hw, ww, targets, weights, 0.125, c)
		b.check(loss, []*gorgonia.Node{loss, nll, hit}, [][]float64{{lossWant}, nllWant, hitWant},
			[]*gorgonia.Node{h, w}, []want{{h, dh}, {w, dw}})
	}
}

func TestCrossEntropyWithoutTargets(t *testing.T) {
	b := newBench(t)
	h, _ := b.floats("hidden", 3, 4)
	w, _ := b.floats("weight", 5, 4)
	loss, nll, hit, err := op.CrossEntropy(h, op.Leaf(w), b.ints("targets", -100, -100, -100), b.vector("weights", 1, 1, 1), b.scalar("scale", 1))
	if err != nil {
		t.Fatal(err)
	}
	b.check(loss, []*gorgonia.Node{loss, nll, hit}, [][]float64{{0}, {0, 0, 0}, {0, 0, 0}},
		[]*gorgonia.Node{h, w}, []want{{h, make([]float64, 12)}, {w, make([]float64, 20)}})
}

// TestCrossEntropyScaled: something is computed from the loss, so that its
// gradient is not 1.
func TestCrossEntropyScaled(t *testing.T) {
	b := newBench(t)
	h, hw := b.floats("hidden", 4, 3)
	w, ww := b.floats("weight", 6, 3)
	targets := []int32{5, -100, 0, 2}
	loss, _, _, err := op.CrossEntropy(h, op.Leaf(w), b.ints("targets", targets...), b.vector("weights", 1, 1, 2, 1), b.scalar("scale", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, dh, dw := ref.CrossEntropy64(hw, ww, targets, []float32{1, 1, 2, 1}, 1.5, 3)
	b.check(must(op.Triple(loss)), nil, nil, []*gorgonia.Node{h, w}, []want{{h, dh}, {w, dw}})
}

func TestRows(t *testing.T) {
	b := newBench(t)
	x, xw := b.floats("x", 5, 3)
	y := must(op.Rows(x, b.ints("index", 3, -1, 0)))
	r, rw := b.floats("r", 3, 3)
	y0 := []float64{xw[9], xw[10], xw[11], 0, 0, 0, xw[0], xw[1], xw[2]}
	dx := make([]float64, 15)
	copy(dx[9:12], rw[0:3])
	copy(dx[0:3], rw[6:9])
	b.gradients(y, y0, r, want{x, dx})
}

func TestRowsOutside(t *testing.T) {
	b := newBench(t)
	x, _ := b.floats("x", 5, 3)
	p := must(exec.NewArena(nil).Compile(b.g, exec.Config{Outputs: []*gorgonia.Node{must(op.Rows(x, b.ints("index", 5)))}}))
	if err := p.Run(); err == nil || err.Error() != "rows: row 5 at position 0 is outside 0…4 and is not -1" {
		t.Error(err)
	}
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
