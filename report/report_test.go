package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/study"
)

var update = flag.Bool("update", false, "write the golden files anew")

// open reads a laboratory and makes its page.
func (l *lab) open(path string) (*Report, string) {
	l.t.Helper()
	r, err := Open(filepath.Join(l.dir, path))
	if err != nil {
		l.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		l.t.Fatal(err)
	}
	return r, b.String()
}

// outline is a page as lines of text: headings, cells of a row, pictures by their words.
func outline(t *testing.T, page string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var b strings.Builder
	skip := 0 // depth inside what is no text
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			switch {
			case skip > 0 || name == "style" || name == "title":
				skip++
			case name == "svg":
				skip = 1
				for _, a := range e.Attr {
					if a.Name.Local == "aria-label" {
						fmt.Fprintf(&b, "\n[%s]", a.Value)
					}
				}
			case len(name) == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6':
				b.WriteString("\n\n" + strings.Repeat("#", int(name[1]-'0')) + " ")
			case name == "td" || name == "th" || name == "dd":
				b.WriteString(" | ")
			case strings.Contains(" p tr li pre summary figcaption dt blockquote section ", " "+name+" "):
				b.WriteString("\n")
			}
		case xml.EndElement:
			if skip > 0 {
				skip--
			}
		case xml.CharData:
			if skip == 0 {
				b.WriteString(strings.Join(strings.Fields(strings.ReplaceAll(string(e), "\n", " ")), " "))
			}
		}
	}
	return regexp.MustCompile(`\n{3,}`).ReplaceAllString(strings.TrimSpace(b.String()), "\n\n") + "\n"
}

// The pages of a suite, of an ablation without a test, and of studies with little in them.
func TestGolden(t *testing.T) {
	l := newLab(t)
	l.suite()
	for _, c := range []struct{ name, path string }{{"suite", ""}, {"ablation", "studies/ranks"}, {"test", "studies/k05-cpt-loss-rises/result.json"}} {
		t.Run(c.name, func(t *testing.T) {
			_, page := l.open(c.path)
			got, path := outline(t, page), filepath.Join("testdata", c.name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("go test ./report -update writes it anew: %s", diff)
			}
		})
	}
}

