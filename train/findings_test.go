package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/data"
)

// header keeps what a run announces.
type header struct {
	silent
	Header
}

func (h *header) Start(now Header) { h.Header = now }

// Data from which nothing sensible is learned stops a run before it has a folder,
// in every stage and in what is held out, unless it is allowed by name.
func TestFindingsStopARun(t *testing.T) {
	good := tinyRows(t, 8)
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	if err := os.WriteFile(bad, []byte(`{"prompt":"a","completion":"b"}`+"\n"+`{"prompt":"a","completion":""}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	base := tinyRecipe(t)
	base.MaxSteps, base.Data = 1, Paths(good)
	tests := map[string]func(*Recipe){
		"data":      func(r *Recipe) { r.Data = Paths(bad) },
		"eval_data": func(r *Recipe) { r.EvalData = Paths(bad) },
		"a later stage": func(r *Recipe) {
			one, two := r.Stage, r.Stage
			one.Name, two.Name, two.Data = "one", "two", Paths(bad)
			r.Stages = []Stage{one, two}
		},
	}
	for name, change := range tests {
		r := base
		change(&r)
		r.Output = filepath.Join(t.TempDir(), "run")
		_, err := Run(context.Background(), r, &silent{})
		if !errors.Is(err, data.ErrFinding) || !strings.Contains(err.Error(), "bad.jsonl:2 (to go on all the same: --allow empty)") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(r.Output); err == nil {
			t.Errorf("%s: there is a folder", name)
		}
		r.Allow = []string{data.Empty}
		if _, err := Run(context.Background(), r, &silent{}); err != nil {
			t.Errorf("%s, allowed: %v", name, err)
		}
	}
	base.Allow = []string{"emtpy"}
	if _, err := Run(context.Background(), base, &silent{}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), `no finding "emtpy"`) {
		t.Errorf("an unknown name: %v", err)
	}
}

// What does not stop is said before the first step.
func TestFindingsAreSaid(t *testing.T) {
	r := tinyRecipe(t)
	r.MaxSteps, r.EvalData, r.Eval = 1, r.Data, false
	more := r // of which half of the held-out rows are trained on, and the other half is not
	more.EvalData = Paths(tinyRows(t, 60))
	for name, tt := range map[string]struct {
		recipe  Recipe
		serious int
		want    string
	}{
		"all":  {r, 1, "30 of 30 held-out rows (100.0 %) are rows of the training data too, so that their scores show what is remembered"},
		"half": {more, 0, "30 of 60 held-out rows (50.0 %) are rows of the training data too: "},
	} {
		var h header
		tt.recipe.Output = filepath.Join(t.TempDir(), "run")
		if _, err := Run(context.Background(), tt.recipe, &h); err != nil {
			t.Fatal(err)
		}
		if len(h.Warnings) != 1 || h.Serious != tt.serious || !strings.HasPrefix(h.Warnings[0], tt.want) {
			t.Errorf("%s: %d warnings in %q", name, h.Serious, h.Warnings)
		}
	}
}

// The job of the README trains on clean data: there is nothing to say.
func TestTheToyWorldIsClean(t *testing.T) {
	r := DefaultRecipe()
	r.Data, r.EvalData, r.RetainData = Paths("world:chat"), Paths("world:heldout"), Paths("world:pretrain-heldout")
	in, err := read(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.check(r); err != nil {
		t.Fatal(err)
	}
	if notes, _ := in.notes(in.stages[0]); !slices.Equal(notes, nil) {
		t.Errorf("notes: %q", notes)
	}
}
