package suite

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotune/study"
	"gotune/train"
)

func parse(t *testing.T, text string) *study.Study {
	t.Helper()
	s, err := study.Parse("study.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const onBase = `id: ranks
claims: [L4]
title: Ranks
seeds: {quick: 2, full: 3, tuning: 2}   # few
shared: {model: base, data: ["world:chat?rows=20"], max_steps: 1}
arms:
  low: {lora_rank: 1}
  high: {lora_rank: 4}
metrics: {tokens: {run: tokens}}
`

// Other seeds stand in the file of the variant, so that the file alone repeats it.
func TestOtherSeeds(t *testing.T) {
	all, err := OtherSeeds([]*study.Study{parse(t, onBase), {ID: "p01", Kind: study.NotBuilt}}, 101)
	if err != nil || len(all) != 1 {
		t.Fatalf("there are %d variants: %v", len(all), err)
	}
	v := all[0]
	if v.ID != "ranks-seeds-101" || !slices.Equal(v.Seeds.Full, []uint64{101, 102, 103}) || !slices.Equal(v.Seeds.Quick, []uint64{101, 102}) || !slices.Equal(v.Seeds.Tuning, []uint64{1001, 1002}) {
		t.Errorf("%s has the seeds %v", v.ID, v.Seeds)
	}
	for text, want := range map[string]string{
		strings.Replace(onBase, "seeds: {quick: 2, full: 3, tuning: 2}   # few", "seeds:\n  full: 3", 1): "its seeds do not stand in a line of their own",
	} {
		if _, err := OtherSeeds([]*study.Study{parse(t, text)}, 101); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v, want %s", err, want)
		}
	}
	if _, err := OtherSeeds([]*study.Study{parse(t, onBase)}, 1000); err == nil || !strings.Contains(err.Error(), "the seed 1001 is used for tuning and for testing") {
		t.Errorf("of seeds of the search it says %v", err)
	}
}

// tinyBase is a base of some hundred weights that is made in two steps.
func tinyBase(t *testing.T) Base {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tiny.json"), `{"model_type":"llama","hidden_act":"silu","hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":8,"vocab_size":300,"max_position_embeddings":64,"rms_norm_eps":1e-5,"rope_theta":10000,"tie_word_embeddings":true}`)
	write(t, filepath.Join(dir, "book.txt"), strings.Repeat("One two three four five. What is it? It is so, and so it is.\n", 9))
	return Base{Name: "base", Recipe: []byte("# tiny\nshape: " + dir + "/tiny.json\ndata: [" + dir + "/book.txt]\nmax_length: 32\nmax_steps: 2\nseed: 1\n")}
}

// A suite that was stopped goes on where it was.
func TestGoOn(t *testing.T) {
	lab := t.TempDir()
	made, err := tinyBase(t).study(4)
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	run := func(stop int) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := Run(ctx, []*study.Study{made, parse(t, strings.Replace(untrained, "ID", "other", 1))}, Options{
			Options: study.Options{Output: lab, Jobs: 1},
			Observe: func(p Progress) {
				if p.Event.Event == "done" && p.Event.Study == made.ID {
					if done++; done == stop {
						cancel()
					}
				}
			},
		})
		return err
	}
	if err := run(2); !errors.Is(err, train.ErrInterrupted) || done != 2 {
		t.Fatalf("after %d runs it says %v", done, err)
	}
	if err := run(0); err != nil || done != 3 {
		t.Errorf("after %d runs it says %v", done, err)
	}
	if err := run(0); err != nil || done != 3 {
		t.Errorf("the third time %d runs were done: %v", done, err)
	}
}

// Further bases are runs of their recipe, made once, and the studies begin with them.
func TestBases(t *testing.T) {
	lab, known := filepath.Join(t.TempDir(), "lab"), []Base{tinyBase(t), {Name: "base-b"}}
	studies := []*study.Study{parse(t, onBase)}
	bases, err := Bases(studies, known, 3)
	if err != nil || len(bases) != 1 || bases[0].ID != "bases-of-base" || !slices.Equal(bases[0].Seeds.Full, []uint64{2, 3}) {
		t.Fatalf("the bases are %v: %v", bases, err)
	}
	done := 0
	run := func() {
		t.Helper()
		o := Options{Options: study.Options{Output: lab, Budget: time.Hour}, Observe: func(p Progress) {
			if p.Event.Event == "done" {
				done++
			}
		}}
		if why, err := Run(t.Context(), bases, o); err != nil || len(why) > 0 {
			t.Fatalf("%v, %v", why, err)
		}
	}
	run()
	run()
	if done != 2 {
		t.Errorf("%d bases were made, want 2", done)
	}
	variants, err := OnBases(lab, studies, bases)
	if err != nil || len(variants) != 2 {
		t.Fatalf("there are variants on %d bases: %v", len(variants), err)
	}
	var models []string
	for i, v := range variants {
		names, err := v[0].Models()
		if err != nil || len(names) != 1 || v[0].ID != []string{"ranks-base-2", "ranks-base-3"}[i] {
			t.Fatalf("%s begins with %v: %v", v[0].ID, names, err)
		}
		models = append(models, names[0])
	}
	if models[0] == models[1] || !strings.HasPrefix(models[0], lab) {
		t.Errorf("the models are %v", models)
	}
	if _, err := Bases([]*study.Study{parse(t, strings.Replace(onBase, "model: base,", "model: other,", 1))}, known, 3); err == nil || !strings.Contains(err.Error(), "no recipe to make it") {
		t.Errorf("of another model it says %v", err)
	}

	// Side by side, from planted results.
	for id, effect := range map[string]float64{"ranks": 0.1, "ranks-base-2": 0.13, "ranks-base-3": 0.4} {
		writeResult(t, lab, planted(id, study.Verdict{Name: "better", Claim: "L4", Outcome: study.Supported, Effect: effect, Low: effect - 0.05, High: effect + 0.05}))
	}
	c, err := Compare(lab, "bases", "Bases", []string{"embedded", "2", "3"}, studies, variants)
	if err != nil {
		t.Fatal(err)
	}
	want := `| id | test | embedded | 2 | 3 | agree |
|---|---|---|---|---|---|
| L4 | better | supported 0.1 [0.05, 0.15] | supported 0.13 [0.08, 0.18] | supported 0.4 [0.35, 0.45] | no |
`
	if got := c.Markdown(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}

// Of a conjunction each part is compared with itself, whichever the conjunction shows, and
// what was not run neither agrees nor disagrees.
func TestCompareParts(t *testing.T) {
	lab := t.TempDir()
	part := func(name string, effect float64) study.Verdict {
		return study.Verdict{Name: name, Outcome: study.Supported, Effect: effect, Low: effect - 0.05, High: effect + 0.05, Seeds: 5}
	}
	for id, shown := range map[string]int{"rate": 0, "rate-seeds-101": 1} {
		parts := []study.Verdict{part("recall", -0.4), part("old", 3), part("late", 1)}
		if id != "rate" {
			parts[2] = study.Verdict{Name: "late", Outcome: study.NotRun}
		}
		v := parts[shown]
		v.Shown, v.Name, v.Claim, v.Parts = v.Name, "too-large", "K6", parts
		writeResult(t, lab, planted(id, v))
	}
	s := &study.Study{ID: "rate", Kind: study.Experiment}
	c, err := Compare(lab, "seeds-101", "Seeds", []string{"first", "second"}, []*study.Study{s}, [][]*study.Study{{{ID: "rate-seeds-101"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := `| id | test | first | second | agree |
|---|---|---|---|---|
| K6 | too-large: recall | supported -0.4 [-0.45, -0.35] | supported -0.4 [-0.45, -0.35] | yes |
| K6 | too-large: old | supported 3 [2.95, 3.05] | supported 3 [2.95, 3.05] | yes |
| K6 | too-large: late | supported 1 [0.95, 1.05] | not run – | – |
`
	if got := c.Markdown(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}
