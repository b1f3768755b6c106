package examples_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"gotune/examples"
	"gotune/train"
)

// quiet is told of a run and says nothing.
type quiet struct{}

func (quiet) Start(train.Header)        {}
func (quiet) Step(train.StepEvent)      {}
func (quiet) Evaluated(train.EvalEvent) {}
func (quiet) Done(train.DoneEvent)      {}

// Every recipe can be read, names data that is there, and does its first steps
// in each stage.
func TestRecipesRun(t *testing.T) {
	var names []string
	for _, pattern := range []string{"*.yaml", "recipes/*.yaml"} {
		found, err := fs.Glob(examples.Recipes, pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d recipes, %v", pattern, len(found), err)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			t.Parallel()
			r := train.DefaultRecipe()
			raw, err := fs.ReadFile(examples.Recipes, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Parse(name, raw); err != nil {
				t.Fatal(err)
			}
			shorten(&r, 500, "world:pretrain") // which is long to read
			planned, err := train.Inspect(context.Background(), r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "recipes/r") {
				sees(t, planned, name != "recipes/r1.yaml")
			}
			r.Override(&train.Recipe{Stage: train.Stage{MaxSteps: 2}}, func(key string) bool { return key == "max_steps" })
			shorten(&r, 64, "world:")
			r.Eval, r.Output = false, filepath.Join(t.TempDir(), "run")
			done, err := train.Run(context.Background(), r, quiet{})
			if err != nil {
				t.Fatal(err)
			}
			if stages := max(1, len(r.Stages)); done.Steps != 2*stages || len(planned.Stages) != stages || planned.Steps <= done.Steps {
				t.Errorf("%d steps of %d planned, in %d stages of %d", done.Steps, planned.Steps, len(planned.Stages), stages)
			}
		})
	}
}

// shorten takes the first rows alone of corpora whose names begin so.
func shorten(r *train.Recipe, rows int, prefix string) {
	data := []train.Datasets{r.Data, r.EvalData, r.RetainData}
	for _, s := range r.Stages {
		data = append(data, s.Data)
	}
	for _, d := range data {
		for i := range d {
			if strings.HasPrefix(d[i].Path, prefix) {
				name, _, _ := strings.Cut(d[i].Path, "?")
				d[i].Path = fmt.Sprintf("%s?rows=%d", name, rows)
			}
		}
	}
}

// sees checks that a route sees what the other routes see: the facts of the
// drugs in five passes, the domain rows twice, and some chat or none.
func sees(t *testing.T, p train.Preview, chat bool) {
	t.Helper()
	times := map[string]float64{}
	for _, s := range p.Stages {
		for _, e := range s.Corpora {
			times[e.Path] += e.Times
		}
	}
	if times["world:cpt"] != 5 || times["world:near"] != 2 || (times["world:chat"] > 0) != chat {
		t.Errorf("each row is seen %v times", times)
	}
}
