package model_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/exec"
	"gotune/internal/kernel"
	"gotune/internal/modeltest"
	"gotune/model"
)

// result is what a run leaves behind.
type result struct {
	loss  float32
	nll   []float32
	grads map[string][]float32
}

// train runs a program after write has filled its inputs; gradients start at 0.
func train(t testing.TB, p *model.Program, params []model.Parameter, write ...func(*model.Inputs)) result {
	t.Helper()
	for _, q := range params {
		clear(q.Grad)
	}
	var r result
	for _, w := range write {
		w(p.Inputs)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		r.loss += p.Loss()
		r.nll = append(r.nll, p.NLL()...)
	}
	r.grads = make(map[string][]float32)
	for _, q := range params {
		r.grads[q.Name] = slices.Clone(q.Grad)
	}
	return r
}

// segments writes texts one after the other into rows of a length, so that each
// row holds whole texts, the rest padding; every token but a text's first is a
// target. The loss is a tenth of the sum.
func segments(length int, rows ...[][]int32) func(*model.Inputs) {
	return func(in *model.Inputs) {
		clear(in.IDs)
		clear(in.Positions)
		for i := range in.Targets {
			in.Targets[i] = -100
		}
		for r, texts := range rows {
			at := r * length
			for _, text := range texts {
				for i, id := range text {
					in.IDs[at], in.Positions[at] = id, int32(i)
					if i+1 < len(text) {
						in.Targets[at] = text[i+1]
					}
					at++
				}
			}
		}
		in.Scale[0] = 0.1
	}
}

var texts = [][]int32{
	{7, 3, 55, 12, 9, 41, 41, 2, 18}, {60, 1, 33, 8, 22, 15}, {5, 29, 44}, {17, 50, 6, 38, 11, 27, 4, 19}, {2, 31}, {9, 13, 21, 30, 58, 47, 26},
}

// The same six texts as rows of their own, two to a micro-batch with gradients
// summed, and packed three to a row: sums of the same numbers in another order.
func TestPackedEqualsPaddedEqualsAccumulated(t *testing.T) {
	for _, name := range modeltest.Folders {
		m := golden(t, name)
		alone := func(from, to int) (rows [][][]int32) {
			for _, text := range texts[from:to] {
				rows = append(rows, [][]int32{text})
			}
			return rows
		}
		p, params := compile(t, m, len(texts), 10, false)
		padded := train(t, p, params, segments(10, alone(0, 6)...))

		p, params = compile(t, m, 2, 10, false)
		accumulated := train(t, p, params, segments(10, alone(0, 2)...), segments(10, alone(2, 4)...), segments(10, alone(4, 6)...))

		p, params = compile(t, m, 2, 20, false)
		packed := train(t, p, params, segments(20, texts[:3], texts[3:]))

		// A token's nll has the same bits wherever its text stands: each element
		// of a product is one chain of sums, and attention sees its segment only.
		var got []float32
		for r, row := range [][][]int32{texts[:3], texts[3:]} {
			at := r * 20
			for _, text := range row {
				got = append(got, packed.nll[at:at+len(text)]...)
				at += len(text)
			}
		}
		var want []float32
		for r, text := range texts {
			want = append(want, padded.nll[r*10:r*10+len(text)]...)
		}
		if !slices.Equal(got, want) || !slices.Equal(accumulated.nll, padded.nll) {
			t.Errorf("%s: packed texts have nll %v, accumulated %v, apart %v", name, got, accumulated.nll, want)
		}
		for kind, r := range map[string]result{"packed": packed, "accumulated": accumulated} {
			modeltest.NearOne(t, name+": loss "+kind, float64(r.loss), float64(padded.loss), 1e-6)
			for weight, w := range padded.grads {
				modeltest.Near(t, name+": "+kind+" gradient of "+weight, r.grads[weight], w, 5e-6)
			}
		}
	}
}

