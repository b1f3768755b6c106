package data_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gotune/data"
	"gotune/data/rows"
	"gotune/data/world"
)

func open(t testing.TB, path string, allow ...string) (*data.Dataset, error) {
	return data.Open(t.Context(), data.Config{Corpora: data.Files(path), Allow: allow, EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: base}})
}

func TestOpenRefuses(t *testing.T) {
	good := `{"prompt":"p","completion":"c"}` + "\n"
	tests := []struct {
		name    string
		file    string // its name
		content string
		columns string
		want    string
	}{
		{"empty file", "a.jsonl", "", "", "a.jsonl has no rows: the file is empty"},
		{"only empty lines", "a.jsonl", "\n \r\n\n", "", "a.jsonl has no rows"},
		{"empty text file", "a.txt", " \n", "", "a.txt has no rows"},
		{"invalid JSON", "a.jsonl", good + "\n" + `{"prompt":"p",}`, "", "a.jsonl:3: invalid JSON at byte 15 of the line"},
		{"half a line", "a.jsonl", good + `{"prompt":"p","compl`, "", "a.jsonl:2: invalid JSON"},
		{"two objects in a line", "a.jsonl", `{"text":"a"} {"text":"b"}`, "", "a.jsonl:1: invalid JSON"},
		{"no object", "a.jsonl", `"text"`, "", "a.jsonl:1: a row is a JSON object, not a string"},
		{"null", "a.jsonl", `null`, "", "a.jsonl:1: null is no row"},
		{"unknown keys", "a.jsonl", `{"question":"q","answer":"a"}`, "", `a.jsonl:1: no known columns: the row has "answer", "question"`},
		{"no keys", "a.jsonl", `{}`, "", "a.jsonl:1: no known columns: the row has no columns"},
		{"unknown column", "a.jsonl", `{"question":"q","answer":"a"}`, "prompt=question,completion=reply", `a.jsonl:1: no column "reply": the row has "answer", "question"`},
		{"a later row without the column", "a.jsonl", good + `{"text":"t"}`, "", `a.jsonl:2: no column "prompt": the row has "text"`},
		{"a number for a text", "a.jsonl", `{"text":7}`, "", `a.jsonl:1: column "text" holds a number where a string is needed`},
		{"null for a text", "a.jsonl", `{"text":null}`, "", `column "text" holds a null`},
		{"a list for a completion", "a.jsonl", `{"prompt":"p","completion":["c"]}`, "", `column "completion" holds a list`},
		{"a string for messages", "a.jsonl", `{"messages":"hi"}`, "", `column "messages" holds a string where a list of messages is needed`},
		{"a string for a message", "a.jsonl", `{"messages":["hi"]}`, "", "a message is an object with role and content"},
		{"a message without role", "a.jsonl", `{"messages":[{"content":"c"}]}`, "", `message 1: no column "role": the row has "content"`},
		{"an unknown role", "a.jsonl", `{"messages":[{"role":"human","content":"c"}]}`, "", `message 1: unknown role "human"`},
		{"invalid UTF-8", "a.jsonl", good + "{\"prompt\":\"\xff\",\"completion\":\"c\"}", "", "a.jsonl:2: not valid UTF-8"},
		{"invalid UTF-8 in text", "a.txt", "one\ntwo \xff\n", "", "a.txt:2: not valid UTF-8"},
		{"columns of a text file", "a.txt", "text", "text=t", `a.txt is plain text and has no columns; leave out "text=t"`},
		{"all completions empty", "a.jsonl", `{"prompt":"p","completion":""}`, "", "no row is left to learn from: of 1, 1 have nothing to learn, an empty completion or no assistant turn (a.jsonl:1)"},
		{"EOS alone", "a.jsonl", `{"prompt":"p","completion":"<|endoftext|>"}`, "", "no row is left to learn from"},
		{"no assistant turn", "a.jsonl", `{"messages":[{"role":"user","content":"c"}]}`, "", "no row is left to learn from"},
		{"no message", "a.jsonl", `{"messages":[]}`, "", "no row is left to learn from"},
		{"an empty text", "a.jsonl", `{"text":""}`, "", "no row is left to learn from"},
		{"all too long", "a.jsonl", `{"prompt":"p","completion":"` + strings.Repeat("c", 64) + `"}`, "", "and 1 are longer than 64 tokens (a.jsonl:1)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.file, tt.content)
			columns, err := rows.ParseColumns(tt.columns)
			if err != nil {
				t.Fatal(err)
			}
			_, err = data.Open(t.Context(), data.Config{Corpora: []data.Corpus{{Path: path, Columns: columns}}, EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: base}})
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), "")
			if !strings.Contains(got, tt.want) {
				t.Errorf("error %q\nwant one with %q", got, tt.want)
			}
		})
	}
}

