package world

import (
	"slices"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	all := slices.Collect(mustRows(t, "near"))
	if got := slices.Collect(mustRows(t, "near?rows=7")); len(got) != 7 || got[6].all() != all[6].all() {
		t.Errorf("%d rows", len(got))
	}
	if n := rowCount(t, "near?rows=1000000"); n != len(all) {
		t.Errorf("%d rows of %d", n, len(all))
	}
	firstOf := func(w *World, name string) string {
		rows, err := w.Rows(name)
		if err != nil {
			t.Fatal(err)
		}
		for row := range rows {
			return row.all()
		}
		return ""
	}
	w := defaultWorld()
	if firstOf(w, "chat?seed=5") != firstOf(Generate(Config{Seed: 5}), "chat") {
		t.Error("a seed by option is another than by Config")
	}
	if firstOf(w, "cpt?draw=5") != firstOf(Generate(Config{Seed: DefaultSeed, Draw: 5}), "cpt") {
		t.Error("a draw by option is another than by Config")
	}
	if firstOf(w, "cpt?draw=5") == firstOf(w, "cpt") || firstOf(w, "cpt?draw=0") != firstOf(w, "cpt") {
		t.Error("draws are not told apart")
	}
	// A draw moves nothing of the world that it comes into.
	for _, name := range []string{"pretrain", "chat", "noisy", "preference", "tasks-heldout"} {
		if firstOf(Generate(Config{Seed: DefaultSeed, Draw: 5}), name) != firstOf(w, name) {
			t.Errorf("%s depends on the draw", name)
		}
	}
}

// A prefix stands before every question and changes nothing else.
func TestPrefix(t *testing.T) {
	for _, name := range []string{"chat?rows=50", "heldout?level=W1", "forms?rows=50", "skill-heldout?task=add"} {
		plain := slices.Collect(mustRows(t, name))
		for i, row := range slices.Collect(mustRows(t, name+"&prefix=poor")) {
			if want := prefixes["poor"] + plain[i].Messages[0].Content; row.Messages[0].Content != want || row.Messages[1] != plain[i].Messages[1] {
				t.Errorf("%s: %v, want the question %q", name, row.Messages, want)
			}
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"cpt?":                     `no option ""; it has seed, rows, draw, paraphrases`,
		"chat?draw=1":              `the corpus chat has no option "draw"; it has seed, rows`,
		"cpt?noise=0.1":            `the corpus cpt has no option "noise"`,
		"cpt?draw=1&draw=2":        "has the option draw twice",
		"cpt?draw=-1":              `draw of the corpus cpt is "-1"; it must be a whole number from 0`,
		"cpt?draw":                 `is ""; it must be a whole number`,
		"chat?rows=0":              "it must be a whole number from 1",
		"noisy?noise=1.1":          "it must be a share from 0 to 1",
		"noisy?noise=NaN":          "it must be a share from 0 to 1",
		"preference?noise=x":       "it must be a share from 0 to 1",
		"cpt?paraphrases=13":       "it must be a number from 1 to 12",
		"far?marker=1":             "it must be true or false",
		"chess?draw=1":             `no corpus "chess"`,
		"cpt?draw=1,paraphrases=2": "it must be a whole number",
		"near?level=W0":            "no option \"level\"",
		"near-heldout?level=W3":    "it must be W0, W1 or W2",
		"cpt-recall?wording=W0":    "it must be seen or unseen",
		"chat?prefix=best":         "it must be good or poor",
		"near?prefix=good":         `no option "prefix"`,
		"skill?task=chess":         "it must be one of add, reverse, descend, list",
		"cpt?drugs=1":              "it must be a number from 2 to 480",
		"cpt?drugs=481":            "it must be a number from 2 to 480",
		"edit?told=9":              "it must be a number from 1 to 8",
		"edit?fact=31":             "it must be a number from 1 to 30",
		"edit?insert=yes":          "it must be true or false",
		"pretrain?questions=5":     "it must be a share from 0 to 1",
	} {
		if _, err := defaultWorld().Rows(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}
