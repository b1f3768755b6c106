package registry

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gotune/study"
	"gotune/train"
)

// Runs of a folder and of laboratories in it are listed, the newest first; one that
// cannot be read says why and does not stop the rest.
func TestRuns(t *testing.T) {
	dir := lab(t)
	sample{name: "plain", started: noon.Add(-time.Hour), steps: 4, loss: 3}.write(t, dir)
	write(t, filepath.Join(dir, ".hidden", "run.json"), "{")
	write(t, filepath.Join(dir, "runs", "small", "model", "run.json"), "{") // inside of a run
	write(t, filepath.Join(dir, "notes", "recipe.yaml"), "model: base")     // a recipe alone is no run
	write(t, filepath.Join(dir, "runs", "fell", "failed.json"), `{"error":"the loss is no number"}`)

	all := listed(t, synced(t, dir), Filter{})
	if d := cmp.Diff([]string{"halfway", "all", "large", "small", "plain", "fell", "broken"}, names(all)); d != "" {
		t.Fatal(d)
	}
	want := Run{
		Folder: "runs/large", Status: "finished", Started: noon.Add(time.Hour), Model: "base", Method: "LoRA r=32", Data: "world:chat", Seed: 7, Steps: 4, Planned: 4,
		Studies: []Membership{{"k05-rise", "arm large", 2}},
		Metrics: map[string]float64{"loss": 1.25, "exact_match": 0.75, "train_loss": 1.25, "lowest_train_loss": 1.25, "recall": 0.25, "seconds": 2, "tokens": 100},
	}
	got := all[2]
	if got.Recipe["lora_rank"] != "32" || got.Recipe["lora_targets"] != "q_proj,k_proj,v_proj,up_proj,down_proj" || got.Recipe["adapter"] != "" {
		t.Errorf("recipe %v", got.Recipe)
	}
	if _, ok := all[1].Recipe["lora_rank"]; ok || all[1].Method != "full" {
		t.Errorf("full tuning has the rank %v, method %s", all[1].Recipe["lora_rank"], all[1].Method)
	}
	got.Recipe = nil
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct {
		run           int
		status, error string
	}{{0, "unfinished", ""}, {5, "failed", "the loss is no number"}, {6, "broken", "recipe.yaml"}} {
		if r := all[tt.run]; r.Status != tt.status || !strings.Contains(r.Error, tt.error) {
			t.Errorf("%s is %s: %s", r.Folder, r.Status, r.Error)
		}
	}
}

// Keys of stages are told apart; a stage that meets a condition is enough.
func TestStages(t *testing.T) {
	dir := t.TempDir()
	sample{name: "two", started: noon, steps: 4, recipe: func(r *train.Recipe) {
		r.Stages = []train.Stage{r.Stage, r.Stage}
		r.Stages[0].Name, r.Stages[0].Full, r.Stages[0].Data = "read", true, train.Datasets{{Path: "world:cpt", Repeat: 2}}
		r.Stages[1].Name, r.Stages[1].Rank = "ask", 4
	}}.write(t, dir)
	r := synced(t, dir)
	for where, want := range map[string]int{
		"lora_rank=4": 1, "full=true": 1, "full=false": 1, "full!=true": 0, "lora_rank=8": 0, "lora_rank!=8": 1, "data~cpt": 1, "data=world:chat": 1, "seed=42": 1,
	} {
		c, err := ParseCondition(where)
		if err != nil {
			t.Fatal(err)
		}
		all := listed(t, r, Filter{Where: []Condition{c}})
		if len(all) != want {
			t.Errorf("%s: %d runs, want %d", where, len(all), want)
		}
	}
	one := listed(t, r, Filter{})[0]
	if one.Method != "full → LoRA r=4" || one.Data != "world:cpt repeat=2 → world:chat" || one.Value("name") != "read → ask" || one.Value("stages[1].lora_rank") != "4" {
		t.Errorf("%s, %s, %s, %v", one.Method, one.Data, one.Value("name"), one.Recipe)
	}
}

