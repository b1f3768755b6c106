package exec_test

import (
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"gotune/internal/exec"
	"gotune/internal/op"
)

// TestGeneration: tokens fed one by one, or in pieces, through a cache give the
// bits that the whole sequence gives: no row of a result depends on other rows.
func TestGeneration(t *testing.T) {
	s := tiny
	s.rows, s.length = 1, 12
	ids := make([]int32, s.length)
	for i := range ids {
		ids[i] = int32(i * 7 % s.v)
	}
	m := build(s, false) // for its weights
	forward := func(length int, caches []*op.KVCache) (*exec.Program, *llama, *gorgonia.Node) {
		part := s
		part.length = length
		g := &llama{shape: part, g: gorgonia.NewGraph(), rand: m.rand, weights: make(map[string]*gorgonia.Node)}
		g.ids, g.positions = g.ints("ids", make([]int32, length)), g.ints("positions", make([]int32, length))
		g.key = g.ints("key", []int32{1, 2})
		for name, n := range m.weights {
			g.weights[name] = g.floats(name, n.Value().Data().([]float32), n.Shape()...)
		}
		h := g.model(caches)
		return must(exec.NewArena(nil).Compile(g.g, exec.Config{Outputs: []*gorgonia.Node{h}, Poison: true})), g, h
	}
	run := func(p *exec.Program, g *llama, h *gorgonia.Node, from int) []float32 {
		at, positions := g.ids.Value().Data().([]int32), g.positions.Value().Data().([]int32)
		for i := range at {
			at[i], positions[i] = ids[from+i], int32(from+i)
		}
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return append([]float32(nil), p.Value(h)...)
	}
	p, g, h := forward(s.length, nil)
	want := run(p, g, h, 0)

	caches := make([]*op.KVCache, s.layers)
	for l := range caches {
		caches[l] = op.NewKVCache(s.length, s.kv*s.d)
	}
	prefill, pg, ph := forward(5, caches)
	step, sg, sh := forward(1, caches)
	got := run(prefill, pg, ph, 0)
	for at := 5; at < s.length; at++ {
		got = append(got, run(step, sg, sh, at)...)
	}
	result{want}.same(t, result{got})

	sg.positions.Value().Data().([]int32)[0] = int32(s.length)
	if err := step.Run(); err == nil || !strings.Contains(err.Error(), "do not fit into a cache of 12") {
		t.Errorf("a full cache gives %v", err)
	}
}