// So has the nll of a text that is longer than a block of the attention kernel
// and does not begin at one.
func TestLongTextPacked(t *testing.T) {
	m := golden(t, "untied")
	long := make([]int32, 110)
	for i := range long {
		long[i] = int32(i*i*7+i) % 61
	}
	p, params := compile(t, m, 1, 110, false)
	alone := train(t, p, params, segments(110, [][]int32{long}))
	p, params = compile(t, m, 1, 128, false)
	packed := train(t, p, params, segments(128, [][]int32{texts[0], texts[1], long}))
	if at := len(texts[0]) + len(texts[1]); !slices.Equal(packed.nll[at:at+110], alone.nll) {
		t.Error("nll of a long text changes with its place in a row")
	}
}

// What stands in another segment of a row, or after the end of a text, changes
// nothing.
func TestSegmentsDoNotSeeEachOther(t *testing.T) {
	m := golden(t, "untied")
	p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: 20})
	if err != nil {
		t.Fatal(err)
	}
	first := train(t, p, nil, segments(20, [][]int32{texts[0], texts[1]})).nll
	other := train(t, p, nil, segments(20, [][]int32{texts[3][:8], {1}, texts[1], {3, 3, 3}})).nll
	if at, n := len(texts[0]), len(texts[1]); !slices.Equal(first[at:at+n], other[at:at+n]) {
		t.Errorf("nll of a text changes with its neighbours: %v and %v", first[at:at+n], other[at:at+n])
	}
}

// Blocks computed again, and two threads, change no bit.
func TestSameBits(t *testing.T) {
	team := kernel.NewTeam(2)
	defer team.Close()
	for _, name := range modeltest.Folders {
		m := golden(t, name)
		batch := modeltest.Read(t, filepath.Join("testdata", name)).Batches[0]
		rows, length := batch.Shape()
		p, params := compile(t, m, rows, length, false)
		want := train(t, p, params, batch.Write)
		for _, c := range []struct {
			team      *kernel.Team
			recompute bool
		}{{nil, true}, {team, false}, {team, true}} {
			params := m.Parameters()
			p, err := m.Program(exec.NewArena(c.team), model.ProgramOptions{Rows: rows, Length: length, Parameters: params, Recompute: blocks(c.recompute)})
			if err != nil {
				t.Fatal(err)
			}
			got := train(t, p, params, batch.Write)
			what := fmt.Sprintf("%s, %d threads, recompute %v", name, c.team.Threads(), c.recompute)
			if got.loss != want.loss || !slices.Equal(got.nll, want.nll) {
				t.Errorf("%s: another loss", what)
			}
			for weight, g := range want.grads {
				if !slices.Equal(got.grads[weight], g) {
					t.Errorf("%s: another gradient of %s", what, weight)
				}
			}
		}
	}
}

// Recomputing blocks is done to save memory.
func TestRecomputeNeedsLess(t *testing.T) {
	m := golden(t, "tied")
	kept, _ := compile(t, m, 4, 64, false)
	again, _ := compile(t, m, 4, 64, true)
	if again.PlannedBytes() >= kept.PlannedBytes() {
		t.Errorf("%d bytes with blocks computed again, %d without", again.PlannedBytes(), kept.PlannedBytes())
	}
}

// Only rows with a target reach the head: losses have the same bits, gradients too,
// since what is left out of their sums are products with 0. Weights of targets go
// along, and the number of targets may fall short of what the program was made for.
func TestOnlyTargetsReachTheHead(t *testing.T) {
	for _, name := range modeltest.Folders {
		m := golden(t, name)
		params := m.Parameters()
		write := func(in *model.Inputs) {
			segments(12, texts[:1], texts[1:3])(in)
			for i := range 12 {
				in.Targets[i/2*3%24] = -100
				in.Weights[2*i] = 0.5
			}
		}
		var want result
		for _, targets := range []int{0, 11, 20} {
			for _, recompute := range []bool{false, true} {
				p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 2, Length: 12, Targets: targets, Parameters: params, Recompute: blocks(recompute)})
				if err != nil {
					t.Fatal(err)
				}
				got := train(t, p, params, write)
				if want.grads == nil {
					want = got
				}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
					t.Errorf("%s, %d targets, recompute %t: -want +got:\n%s", name, targets, recompute, diff)
				}
			}
		}
	}
	p, err := golden(t, "tied").Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: 12, Targets: 3})
	if err != nil {
		t.Fatal(err)
	}
	segments(12, texts[:1])(p.Inputs)
	wants(t, p.Run(), "3 targets", "given 8")
}

