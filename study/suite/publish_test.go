package suite

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotune/study"
)

var update = flag.Bool("update", false, "write the golden files")

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeResult(t *testing.T, lab string, r study.Result) {
	t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(lab, "studies", r.ID, "result.json"), string(raw))
}

// golden compares a file with the one that is kept.
func golden(t *testing.T, path string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join("testdata", filepath.Base(path))
	if *update {
		write(t, kept, string(got))
	}
	want, err := os.ReadFile(kept)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s is\n%s\nand was (%v)\n%s", filepath.Base(path), got, err, want)
	}
}

// published is a laboratory with a verdict of each kind.
func published(t *testing.T) (lab string, studies []*study.Study) {
	lab = t.TempDir()
	verdict := func(claim, outcome, expect string, effect, half, p float64) study.Verdict {
		return study.Verdict{Claim: claim, Name: "test-" + claim, Outcome: outcome, Metric: "recall", Contrast: "full − lora", Expect: expect, Margin: 0.05,
			Effect: effect, Low: effect - half, High: effect + half, P: p}
	}
	r := planted("k04-lora-for-cpt", verdict("K4", study.Supported, "above", 0.2, 0.08, 0.001), verdict("K4", study.Contradicted, "not-below", -0.31, 0.1, 0.99),
		verdict("L2", study.Inconclusive, "equal", 0.03, 0.12, 0.3), verdict("L3", study.Supported, "different", 0.1, 0.09, 0.049))
	r.Verdicts[2].Needs = 14
	r.Claim = study.Text{English: "LoRA is | doubtful for CPT.", Chinese: "LoRA 做 CPT 存疑。"}
	r.Literature = "Biderman et al. 2024"
	r.Metrics = []study.Metric{{Name: "recall"}, {Name: "steps"}}
	r.Arms = []study.ArmResult{{Name: "full", Runs: []study.RunResult{
		{Seed: 1, Run: "runs/aaa", Status: "finished", Steps: 10, Tokens: 1000, Metrics: map[string]float64{"recall": 0.75, "steps": 10}, Censored: []string{"steps"}},
		{Seed: 2, Run: "runs/bbb", Status: "failed", Error: "the loss is no number"},
	}}}
	r.Environment = study.Environment{Commit: "0123abc", CPULevel: "avx512"}
	writeResult(t, lab, r)
	failed := planted("k10-warmup", verdict("K10", study.Insensitive, "below", 0, 0.01, 0.6))
	failed.Verdicts[0].Reading = "insensitive: the set-up does not show what the test needs: check warmup-matters (inconclusive); the test alone would say: inconclusive: x"
	writeResult(t, lab, failed)
	return lab, []*study.Study{
		{ID: "k04-lora-for-cpt", Claims: []string{"K4", "L2", "L3"}, Kind: study.Experiment}, {ID: "k10-warmup", Claims: []string{"K10"}, Kind: study.Experiment},
		{ID: "p01", Claims: []string{"P1"}, Kind: study.NotBuilt, Note: "needs PPO", Title: "PPO"},
	}
}

