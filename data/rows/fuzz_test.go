package rows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gotune/data/rows"
)

// Whatever a file holds, it is read or refused with an error that names it, and
// reading it again gives the same.
func FuzzRead(f *testing.F) {
	names := []string{"a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.parquet", "a.jsonl.gz", "a", "a.csv.gz", "a.bars"}
	for i, content := range []string{
		`{"text":"one"}` + "\n" + `{"text":"two"}`,
		`{"v":1,"data":[{"messages":[{"role":"user","content":[{"type":"text","text":"a"}],"weight":0}],"tools":"[]"}],"n":{}}`,
		"prompt,completion\n\"a\"\"b\",c\n",
		"instruction\tinput\toutput\n1\t2\t3\n",
		"text",
		"PAR1",
		packed(f, `{"conversations":[{"from":"human","value":"a"},{"from":"function_call","value":"{}"}],"system":"s"}`),
		`{"chosen":[{"role":"user","content":"u"}],"rejected":[{"role":"user","content":"u"}],"prompt":"p"}`,
		packed(f, "text\na\n"),
		"question|answer\n{}|\n\xff|1\n",
	} {
		f.Add(i, []byte(content), "")
		f.Add(i, []byte(content), "prompt=a.0.b,completion=text")
	}
	parquets, err := filepath.Glob("testdata/*.parquet")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range parquets {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(5, content, "")
	}
	f.Fuzz(func(t *testing.T, kind int, content []byte, list string) {
		columns, err := rows.ParseColumns(list)
		if err != nil {
			return
		}
		path := write(t, names[uint(kind)%uint(len(names))], string(content))
		c := rows.Config{Paths: []string{path}, Columns: columns, Limits: rows.Limits{Row: 1 << 20, Unpacked: 1 << 22}}
		s, first, err := read(t, c)
		if err != nil {
			if !strings.Contains(err.Error(), filepath.Base(path)) {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		_, second, err := read(t, c)
		if err != nil || len(first) != len(second) {
			t.Fatalf("read %d rows, then %d, %v", len(first), len(second), err)
		}
		for i, r := range first {
			if show(r) != show(second[i]) || !utf8.ValidString(show(r)) || r.Form == rows.Unknown || r.Index != i {
				t.Fatalf("row %d: %q, then %q", i, show(r), show(second[i]))
			}
		}
		if len(s.Fingerprint()) != 64 || len(first) == 0 {
			t.Errorf("%d rows, fingerprint %q", len(first), s.Fingerprint())
		}
	})
}

func FuzzParseColumns(f *testing.F) {
	for _, list := range []string{"", "text=a", "alpaca", "prompt=a.0.b, completion=c", "messages=m,system=s,tools=t"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		c, err := rows.ParseColumns(list)
		if err != nil {
			return
		}
		if again, err := rows.ParseColumns(c.String()); err != nil || again != c {
			t.Errorf("%q: %q reads back as %+v, %v", list, c, again, err)
		}
	})
}