func TestOpenRefusesPaths(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		config data.Config
		want   string
	}{
		{data.Config{}, "name at least one file"},
		{data.Config{Corpora: data.Files(filepath.Join(dir, "none.jsonl"))}, "none.jsonl: no such file"},
		{data.Config{Corpora: data.Files(dir)}, "has no file of a known format"},
		{data.Config{Corpora: data.Files("world:chess")}, `no corpus "chess"`},
		{data.Config{Corpora: []data.Corpus{{Path: "world:chat", Columns: rows.Columns{Text: "t"}}}}, `leave out "text=t"`},
		{data.Config{Corpora: []data.Corpus{{Path: "a.jsonl", Columns: rows.Columns{Prompt: "t"}}}}, "prompt and completion together"},
		{data.Config{Corpora: data.Files("a.jsonl"), EncoderConfig: data.EncoderConfig{MaxLength: 2}}, "maximum length of 2"},
	}
	for _, tt := range tests {
		if tt.config.MaxLength == 0 {
			tt.config.MaxLength = 64
		}
		tt.config.Tokenizer = base
		if _, err := data.Open(t.Context(), tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want one with %q", tt.config.Corpora, err, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	lines := []string{
		`{"prompt":"ab","completion":"cd"}`, // 5 tokens, 3 of them targets
		"",
		`{"prompt":"ab","completion":""}`,
		`{"prompt":"a","completion":"b"}`,       // 3, 2
		`{"prompt":"abcdefg","completion":"h"}`, // 9: too long
		`{"prompt":"abcde","completion":"fg", "note":"just as long"}`, // 8, 3
	}
	for range 8 {
		lines = append(lines, `{"prompt":"a","completion":"b"}`)
	}
	path := write(t, "a.jsonl", strings.Join(lines, "\r\n"))
	text := write(t, "b.txt", "\ufeffone two\n") // 9 with EOS: cut
	d, err := data.Open(t.Context(), data.Config{Corpora: data.Files(path, text), EncoderConfig: data.EncoderConfig{MaxLength: 8, Tokenizer: base}})
	if err != nil {
		t.Fatal(err)
	}
	want := data.Report{
		Files: []rows.File{
			{Path: path, Format: "jsonl", Form: rows.Completion, Columns: rows.Columns{Prompt: "prompt", Completion: "completion"}},
			{Path: text, Format: "text", Form: rows.Text},
		},
		Corpora: []data.CorpusReport{
			{Path: path, Rows: 13, Kept: 11, Examples: 11, Tokens: 40, Taken: 11},
			{Path: text, Rows: 1, Kept: 1, Examples: 2, Tokens: 9, Taken: 1},
		},
		Rows: 14, Kept: 12, Empty: 1, Dropped: 1, Cut: 1,
		FirstEmpty:    []rows.Location{{Path: path, Line: 3}},
		FirstDropped:  []rows.Location{{Path: path, Line: 5}},
		DroppedTokens: 9, Duplicates: 8,
		FirstDuplicates: []rows.Location{{Path: path, Line: 7}, {Path: path, Line: 8}, {Path: path, Line: 9}, {Path: path, Line: 10}, {Path: path, Line: 11}},
		Examples:        13,
		Tokens:          5 + 3 + 8 + 8*3 + 9,
		TargetTokens:    3 + 2 + 3 + 8*2 + 6 + 1,
		Lengths:         data.Lengths{Min: 2, Median: 3, P95: 8, Max: 8, Mean: 49. / 13},
	}
	if diff := cmp.Diff(want, d.Report(), cmpopts.IgnoreUnexported(rows.File{}), cmpopts.IgnoreFields(rows.File{}, "Bytes"), cmpopts.IgnoreFields(data.Report{}, "Findings")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := d.Report().TargetShare(); got != 31./49 {
		t.Errorf("share of targets %v", got)
	}
	var at []int
	for i := range d.Len() {
		at = append(at, d.Example(i).Row)
	}
	if diff := cmp.Diff([]int{0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13}, at); diff != "" {
		t.Errorf("rows -want +got:\n%s", diff)
	}
}

// Up to a tenth of the rows may have nothing to learn.
func TestEmptyCompletions(t *testing.T) {
	for empty, refused := range map[int]bool{1: false, 2: false, 3: true} {
		var rows strings.Builder
		for i := range 20 {
			completion := "c"
			if i%7 == 3 && i/7 < empty {
				completion = ""
			}
			fmt.Fprintf(&rows, `{"prompt":"p","completion":%q}`+"\n", completion)
		}
		path := write(t, "a.jsonl", rows.String())
		d, err := open(t, path)
		switch {
		case refused && err == nil:
			t.Errorf("%d of 20: no error", empty)
		case refused:
			want := fmt.Sprintf("3 of 20 rows (15.0 %%) have an empty completion and would be skipped, more than a tenth: %s:4, %[1]s:11, %[1]s:18 (to go on all the same: --allow empty)", path)
			if err.Error() != want || !errors.Is(err, data.ErrFinding) {
				t.Errorf("error %q\nwant  %q", err, want)
			}
		case err != nil:
			t.Errorf("%d of 20: %v", empty, err)
		case d.Report().Empty != empty || d.Len() != 20-empty:
			t.Errorf("%d of 20: %+v", empty, d.Report())
		}
	}
}

// The fingerprint is that of the content, whatever the file is called.
func TestFingerprint(t *testing.T) {
	one := write(t, "one.jsonl", `{"text":"abc"}`)
	same := write(t, "same.jsonl", `{"text":"abc"}`)
	other := write(t, "other.jsonl", `{"text":"abd"}`)
	sums := map[string]string{}
	for _, path := range []string{one, same, other} {
		d, err := open(t, path)
		if err != nil {
			t.Fatal(err)
		}
		sums[path] = d.Fingerprint()
	}
	// The hash of the list of the corpora's hashes:
	// printf %s $(printf '{"text":"abc"}' | sha256sum | cut -d' ' -f1) | sha256sum
	const want = "0e91cf5c5616431a9e5ca71f76001b23c03e61cb4113e50e4ce5e8bfa35fa541"
	if sums[one] != want {
		t.Errorf("fingerprint %s, want %s", sums[one], want)
	}
	if sums[one] != sums[same] || sums[one] == sums[other] {
		t.Errorf("fingerprints %v", sums)
	}
}

// A corpus of the toy world is the same by name as from the file that holds it.
func TestWorldByName(t *testing.T) {
	dir := t.TempDir()
	if err := world.Generate(world.Config{Seed: world.DefaultSeed}).Write(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"heldout", "recall", "pretrain-heldout"} {
		c := data.Config{Corpora: data.Files("world:" + name), EncoderConfig: data.EncoderConfig{MaxLength: 256, Tokenizer: base}}
		byName, err := data.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		c.Corpora = data.Files(filepath.Join(dir, name+".jsonl"))
		fromFile, err := data.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if byName.Fingerprint() != fromFile.Fingerprint() {
			t.Errorf("%s: the fingerprints differ", name)
		}
		if byName.Len() != fromFile.Len() {
			t.Fatalf("%s: %d examples by name, %d from the file", name, byName.Len(), fromFile.Len())
		}
		for i := range byName.Len() {
			if diff := cmp.Diff(byName.Example(i), fromFile.Example(i), cmpopts.IgnoreFields(data.Example{}, "At")); diff != "" {
				t.Fatalf("%s, example %d:\n%s", name, i, diff)
			}
		}
	}
}

// A row's wording is handed on; a column of that name with something else in
// it is the user's own.
func TestWording(t *testing.T) {
	d, err := open(t, write(t, "a.jsonl", `{"text":"abc","wording":"unseen"}`+"\n"+`{"text":"abc","wording":7}`+"\n"+`{"text":"abc"}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"unseen", "", ""} {
		if got := d.Example(i).Wording; got != want {
			t.Errorf("row %d: wording %q, want %q", i, got, want)
		}
	}
}

func TestOpenStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{write(t, "a.jsonl", `{"text":"abc"}`), "world:chat"} {
		_, err := data.Open(ctx, data.Config{Corpora: data.Files(path), EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: base}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

// Whatever a file holds, Open gives an error that names it or a sound dataset.
func FuzzJSONL(f *testing.F) {
	for _, s := range []string{
		`{"text":"abc"}`, `{"prompt":"a","completion":"b"}` + "\n\n" + `{"prompt":"","completion":"c"}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
		`{"messages":null}`, `[]`, `{"text":"\ud800"}`, "\ufeff{}", `{"text":` + strings.Repeat("[", 100), "\x00",
	} {
		f.Add(s)
	}
	path := filepath.Join(f.TempDir(), "fuzz.jsonl")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := open(t, path)
		if err != nil {
			if d != nil || !strings.Contains(err.Error(), "fuzz.jsonl") && !strings.Contains(err.Error(), "no row is left") {
				t.Fatalf("dataset %v, error %v", d, err)
			}
			return
		}
		r := d.Report()
		if r.Rows != r.Kept+r.Empty+r.Dropped || d.Len() == 0 {
			t.Fatalf("%d examples, report %+v", d.Len(), r)
		}
		for i := range d.Len() {
			e := d.Example(i)
			if len(e.IDs) > 64 || len(e.Target) != len(e.IDs) || e.Target[0] || e.Targets() == 0 {
				t.Fatalf("example %d: %+v", i, e)
			}
		}
	})
}
