package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotune/study"
	"gotune/train"
)

// A sample is a run folder as train leaves it, as far as the index reads it.
type sample struct {
	name    string
	recipe  func(*train.Recipe)
	started time.Time
	steps   int // taken, of 4
	loss    float64
	match   float64
}

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s sample) write(t testing.TB, dir string) {
	t.Helper()
	r := train.DefaultRecipe()
	r.Data = train.Paths("world:chat")
	if s.recipe != nil {
		s.recipe(&r)
	}
	raw, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, s.name)
	if err := os.MkdirAll(filepath.Join(path, "checkpoints"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(path, "recipe.yaml"), string(raw))
	write(t, filepath.Join(path, "environment.json"), fmt.Sprintf(`{"started":%q,"os":"linux","arch":"amd64","go":"go1.26","cpu_level":"avx2","threads":1}`, s.started.Format(time.RFC3339)))
	var lines strings.Builder
	for i := range s.steps {
		fmt.Fprintf(&lines, `{"event":"step","step":%d,"loss":%g}`+"\n", i+1, s.loss+float64(3-i))
	}
	status := "running"
	if s.steps == 4 {
		status = "finished"
		fmt.Fprintf(&lines, `{"event":"eval","when":"after","step":4,"exact_match":%g,"loss":%g,"rows":10}`+"\n", s.match, s.loss)
	}
	write(t, filepath.Join(path, "metrics.jsonl"), lines.String())
	write(t, filepath.Join(path, "run.json"), fmt.Sprintf(`{"format":1,"status":%q,"arithmetic":"float32-2","steps":4}`, status))
}

// runs writes three finished runs, one that goes on and one that is broken.
func runs(t testing.TB, dir string) {
	t.Helper()
	for _, s := range []sample{
		{name: "small", started: noon, steps: 4, loss: 1.5, match: 0.25},
		{name: "large", started: noon.Add(time.Hour), steps: 4, loss: 1.25, match: 0.75, recipe: func(r *train.Recipe) { r.Rank, r.Seed = 32, 7 }},
		{name: "all", started: noon.Add(2 * time.Hour), steps: 4, loss: 1, match: 1, recipe: func(r *train.Recipe) { r.Full, r.LearningRate = true, 1e-5 }},
		{name: "halfway", started: noon.Add(3 * time.Hour), steps: 2, loss: 2},
	} {
		s.write(t, dir)
	}
	write(t, filepath.Join(dir, "broken", "run.json"), "{")
}

func result(id string, folders ...string) study.Result {
	s := study.Result{
		ID: id, Title: "Title of " + id, Kind: study.Experiment, Claims: []string{"K5"}, Command: "gotune study", Finished: noon,
		Verdicts: []study.Verdict{
			{Name: "first", Claim: "K5", Metric: "recall", Contrast: "a − b", Expect: "above", Margin: 0.05, Effect: 0.5, Low: 0.25, High: 0.75, P: 0.01, PHolm: 0.02, Seeds: 3, Outcome: study.Supported, Reading: "a recalls more"},
			{Name: "second", Metric: "recall", Seeds: 3, Needs: 9, Outcome: study.Inconclusive},
		},
		Checks:      []study.Verdict{{Name: "check", Outcome: study.Holds}},
		Environment: study.Environment{Version: "1", Commit: "abc", Arithmetic: "float32-2", CPULevel: "avx2", Go: "go1.26", Jobs: 2},
	}
	for i, f := range folders {
		s.Arms = append(s.Arms, study.ArmResult{Name: "arm " + f, From: "read", Runs: []study.RunResult{{
			Seed: uint64(i + 1), Run: "runs/" + f, Status: "finished", Metrics: map[string]float64{"recall": float64(i) / 4}, Seconds: 2, Tokens: 100,
		}}})
	}
	return s
}

func writeStudy(t testing.TB, dir string, s study.Result) {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "studies", s.ID, "result.json"), string(raw))
}

// lab writes a laboratory with a study over two of its runs.
func lab(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	runs(t, filepath.Join(dir, "runs"))
	writeStudy(t, dir, result("k05-rise", "small", "large"))
	return dir
}

func opened(t testing.TB, dir string) *Registry {
	t.Helper()
	r, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func synced(t testing.TB, dir string) *Registry {
	t.Helper()
	r := opened(t, dir)
	if err := r.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	return r
}

func listed(t testing.TB, r *Registry, f Filter) []Run {
	t.Helper()
	all, err := r.Runs(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func names(runs []Run) []string {
	all := []string{}
	for _, r := range runs {
		all = append(all, filepath.Base(r.Folder))
	}
	return all
}

// dump is all that an index holds, but for the numbers of rows and the stamps.
func dump(t testing.TB, r *Registry) []string {
	t.Helper()
	ctx := context.Background()
	var all []string
	for _, q := range []string{
		"SELECT folder, status, error, started, model, method, data, seed, steps, planned FROM runs",
		"SELECT folder, name, title, kind, claims, finished, command, error FROM studies",
		"SELECT s.folder, a.name, a.origin, a.reuses FROM arms a JOIN studies s ON s.id = a.study",
		"SELECT a.name, x.folder, x.seed, x.status, x.error FROM arm_runs x JOIN arms a ON a.id = x.arm",
		"SELECT r.folder, x.stage, x.key, x.value, x.number FROM settings x JOIN runs r ON r.id = x.run",
		"SELECT r.folder, s.folder, x.folder, x.name, x.value, x.censored FROM metrics x LEFT JOIN runs r ON r.id = x.run LEFT JOIN studies s ON s.id = x.study",
		"SELECT s.folder, x.* FROM verdicts x JOIN studies s ON s.id = x.study",
		`SELECT r.folder, s.folder, x.version, x.revision, x.arithmetic, x.cpu_level, x.go, x.os, x.arch, x.threads, x.jobs
			FROM environment x LEFT JOIN runs r ON r.id = x.run LEFT JOIN studies s ON s.id = x.study`,
	} {
		var part []string
		err := each(ctx, r.db, func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			cells, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range cells {
				into[i] = &cells[i]
			}
			err = rows.Scan(into...)
			line := ""
			for i, c := range cells {
				if columns[i] != "study" { // a number of a row
					line += fmt.Sprintf("%s=%q ", columns[i], c.String)
				}
			}
			part = append(part, line)
			return err
		}, q)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(part)
		all = append(all, part...)
	}
	return all
}
