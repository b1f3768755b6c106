package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/data"
	"gotune/model"
	"gotune/tokenizer"
)

// addObjective makes an objective known for the time of a test.
func addObjective(t *testing.T, o Objective) {
	t.Helper()
	if err := AddObjective(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		objectives.Lock()
		defer objectives.Unlock()
		objectives.list = slices.DeleteFunc(objectives.list, func(known Objective) bool { return known.Name == o.Name })
	})
}

// rising learns the last three tokens of a row, the last most.
var rising = Objective{Name: "rising", Weigh: func(x data.Example) []float32 {
	w := make([]float32, len(x.IDs))
	n := len(w)
	w[n-3], w[n-2], w[n-1] = 0.5, 1, 4
	return w
}}

// The loss of a step is Σ weight·nll / Σ weight over all its rows, with the nll of
// every token worked out apart, and is the same in micro-batches, packed and
// streamed.
func TestObjectiveWeighsTheLoss(t *testing.T) {
	addObjective(t, rising)
	r := tinyRecipe(t)
	r.Objective, r.MaxSteps, r.BatchSize, r.Shuffle = rising.Name, 1, 30, false

	src := os.DirFS(r.Model)
	m, err := model.Load(context.Background(), src, r.Model)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(src, r.Model)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.Open(context.Background(), data.Config{
		Corpora:       []data.Corpus{{Path: r.Data[0].Path, LearnPrompt: true}},
		EncoderConfig: data.EncoderConfig{Tokenizer: tok, MaxLength: 64},
	})
	if err != nil {
		t.Fatal(err)
	}
	var sum, weights float64
	err = NewEvaluator(m, nil, model.NewArena(nil)).Each(context.Background(), d, func(s RowScore) error {
		n := len(s.NLL)
		sum += 0.5*float64(s.NLL[n-3]) + float64(s.NLL[n-2]) + 4*float64(s.NLL[n-1])
		weights += 5.5
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Recipe){
		"one batch":     func(*Recipe) {},
		"micro-batches": func(r *Recipe) { r.BatchSize, r.GradientAccumulationSteps = 8, 4 },
		"packed":        func(r *Recipe) { r.Packing = true },
		"streamed":      func(r *Recipe) { r.Streaming = true },
	} {
		r := r
		change(&r)
		_, s := runRecipe(t, r)
		if got, want := s.steps[0].Loss, sum/weights; math.Abs(got-want) > 1e-5*want {
			t.Errorf("%s: loss %.7f, want %.7f", name, got, want)
		}
		if s.steps[0].TargetTokens != 3*d.Len() {
			t.Errorf("%s: %d targets in %d rows", name, s.steps[0].TargetTokens, d.Len())
		}
	}
}

// A run of an added objective goes on to the same bytes; where the objective is
// not known it says so, and where it weighs otherwise a stream notices.
func TestObjectiveResumes(t *testing.T) {
	addObjective(t, rising)
	r := tinyRecipe(t)
	r.Objective, r.Streaming, r.ShuffleBuffer, r.Packing, r.SaveSteps = rising.Name, true, 10, true, 0
	whole, _ := runRecipe(t, r)
	stopped := stopAt(t, r, 3)
	if _, err := Resume(context.Background(), stopped, 0, nil); err != nil {
		t.Fatal(err)
	}
	sameTensors(t, "resumed", filepath.Join(whole, adapterName), filepath.Join(stopped, adapterName))

	stopped = stopAt(t, r, 3)
	weigh := objectives.list[len(objectives.list)-1].Weigh
	objectives.list[len(objectives.list)-1].Weigh = func(x data.Example) []float32 {
		w := weigh(x)
		w[len(w)-1] = 2
		return w
	}
	if _, err := Resume(context.Background(), stopped, 0, nil); err == nil || !strings.Contains(err.Error(), "no longer the same") {
		t.Errorf("other weights: error %v", err)
	}
	objectives.list[len(objectives.list)-1].Name = "another"
	defer func() { objectives.list[len(objectives.list)-1].Name = rising.Name }()
	_, err := Resume(context.Background(), stopped, 0, nil)
	if err == nil || !strings.Contains(err.Error(), `objective is "rising", which is not supported (supported: another, cpt, sft)`) {
		t.Errorf("an unknown objective: error %v", err)
	}
}

func TestAddObjective(t *testing.T) {
	for want, o := range map[string]Objective{
		"needs a name":                  {},
		`objective named "sft" already`: {Name: "sft"},
	} {
		if err := AddObjective(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