// A study may have nothing to show, or one value of everything; its page says so in words
// and numbers that can be read.
func TestDegenerate(t *testing.T) {
	recall := []study.Metric{{Name: "recall", Better: "higher"}, {Name: "seconds", Better: "lower"}}
	for _, c := range []struct {
		name   string
		result func(*lab) study.Result
		want   []string // texts of the page
	}{
		{"nothing", func(*lab) study.Result { return study.Result{} }, []string{"To repeat it"}},
		{"no runs", func(l *lab) study.Result {
			return study.Result{Metrics: recall, Arms: []study.ArmResult{{Name: "a"}, {Name: "b"}}}
		}, []string{"0 of 0", "2 arms, 0 seeds"}},
		{"all failed", func(l *lab) study.Result {
			a := study.ArmResult{Name: "a", Runs: []study.RunResult{{Seed: 1, Status: "failed", Error: "the disk is full"}, {Seed: 2, Status: "missing"}}}
			return study.Result{Metrics: recall, Arms: []study.ArmResult{a}, Verdicts: []study.Verdict{{Name: "t", Outcome: study.NotRun, Reading: "no run has a result"}}}
		}, []string{"0 of 2", "the disk is full", "2 runs without a result", "not run"}},
		{"one seed", func(l *lab) study.Result {
			return study.Result{Seeds: []uint64{1}, Metrics: recall, Arms: []study.ArmResult{
				l.arm("a", 1, 5, 1, map[string]float64{"recall": 0.5}), l.arm("b", 1, 5, 1, map[string]float64{"recall": 0.9})}}
		}, []string{"b has the best recall, but one seed cannot say how sure that is", "1 of 1"}},
		{"equal values", func(l *lab) study.Result {
			a, b := l.arm("a", 2, 0, 1, nil), l.arm("b", 2, 0, 1, nil)
			for _, x := range []study.ArmResult{a, b} {
				for i := range x.Runs {
					x.Runs[i].Metrics = map[string]float64{"recall": 0, "seconds": 3}
				}
			}
			return study.Result{Metrics: recall, Arms: []study.ArmResult{a, b}}
		}, []string{"cannot be told from it"}},
		{"no figures", func(l *lab) study.Result {
			v := study.Verdict{Name: "huge", Outcome: study.Inconclusive, Margin: 1e-300, Effect: 1e300, Low: -1e308, High: 1e308, Seeds: 2}
			a := l.arm("a", 2, 0, 1, nil)
			a.Runs[0].Metrics, a.Runs[1].Metrics = map[string]float64{"recall": math.MaxFloat64}, map[string]float64{"recall": -math.MaxFloat64, "seconds": 1e29}
			a.Attributes = map[string]float64{"x": math.MaxFloat64}
			l.write(a.Runs[0].Run+"/metrics.jsonl", []byte(`{"event":"step","step":1,"loss":1e308}`+"\n"+`{"event":"step","step":2,"loss":-1e308}`+"\n"))
			return study.Result{Metrics: recall, Arms: []study.ArmResult{a}, Verdicts: []study.Verdict{v}}
		}, nil},
		{"broken run", func(l *lab) study.Result {
			a := l.arm("a", 2, 3, 1, map[string]float64{"recall": 0.5})
			l.write(a.Runs[0].Run+"/metrics.jsonl", []byte(`{"event":"step","step":1,"loss":2}`+"\n{oops\n"))
			l.write(a.Runs[1].Run+"/after.json", []byte("[]"))
			return study.Result{Metrics: recall, Arms: []study.ArmResult{a}}
		}, []string{"metrics.jsonl:2: ", "after.json: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			r := c.result(l)
			r.ID, r.Title = "x", c.name
			l.add(r)
			report, page := l.open("studies/x")
			text := outline(t, page)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not say %q:\n%s", want, text)
				}
			}
			if bad := regexp.MustCompile(`NaN|Inf\b|%!|<no value>|\{\{`).FindString(page); bad != "" {
				t.Errorf("the page says %s", bad)
			}
			if strings.Contains(page, l.dir) {
				t.Error("the page names a folder of this machine")
			}
			if _, err := report.Write(t.Context(), filepath.Join(l.dir, "report")); err != nil {
				t.Error(err)
			}
		})
	}
}

// What others wrote is shown as text, everywhere.
func TestHostile(t *testing.T) {
	l := newLab(t)
	l.add(l.hostile())
	r, page := l.open("")
	shown := strings.Count(page, "&lt;script&gt;")
	if shown < 20 {
		t.Errorf("hostile text is shown %d times: this test does not look everywhere", shown)
	}
	for _, tag := range []string{"<script", "<img", "onerror=alert(1)>\"", "</style>\u202e"} {
		if strings.Contains(strings.ToLower(page), tag) {
			t.Errorf("the page has %s", tag)
		}
	}
	if n := strings.Count(page, "</style>"); n != 1 {
		t.Errorf("the page ends its style %d times", n)
	}
	outline(t, page) // is well formed
	dir := filepath.Join(l.dir, "report")
	if _, err := r.Write(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, picturesName))
	if err != nil || len(entries) < 9 {
		t.Fatalf("%d pictures, %v", len(entries), err)
	}
	for _, e := range entries {
		if !regexp.MustCompile(`^[a-z0-9_-]+\.(svg|png|csv)$`).MatchString(e.Name()) {
			t.Errorf("a picture is named %q", e.Name())
		}
	}
}