func TestStudies(t *testing.T) {
	r := synced(t, lab(t))
	all, err := r.Studies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := result("k05-rise")
	if d := cmp.Diff([]Study{{Folder: "studies/k05-rise", ID: want.ID, Title: want.Title, Finished: noon, Verdicts: want.Verdicts}}, all); d != "" {
		t.Error(d)
	}
}

// What Put writes is what Sync reads from the folder.
func TestPut(t *testing.T) {
	dir := lab(t)
	want := dump(t, synced(t, dir))
	r := opened(t, dir)
	changed := result("k05-rise", "all")
	if err := r.Put(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if all := listed(t, r, Filter{Study: "k05-rise"}); !slices.Equal(names(all), []string{"all"}) {
		t.Errorf("runs of the study: %v", names(all))
	}
	if err := r.Put(t.Context(), result("k05-rise", "small", "large")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, dump(t, r)); d != "" {
		t.Error(d)
	}
}

// An index that is kept up to date holds what one made anew does, whatever happens
// to the folders.
func TestIncremental(t *testing.T) {
	for seed := range uint64(3) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		r := opened(t, dir)
		folders := []string{"runs/a", "runs/b", "runs/c", "d", "e/f"}
		for step := range 25 {
			change(t, dir, folders[rnd.IntN(len(folders))], rnd)
			if err := r.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			fresh, err := InMemory(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := fresh.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := dump(t, fresh)
			if d := cmp.Diff(want, dump(t, r)); d != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, d)
			}
			if err := fresh.Close(); err != nil {
				t.Error(err)
			}
			if step%10 == 9 {
				if err := r.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, dump(t, r)); d != "" {
					t.Fatalf("seed %d, rebuilt: %s", seed, d)
				}
			}
		}
	}
}

// change does something to a run or a study.
func change(t *testing.T, dir, folder string, rnd *rand.Rand) {
	path := filepath.Join(dir, folder)
	switch rnd.IntN(6) {
	case 0, 1:
		sample{name: folder, started: noon, steps: 1 + rnd.IntN(4), loss: rnd.Float64(), recipe: func(r *train.Recipe) { r.Rank = 1 + rnd.IntN(8) }}.write(t, dir)
	case 2:
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	case 3:
		write(t, filepath.Join(path, []string{"run.json", "failed.json", "recipe.yaml"}[rnd.IntN(3)]), "{")
	case 4:
		writeStudy(t, dir, result(string(rune('x'+rnd.IntN(3))), "a", "b", "nowhere"))
	case 5:
		write(t, filepath.Join(dir, "studies", "x", "result.json"), "[]")
	}
}

// The folder may have any name.
func TestNames(t *testing.T) {
	for _, name := range []string{"a b", "50%25", "what?", "a#b", "ü", "file:x", "quo'te"} {
		dir := filepath.Join(t.TempDir(), name)
		sample{name: name, started: noon, steps: 4}.write(t, dir)
		if err := Sync(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, indexName)); err != nil {
			t.Error(err)
		}
		if all := listed(t, opened(t, dir), Filter{}); len(all) != 1 || all[0].Folder != name {
			t.Errorf("%s: %v", name, names(all))
		}
	}
}

// An empty folder holds nothing, and asking leaves no file.
func TestHolds(t *testing.T) {
	dir := t.TempDir()
	if ok, err := Holds(t.Context(), dir); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if ok, err := Holds(t.Context(), lab(t)); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if _, err := Holds(t.Context(), filepath.Join(dir, "none")); !os.IsNotExist(cause(err)) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func cause(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if os.IsNotExist(err) {
			return err
		}
		err = inner.Unwrap()
	}
}

// A stop in the middle leaves the index whole.
func TestCancelled(t *testing.T) {
	dir := lab(t)
	r := opened(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Sync(ctx); err == nil {
		t.Error("no error")
	}
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := listed(t, r, Filter{Status: study.Holds}); len(all) != 0 {
		t.Error(names(all))
	}
	if all := listed(t, r, Filter{Status: "finished"}); len(all) != 3 {
		t.Error(names(all))
	}
}