// What is published is the table, a page in two languages, the numbers, and the pictures
// of the first test of a study.
func TestPublish(t *testing.T) {
	lab, studies := published(t)
	table, err := Judge(lab, studies, nil)
	if err != nil {
		t.Fatal(err)
	}
	table.Command = "gotune reproduce"
	pictures, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{"k04-lora-for-cpt-old-arms.svg", "k04-lora-for-cpt-forest.svg", "k04-lora-for-cpt-recall-arms.svg", "k04-lora-for-cpt-recall-arms.png", "k04-lora-for-cpt-steps-arms.svg"} {
		write(t, filepath.Join(pictures, name), "<svg/>")
	}
	write(t, filepath.Join(lab, "bases.md"), "# bases\n")
	write(t, filepath.Join(lab, "bases.json"), "{}\n")
	write(t, filepath.Join(dir, "notes.md"), "stays")
	write(t, filepath.Join(dir, "pictures", "k99-forest.svg"), "goes")
	for range 2 { // the second time over the first
		if err := table.Publish(lab, pictures, dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"README.md", "README.zh-CN.md", "verdicts.json", "numbers.csv"} {
		golden(t, filepath.Join(dir, name))
	}
	found, err := filepath.Glob(filepath.Join(dir, "pictures", "*"))
	if err != nil || len(found) != 3 {
		t.Errorf("the pictures are %v: %v", found, err)
	}
	for _, name := range []string{"bases.md", "bases.json", "notes.md"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// A pilot has no verdict; it says what its metrics can resolve. By SciPy's noncentral t six
// pairs tell 1.4345 deviations of the difference with a chance of 0.8 (two-sided 0.05),
// which is √2 of one arm's.
func TestPilotIsTold(t *testing.T) {
	k := kept{Result: study.Result{Metrics: []study.Metric{{Name: "recall"}, {Name: "absent"}}, Arms: []study.ArmResult{{Name: "documents"}}}}
	for _, x := range []float64{1, 2, 3} {
		k.Arms[0].Runs = append(k.Arms[0].Runs, study.RunResult{Metrics: map[string]float64{"recall": x}})
	}
	var b strings.Builder
	k.pilot(&b, english)
	if want := "| documents | recall | 3 | 2 | 1 | 4.62 | 2.03 | 1.41 |\n"; !strings.HasSuffix(b.String(), want) || strings.Contains(b.String(), "absent") {
		t.Errorf("it says\n%s\nwant\n%s", b.String(), want)
	}
}

// The table stands between the markers of a page, and what is around it stays.
func TestInsert(t *testing.T) {
	page := filepath.Join(t.TempDir(), "README.md")
	var table Table
	for range 2 {
		write(t, page, "before\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nafter\n")
		if err := table.Insert(page); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if want := "before\n" + table.Marked() + "after\n"; string(raw) != want {
			t.Errorf("the page is\n%s\nwant\n%s", raw, want)
		}
	}
	for text, want := range map[string]string{"none": "no line <!-- verdicts -->", "<!-- verdicts -->\n": "no line <!-- /verdicts -->"} {
		write(t, page, text)
		if err := table.Insert(page); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of a page %q it says %v", text, err)
		}
	}
}

// Two estimates agree if their difference is within the root of the sum of squares of
// their half widths: of 0.3 and 0.4 that is 0.5.
func TestAgree(t *testing.T) {
	row := func(effect, half float64) Row {
		return Row{Seeds: 3, Effect: effect, Interval: [2]float64{effect - half, effect + half}}
	}
	for _, c := range []struct {
		b    Row
		want bool
	}{{row(0.49, 0.4), true}, {row(-0.49, 0.4), true}, {row(0.51, 0.4), false}, {Row{Seeds: 1}, false}} {
		if got := Agree(row(0, 0.3), c.b); got != c.want {
			t.Errorf("0 ± 0.3 and %g ± 0.4: %v", c.b.Effect, got)
		}
	}
}

// A line of reading says what a correction has taken back, and how many seeds would
// decide only where that is not the reason.
func TestLine(t *testing.T) {
	row := func(outcome, reading string, needs int) Row {
		v := study.Verdict{Metric: "recall", Contrast: "a − b", Expect: "above", Margin: 0.05, P: 0.01, PHolm: 0.06, Outcome: outcome, Reading: reading, Needs: needs, Seeds: 3}
		return newRow(study.Result{ID: "x"}, v, true)
	}
	for _, c := range []struct {
		row    Row
		en, zh string
	}{
		{row: row(study.Inconclusive, "inconclusive: x; needs 9 seeds", 9), en: "recall of a − b; expected above, margin 0.05; 9 seeds would decide", zh: "recall：a − b；预期：高于 0，阈值 0.05；约需 9 个种子才能判定"},
		{row: row(study.Inconclusive, "supported: x; alone it would be supported, but of 3 tests Holm's correction leaves P = 0.06", 0), en: "recall of a − b; expected above, margin 0.05; supported alone, but P = 0.06 over the study's tests", zh: "recall：a − b；预期：高于 0，阈值 0.05；单独检验时支持，但研究内校正后 P = 0.06"},
		{row: row(study.NotRun, "not run: a quick run leaves it out", 0), en: "a quick run leaves it out", zh: "a quick run leaves it out"},
	} {
		if en, zh := c.row.line(english), c.row.line(chinese); en != c.en || zh != c.zh {
			t.Errorf("the lines are\n%s\n%s\nwant\n%s\n%s", en, zh, c.en, c.zh)
		}
	}
}
