package model_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gotune/internal/modeltest"
	"gotune/model"
)

// ropeCase is a way to scale rotary embeddings, what transformers makes of it for heads
// of 8 elements and 128 positions, and the logits of the model "tied" with it.
type ropeCase struct {
	Name        string
	Scaling     map[string]any
	Theta       float64
	Factor      float64
	Frequencies [][]float64
	Texts       []struct {
		Prompt []int32
		Logits []float32
	}
}

// Every kind of scaling, in the spellings of transformers 4 and 5.
func TestRopeScaling(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "rope.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []ropeCase
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join("testdata", "tied", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			fifth := map[string]any{"rope_theta": c.Theta}
			for key, value := range c.Scaling {
				fifth[key] = value
			}
			m := ropeModel(t, weights, map[string]any{"rope_parameters": nil, "rope_scaling": c.Scaling, "rope_theta": c.Theta})
			again := ropeModel(t, weights, map[string]any{"rope_parameters": fifth})
			if diff := cmp.Diff(m.Config, again.Config); diff != "" {
				t.Errorf("difference (- transformers 4, + 5):\n%s", diff)
			}
			sets, factor := m.Config.Rope.Frequencies(8, 128)
			modeltest.NearOne(t, "factor", factor, c.Factor, 1e-12)
			for i, want := range c.Frequencies {
				for j, w := range want {
					modeltest.NearOne(t, "frequency", sets[i][j], w, 2e-6) // differences of float32 there
				}
			}
			if len(sets) != len(c.Frequencies) {
				t.Errorf("%d sets of frequencies, want %d", len(sets), len(c.Frequencies))
			}
			for _, text := range c.Texts {
				got, err := model.NewGenerator(m, nil, nil).Logits(t.Context(), text.Prompt)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("logits differ by %.2g of the largest", modeltest.Near(t, "logits", got, text.Logits, 2e-6))
			}
		})
	}
}

// ropeModel is the model "tied" with other keys.
func ropeModel(t *testing.T, weights []byte, change map[string]any) *model.Model {
	t.Helper()
	m, err := model.Load(t.Context(), fstest.MapFS{
		"config.json": {Data: changed(t, change)}, "model.safetensors": {Data: weights},
	}, "scaled")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Without scaling, and with a factor of 1 or at the edges, frequencies are the plain ones.
func TestRopePlain(t *testing.T) {
	plain, _ := model.Rope{Theta: 100}.Frequencies(8, 64)
	for i, f := range plain[0] {
		modeltest.NearOne(t, "frequency", f, math.Pow(100, -float64(i)/4), 1e-15)
	}
	for _, r := range []model.Rope{
		{Theta: 100, Kind: "dynamic", Factor: 8}, // no text is longer than the model's positions
		{Theta: 100, Kind: "linear", Factor: 1},
		{Theta: 100, Kind: "yarn", Factor: 1, OriginalPositions: 64},
		{Theta: 100, Kind: "llama3", Factor: 8, LowFrequency: 1e-9, HighFrequency: 1e-8, OriginalPositions: 64},
	} {
		if got, factor := r.Frequencies(8, 64); factor != 1 || !slices.Equal(got[0], plain[0]) {
			t.Errorf("%s: %v times %g, want %v", r.Kind, got, factor, plain)
		}
	}
}

// A text's loss does not depend on what is in the batch with it, though long texts are
// turned by other frequencies than short ones.
func TestLongRopeByText(t *testing.T) {
	m := golden(t, "phi3-longrope") // long is more than 7 tokens
	run := func(rows, length int, texts ...[]int32) []float32 {
		p, err := m.Program(nil, model.ProgramOptions{Rows: rows, Length: length})
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Targets {
			p.Targets[i] = -100
		}
		var at, filled int
		for _, text := range texts {
			if rows > 1 {
				at = filled * length
				filled++
			}
			for i, id := range text {
				p.IDs[at], p.Positions[at] = id, int32(i)
				if i+1 < len(text) {
					p.Targets[at] = text[i+1]
				}
				at++
			}
		}
		p.Scale[0] = 1
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.NLL()
	}
	short, long := []int32{3, 1, 4, 1, 5, 9, 2}, []int32{2, 7, 1, 8, 2, 8, 1, 8, 2, 8}
	s, l := run(1, 7, short), run(1, 10, long)
	packed, rows := run(1, 20, short, long), run(2, 12, short, long)
	for name, got := range map[string][]float32{"packed": packed[:7], "in a row": rows[:7]} {
		if !slices.Equal(got, s) {
			t.Errorf("the short text %s: %v, alone %v", name, got, s)
		}
	}
	for name, got := range map[string][]float32{"packed": packed[7:17], "in a row": rows[12:22]} {
		if !slices.Equal(got, l) {
			t.Errorf("the long text %s: %v, alone %v", name, got, l)
		}
	}
	if got := run(1, 8, append(slices.Clone(short), 6)); slices.Equal(got[:6], s[:6]) {
		t.Error("an eighth token changes nothing of a text of 7")
	}
}

// A generator that goes back from a long text to a short one, and on again, computes what
// a new one does.
func TestLongRopeGenerates(t *testing.T) {
	m := golden(t, "phi3-longrope")
	g := model.NewGenerator(m, nil, nil)
	text := modeltest.Read(t, filepath.Join("testdata", "phi3-longrope")).Full.Greedy[0]
	whole := slices.Concat(text.Prompt, text.IDs)
	for _, n := range []int{5, 30, 6, 7, 8, 5, 9} {
		got, err := g.Generate(t.Context(), whole[:n], model.Sampling{Greedy: true, MaxNewTokens: 6}, nil)
		if want := whole[n : n+6]; err != nil || !slices.Equal(got, want) {
			t.Errorf("after %d tokens: %v (%v), want %v", n, got, err, want)
		}
	}
}
