package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotune/study"
)

// halves are four studies with results, of which the second is decided only where few
// tests are corrected together.
func halves() (studies []*study.Study, results []study.Result) {
	for i, p := range []float64{0.001, 0.03, 0.04, 0.9} {
		id := string(rune('a' + i))
		s := &study.Study{ID: id, Claims: []string{"K" + id}, Kind: study.Experiment, Raw: []byte("id: " + id + "\n")}
		r := planted(id, study.Verdict{Claim: "K" + id, Name: "test", Metric: "loss", Outcome: study.Supported, Effect: 1, Low: 0.5, High: 1.5, Margin: 0.1, P: p})
		r.Metrics = []study.Metric{{Name: "loss"}}
		for seed := uint64(1); seed <= 3; seed++ {
			r.Arms = append(r.Arms, study.ArmResult{Name: "arm", Runs: []study.RunResult{{Seed: seed, Run: "runs/" + id, Status: "finished", Metrics: map[string]float64{"loss": p}}}})
		}
		r.Environment = study.Environment{Commit: "commit-" + id, CPULevel: "avx2"}
		studies, results = append(studies, s), append(results, r)
	}
	return studies, results
}

// laboratory has results of some studies, each with the file that it was run from.
func laboratory(t *testing.T, studies []*study.Study, results ...study.Result) string {
	t.Helper()
	lab := t.TempDir()
	for _, r := range results {
		writeResult(t, lab, r)
		write(t, filepath.Join(lab, "studies", r.ID, "study.yaml"), string(find(studies, r.ID).Raw))
		write(t, filepath.Join(lab, "report", "pictures", r.ID+"-forest.svg"), "<svg>"+r.ID+"</svg>")
	}
	return lab
}

// publish does what gotune reproduce --publish does.
func publish(t *testing.T, lab, dir string, studies []*study.Study) (table Table, aside []string) {
	t.Helper()
	if _, err := Judge(lab, studies, nil); err != nil {
		t.Fatal(err)
	}
	table, aside, err := Together(lab, dir, studies, nil)
	if err != nil {
		t.Fatal(err)
	}
	table.Command = "gotune reproduce"
	if err := table.Publish(lab, filepath.Join(lab, "report", "pictures"), dir); err != nil {
		t.Fatal(err)
	}
	return table, aside
}

// contents are the files below a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir+"/")] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Two laboratories with half of the studies each, published one after the other, come
// to the same folder as one with all.
func TestPublishInParts(t *testing.T) {
	studies, results := halves()
	whole, parts := t.TempDir(), t.TempDir()
	publish(t, laboratory(t, studies, results...), whole, studies)

	first := laboratory(t, studies, results[:2]...)
	table, _ := publish(t, first, parts, studies)
	if table.Tests != 2 || table.Rows[1].Verdict != study.Supported || table.Rows[2].Verdict != study.NotRun {
		t.Errorf("half of them are %d tests, the second %s and the third %s", table.Tests, table.Rows[1].Verdict, table.Rows[2].Verdict)
	}
	table, aside := publish(t, laboratory(t, studies, results[2:]...), parts, studies)
	if !slices.Equal(table.Taken(), []string{"a", "b"}) || len(aside) > 0 || table.Tests != 4 || table.Rows[1].Verdict != study.Inconclusive {
		t.Errorf("of %d tests, with %v taken over and %v left aside, the second is %s", table.Tests, table.Taken(), aside, table.Rows[1].Verdict)
	}
	got, want := contents(t, parts), contents(t, whole)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is in parts\n%s\nand at once\n%s", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("in parts there are %d files, at once %d", len(got), len(want))
	}
	// The laboratory itself is corrected for what it has.
	if r, err := study.ReadResult(first, "b"); err != nil || r.Verdicts[0].Outcome != study.Supported {
		t.Errorf("in its laboratory it is %+v: %v", r.Verdicts, err)
	}
}

// Of a laboratory's result and a published one that is taken which says more.
func TestTogether(t *testing.T) {
	studies, results := halves()
	full := results[0]
	changed := func(change func(*study.Result)) *study.Result {
		r := full
		r.Arms, r.Verdicts = slices.Clone(full.Arms), slices.Clone(full.Verdicts)
		change(&r)
		return &r
	}
	quick := changed(func(r *study.Result) { r.Verdicts[0].Provisional = true })
	fewer := changed(func(r *study.Result) { r.Arms[2].Runs = []study.RunResult{{Seed: 3, Status: "missing"}} })
	none := changed(func(r *study.Result) { r.Arms, r.Verdicts[0].Outcome = nil, study.NotRun })
	now, before := studies[0].Raw, []byte("id: a\ntitle: as it was\n")
	for _, c := range []struct {
		name           string
		own, published *study.Result
		of             []byte // the file that was published from
		taken, old     bool
	}{
		{"not run here", nil, &full, now, true, false},
		{"alike", &full, &full, now, false, false},
		{"with fewer seeds here", fewer, &full, now, true, false},
		{"with fewer seeds there", &full, fewer, now, false, false},
		{"quick here", quick, &full, now, true, false},
		{"quick here, few seeds there", quick, fewer, now, true, false},
		{"quick there", fewer, quick, now, false, false},
		{"nothing in full here, quick there", none, quick, now, true, false},
		{"of an old file", nil, &full, before, false, true},
		{"of an old file, and fewer seeds here", fewer, &full, before, false, true},
		{"of an old file, which does not matter", &full, quick, before, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, lab := t.TempDir(), t.TempDir()
			if c.own != nil {
				lab = laboratory(t, studies, *c.own)
			}
			write(t, keptName(dir, "a"), "")
			if err := (kept{File: hash(c.of), Result: *c.published}).write(dir); err != nil {
				t.Fatal(err)
			}
			table, aside, err := Together(lab, dir, studies, nil)
			if err != nil {
				t.Fatal(err)
			}
			if taken := slices.Equal(table.Taken(), []string{"a"}); taken != c.taken {
				t.Errorf("taken over: %v", taken)
			}
			if old := len(aside) == 1 && strings.Contains(aside[0], "the published result of a is out of date"); old != c.old {
				t.Errorf("it says %q", aside)
			}
		})
	}
}

// Pictures of studies that are not shown go, and results of studies that are no more
// are told of and stay.
func TestLeftAside(t *testing.T) {
	studies, results := halves()
	dir := t.TempDir()
	publish(t, laboratory(t, studies, results[:2]...), dir, studies)
	table, aside := publish(t, t.TempDir(), dir, studies[1:])
	if !slices.Equal(table.Taken(), []string{"b"}) || len(aside) != 1 || !strings.Contains(aside[0], "a.json is of no study that there is") {
		t.Errorf("with %v taken over it says %q", table.Taken(), aside)
	}
	files := contents(t, dir)
	for name, want := range map[string]bool{"pictures/a-forest.svg": false, "pictures/b-forest.svg": true, "pictures/suite-forest.svg": true, "studies/a.json": true} {
		if _, ok := files[name]; ok != want {
			t.Errorf("%s is there: %v", name, ok)
		}
	}
	write(t, keptName(dir, "b"), `{"id":"a"}`)
	if _, _, err := Together(t.TempDir(), dir, studies, nil); err == nil || !strings.Contains(err.Error(), `b.json: it is a result of the study "a"`) {
		t.Errorf("of another's result it says %v", err)
	}
	write(t, keptName(dir, "b"), "<<<<<<< HEAD")
	if _, _, err := Together(t.TempDir(), dir, studies, nil); err == nil || !strings.Contains(err.Error(), "b.json: invalid character") {
		t.Errorf("of a broken result it says %v", err)
	}
}