// Files beside the page can be read by what they are for.
func TestPictureFiles(t *testing.T) {
	l := newLab(t)
	l.suite()
	r, _ := l.open("")
	dir := filepath.Join(l.dir, "report")
	if _, err := r.Write(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	var results []study.Result
	for _, s := range r.studies {
		results = append(results, s.Result)
	}
	whole, err := os.ReadFile(filepath.Join(dir, picturesName, "suite-forest.svg"))
	if got, other := Effects(results); err != nil || other != nil || !bytes.Equal(got, whole) {
		t.Errorf("the effects of all studies are another picture: %v, %v", err, other)
	}
	if none, err := Effects(nil); none != nil || err != nil {
		t.Errorf("of no study there is a picture: %v", err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, picturesName, "*"))
	if err != nil || len(paths) < 3*15 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(path) {
		case ".png":
			_, err = png.Decode(bytes.NewReader(raw))
		case ".csv":
			var rows [][]string
			if rows, err = csv.NewReader(bytes.NewReader(raw)).ReadAll(); err == nil && len(rows) < 2 {
				err = errors.New("it has no rows")
			}
		case ".svg":
			err = wellFormed(raw)
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, picturesName, "k05-cpt-loss-rises-forest.csv"))
	const want = `test,outcome,effect,low,high,margin,seeds
rise-at-the-start,supported,0.0894,0.0712,0.1076,0.02,6
comes-down,inconclusive,0.004,-0.021,0.029,0.02,6
`
	if diff := cmp.Diff(want, string(raw)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func wellFormed(raw []byte) error {
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// However long runs are, a picture has a bounded number of points, and its ends are those
// of the runs.
func TestLongRunsAreThinned(t *testing.T) {
	l := newLab(t)
	a := l.arm("long", 2, 20_000, 1, map[string]float64{"recall": 0.5})
	l.add(study.Result{ID: "long", Arms: []study.ArmResult{a}})
	r, page := l.open("")
	if len(page) > 60_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	for _, p := range r.page().pictures {
		if p.Name == "long-training-loss" {
			first, last := p.Rows[0], p.Rows[len(p.Rows)-1]
			if len(p.Rows) != maxColumns || first[0].Exact != "long" || first[5].Exact != "2" || !strings.HasPrefix(first[2].Exact, "2.9") || !strings.HasPrefix(last[2].Exact, "1.0") {
				t.Errorf("%d rows, from %v to %v", len(p.Rows), first, last)
			}
			return
		}
	}
	t.Error("the training loss is not drawn")
}

func TestOpenErrors(t *testing.T) {
	l := newLab(t)
	l.write("empty/readme", nil)
	l.write("unfinished/studies/a/study.yaml", nil)
	l.write("syntax/result.json", []byte("{\n\"id\": \"a\",\n}"))
	l.write("type/result.json", []byte(`{"id": "a", "arms": 3}`))
	l.write("nameless/result.json", []byte(`{}`))
	for _, c := range []struct{ path, want string }{
		{"nowhere", "no such file"},
		{"empty", "holds neither result.json nor studies/"},
		{"unfinished", "no study of"},
		{"syntax", "result.json: line 3: "},
		{"type", "arms"},
		{"nameless", "the key id is missing"},
	} {
		if _, err := Open(filepath.Join(l.dir, c.path)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
	}
}

// Evaluations on several corpora give a picture of each, whose name is the same for all
// seeds though they drew different worlds.
func TestCorporaHaveTheirOwnCurves(t *testing.T) {
	l := newLab(t)
	a := l.arm("a", 2, 0, 1, map[string]float64{"recall": 0.5})
	for i, run := range a.Runs {
		var b strings.Builder
		for step := range 3 {
			fmt.Fprintf(&b, `{"event":"eval","step":%d,"loss":9,"retain_loss":%d,"corpora":[{"path":"world:cpt?draw=%d&rows=2","loss":%d},{"path":"old.jsonl","loss":%d}]}`+"\n", step, step+10, i+1, step+i, 5)
		}
		l.write(run.Run+"/metrics.jsonl", []byte(b.String()))
	}
	l.add(study.Result{ID: "x", Arms: []study.ArmResult{a}})
	r, _ := l.open("")
	got := map[string]string{}
	for _, p := range r.page().pictures {
		got[p.Title] = p.Label
	}
	want := map[string]string{
		"Held-out loss on world:cpt?draw={seed}&rows=2": "a from 0.5 to 2.5.",
		"Held-out loss on old.jsonl":                    "a from 5 to 5.",
		"Loss on data to retain":                        "a from 10 to 12.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