// Nothing is computed backwards, nor kept, for layers below the first trained one,
// and nothing towards weights that are not trained.
func TestWorkNotDone(t *testing.T) {
	m := golden(t, "tied")
	last := m.Config.Layers - 1
	some := slices.DeleteFunc(m.Parameters(), func(p model.Parameter) bool {
		return !strings.HasPrefix(p.Name, fmt.Sprintf("model.layers.%d.self_attn.o_proj", last))
	})
	calls := func(params []model.Parameter) map[string]int64 {
		p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 2, Length: 12, Parameters: params})
		if err != nil {
			t.Fatal(err)
		}
		p.Exec().SetProfiling(true)
		train(t, p, params, segments(12, texts[:1], texts[1:3]))
		calls := make(map[string]int64)
		for _, u := range p.Exec().Profile() {
			calls[u.Name] = u.Calls
		}
		return calls
	}
	got := calls(some)
	want := calls(nil)
	// Towards the norms before the head and the feed-forward, through gate, up and
	// down, and from o_proj towards its weight alone.
	maps.Copy(want, map[string]int64{"rmsnorm backward": 2, "swiglu backward": 1, "linear backward": 4})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Hit is 1 where the target is the token that greedy generation takes.
func TestHit(t *testing.T) {
	m := golden(t, "untied")
	text := modeltest.Read(t, filepath.Join("testdata", "untied")).Full.Greedy[0]
	ids := slices.Concat(text.Prompt, text.IDs)
	p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: len(ids)})
	if err != nil {
		t.Fatal(err)
	}
	write := segments(len(ids), [][]int32{ids})
	train(t, p, nil, write)
	for i := len(text.Prompt) - 1; i < len(ids)-1; i++ {
		if p.Hit()[i] != 1 {
			t.Errorf("token %d is not the most likely one in the forward pass without a cache", i+1)
		}
	}
	// Any other target is a miss.
	train(t, p, nil, func(in *model.Inputs) {
		write(in)
		for i, target := range in.Targets {
			if target >= 0 {
				in.Targets[i] = (target + 1) % 61
			}
		}
	})
	for i := len(text.Prompt) - 1; i < len(ids); i++ {
		if p.Hit()[i] != 0 {
			t.Errorf("token %d hits a target that is not the most likely", i+1)
		}
	}
}

func TestProgramErrors(t *testing.T) {
	m := golden(t, "tied")
	for _, c := range []struct {
		o     model.ProgramOptions
		parts []string
	}{
		{model.ProgramOptions{Rows: 1, Length: 129}, []string{"129", "128", "max_position_embeddings"}},
		{model.ProgramOptions{Rows: 0, Length: 4}, []string{"at least 1"}},
		{model.ProgramOptions{Rows: 1, Length: -1}, []string{"at least 1"}},
		{model.ProgramOptions{Rows: 1, Length: 4, Parameters: []model.Parameter{{Name: "model.extra"}}}, []string{"model.extra", "not part"}},
	} {
		_, err := m.Program(exec.NewArena(nil), c.o)
		wants(t, err, append(c.parts, "compiling the model")...)
	}
	p, err := m.Program(exec.NewArena(nil), model.ProgramOptions{Rows: 1, Length: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []int32{-1, 61} {
		p.IDs[2] = wrong
		wants(t, p.Run(), strconv.Itoa(int(wrong)))
		p.IDs[2] = 0
		p.Targets[1] = wrong
		wants(t, p.Run(), strconv.Itoa(int(wrong)))
		p.Targets[1] = -100
	}
}

// A training run allocates nothing.
func TestRunDoesNotAllocate(t *testing.T) {
	p, _ := compile(t, golden(t, "untied"), 2, 10, true)
	segments(10, texts[:1], texts[1:2])(p.Inputs)
	if n := testing.AllocsPerRun(10, func() {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a run allocates %g times", n)
	}
}
