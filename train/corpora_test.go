package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Where several corpora are evaluated each has the scores that it has alone, with
// rows that are skipped and rows that are cut into pieces before it.
func TestScoresOfEachCorpus(t *testing.T) {
	write := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := "one two three four five six seven eight nine ten. What is it? It is so. "
	paths := []string{
		write("gaps.jsonl", `{"prompt":"one","completion":" two"}`+"\n"+`{"prompt":"one","completion":""}`+"\n"+`{"prompt":"What","completion":" is it?","wording":"unseen"}`+"\n"),
		write("book.txt", text+text+text),
		tinyRows(t, 7),
	}
	r := tinyRecipe(t)
	r.MaxSteps, r.Allow = 1, []string{"empty", "cut", "prompt-overlap"}
	before := func(paths ...string) Scores {
		r.EvalData = Paths(paths...)
		_, s := runRecipe(t, r)
		return s.evals[0].Scores
	}
	all := before(paths...)
	if len(all.Corpora) != len(paths) {
		t.Fatalf("%d corpora", len(all.Corpora))
	}
	rows := 0
	for i, path := range paths {
		alone := before(path)
		if alone.Corpora != nil {
			t.Errorf("%s alone has corpora", path)
		}
		if d := cmp.Diff(CorpusScores{Path: path, Scores: alone}, all.Corpora[i]); d != "" {
			t.Errorf("%s: alone and among others:\n%s", path, d)
		}
		rows += alone.Rows
	}
	if rows != all.Rows {
		t.Errorf("%d rows of the corpora, %d in all", rows, all.Rows)
	}
}
