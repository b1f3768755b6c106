package train

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotune/internal/hf"
	"gotune/model"
	"gotune/optim"
)

// weights reads the adapter that a run ends with.
func weights(t *testing.T, path string) map[string]hf.Tensor {
	t.Helper()
	all, err := hf.ReadFS(os.DirFS(path), "adapter_model.safetensors", path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A run with ema_decay takes the steps that it would take without, and ends with the average
// of the states after them, which checkpoints of every step show.
func TestRunEndsWithItsAverage(t *testing.T) {
	r := tinyRecipe(t)
	r.EvalData, r.SaveSteps, r.SaveTotalLimit = r.Data, 1, 100
	plain, steps := runRecipe(t, r)
	r.EMADecay = 0.6
	averaged, same := runRecipe(t, r)
	for i, e := range steps.steps {
		if same.steps[i].Loss != e.Loss {
			t.Fatalf("step %d has a loss of %v with an average and %v without", i+1, same.steps[i].Loss, e.Loss)
		}
	}
	var params []optim.Parameter
	var e *optim.EMA
	for step := 1; step <= r.MaxSteps; step++ {
		f := folder{path: plain}
		state := weights(t, f.checkpoint(step))
		if e == nil {
			for name, x := range state {
				params = append(params, optim.Parameter{Name: name, Shape: x.Shape, Value: slices.Clone(x.Data), Grad: make([]float32, len(x.Data))})
			}
			var err error
			if e, err = optim.NewEMA(nil, params, r.EMADecay); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range params {
			copy(p.Value, state[p.Name].Data)
		}
		e.Update()
	}
	result := weights(t, filepath.Join(averaged, adapterName))
	for _, x := range e.State().Tensors {
		if !slices.Equal(result[x.Name].Data, x.Data) {
			t.Errorf("%s of the result is not the average", x.Name)
		}
	}
	last := func(s *silent) float64 { return *s.evals[len(s.evals)-1].Loss }
	if last(same) == last(steps) {
		t.Error("the last evaluation is not of the average")
	}
	// What is evaluated is what is saved: a run of nothing from there has its loss.
	again := tinyRecipe(t)
	again.Model, again.Data, again.EvalData, again.Adapter = r.Model, r.Data, r.Data, filepath.Join(averaged, adapterName)
	again.MaxSteps, again.LearningRate = 1, 0
	_, s := runRecipe(t, again)
	if before := *s.evals[0].Loss; before != last(same) {
		t.Errorf("the saved average has a loss of %v, the evaluated one %v", before, last(same))
	}
}

// The best state is an average as well, and the next stage begins with the average.
func TestAveragesInStages(t *testing.T) {
	r := staged(t, `
ema_decay: 0.8
learning_rate: 0.02
stages:
  - {name: a, max_steps: 6}
  - {name: b, max_steps: 1, learning_rate: 0}
`)
	r.EvalSteps, r.LoadBestModelAtEnd = 1, true
	_, s := runRecipe(t, r)
	best := 1e9
	for _, e := range s.evals {
		if e.When == "during" && e.Step <= 6 {
			best = min(best, *e.Loss)
		}
	}
	if last := s.evals[len(s.evals)-1]; *last.Loss != best {
		t.Errorf("stage a was best at a loss of %v, and stage b, which stood still, has %v", best, *last.Loss)
	}
}

func TestStoppedAveragesGoOn(t *testing.T) {
	for name, change := range map[string]func(*Recipe){
		"muon":      func(r *Recipe) { r.Full, r.Optimizer = true, "muon" },
		"adafactor": func(r *Recipe) { r.Optimizer, r.ScaleParameter, r.RelativeStep = "adafactor", true, true },
		"8 bits":    func(r *Recipe) { r.Optimizer, r.Min8BitSize = "adamw_8bit", 64 },
	} {
		t.Run(name, func(t *testing.T) {
			r := tinyRecipe(t)
			r.EMADecay, r.EvalData = 0.9, r.Data
			change(&r)
			want, _ := runRecipe(t, r)
			path := stopAt(t, r, 6)
			if _, err := Resume(context.Background(), path, 2, nil); err != nil {
				t.Fatal(err)
			}
			sameTensors(t, name, want, path)
		})
	}
}

// A plan counts what each optimizer keeps.
func TestPlansCountOptimizers(t *testing.T) {
	r := tinyRecipe(t)
	r.Full = true
	of := func(change func(*Recipe)) int64 {
		one := r
		change(&one)
		in, err := read(context.Background(), one)
		if err != nil {
			t.Fatal(err)
		}
		f, err := in.fitter(in.stages[0], one)
		if err != nil {
			t.Fatal(err)
		}
		m, err := f.memory(1)
		if err != nil {
			t.Fatal(err)
		}
		return m.Optimizer
	}
	in, err := read(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Outline(in.config)
	if err != nil {
		t.Fatal(err)
	}
	values := int64(m.Count())
	adamw := of(func(*Recipe) {})
	if adamw != 8*values {
		t.Errorf("adamw takes %d bytes for %d values", adamw, values)
	}
	if got := of(func(r *Recipe) { r.EMADecay = 0.9 }); got != 12*values {
		t.Errorf("with an average adamw takes %d bytes for %d values", got, values)
	}
	if got := of(func(r *Recipe) { r.Optimizer, r.Min8BitSize = "adamw_8bit", 0 }); got < 2*values || got > 5*values/2 {
		t.Errorf("adamw_8bit takes %d bytes for %d values", got, values)
	}
	if got := of(func(r *Recipe) { r.Optimizer = "adafactor" }); got > values {
		t.Errorf("adafactor takes %d bytes for %d values", got, values)
	}
	if got := of(func(r *Recipe) { r.Optimizer = "muon" }); got <= 4*values || got >= adamw+8*values {
		t.Errorf("muon takes %d bytes for %d values", got, values)
	}
}
