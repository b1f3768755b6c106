package rows_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data/rows"
)

func TestParquet(t *testing.T) {
	tests := []struct {
		file, columns, said string
		want                []string
	}{
		{"messages", "", "parquet, messages (messages=messages)", []string{"user: q1 | assistant: a1 ×0.5", "", "user: ü\n\"x\""}},
		{"nested", "prompt=task,completion=instances.0.output", "parquet, prompt/completion (prompt=task,completion=instances.0.output)", []string{"i → y", "j → z"}},
		{"nested", "instruction=task,input=instances.0.input,output=instances.0.output", "parquet, messages (instruction=task,input=instances.0.input,output=instances.0.output)",
			[]string{"user: i\n\nx | assistant: y", "user: j | assistant: z"}},
	}
	for _, tt := range tests {
		columns, err := rows.ParseColumns(tt.columns)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", tt.file+".parquet")
		s, all, err := read(t, rows.Config{Paths: []string{path}, Columns: columns})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Files()[0].String(); got != path+": "+tt.said {
			t.Errorf("said %s", got)
		}
		var got []string
		for i, r := range all {
			got = append(got, show(r))
			if r.At.Line != i+1 {
				t.Errorf("row %d stands at %s", i, r.At)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Error(d)
		}
	}
	_, all, err := read(t, rows.Config{Paths: []string{"testdata/messages.parquet"}})
	if err != nil || string(all[2].Conversation.Tools) != `[{"name":"add"}]` || all[0].Conversation.Messages[0].Extra != nil {
		t.Errorf("tools %s, extra %v, %v", all[2].Conversation.Tools, all[0].Conversation.Messages[0].Extra, err)
	}
}

// Every way in which pyarrow packs and encodes a column, several row groups
// with several pages each; also through gzip and from standard input.
func TestParquetCodecs(t *testing.T) {
	var want []string
	for i := range 1000 {
		want = append(want, fmt.Sprintf("text %d", i))
	}
	check := func(name string, c rows.Config) {
		t.Helper()
		s, all, err := read(t, c)
		if err != nil {
			t.Fatal(name, err)
		}
		if d := cmp.Diff(want, texts(all)); d != "" {
			t.Error(name, d)
		}
		if s.Files()[0].Format != "parquet" || len(s.Fingerprint()) != 64 {
			t.Error(s.Files()[0], s.Fingerprint())
		}
	}
	for _, name := range []string{"none", "zstd", "gzip", "brotli", "lz4", "delta"} {
		path := filepath.Join("testdata", name+".parquet")
		check(name, rows.Config{Paths: []string{path}})
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		check(name+" packed", rows.Config{Paths: []string{write(t, "a.parquet.gz", packed(t, string(b)))}})
		check(name+" from a pipe", rows.Config{Paths: []string{"-"}, Stdin: strings.NewReader(string(b))})
	}
}

func TestParquetRefuses(t *testing.T) {
	none, err := os.ReadFile("testdata/none.parquet")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, content, columns, want string }{
		{"cut off", string(none[:len(none)/2]), "", "a.parquet: not a whole Parquet file: it does not end in PAR1"},
		{"only the mark", "PAR1", "", "a.parquet: not a whole Parquet file"},
		{"no Parquet", "text\n", "", "a.parquet: "},
		{"a length that is none", string(none[:len(none)-8]) + "\xff\xff\xff\x7fPAR1", "", "a.parquet: the Parquet file is damaged: a footer of 2147483647 bytes"},
		{"no such column", string(none), "text=body", `a.parquet: row 1: no column "body": the row has "text"`},
	}
	for _, tt := range tests {
		columns, err := rows.ParseColumns(tt.columns)
		if err != nil {
			t.Fatal(err)
		}
		path := write(t, "a.parquet", tt.content)
		_, _, err = read(t, rows.Config{Paths: []string{path}, Columns: columns})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	_, _, err = read(t, rows.Config{Paths: []string{"testdata/nested.parquet"}})
	if err == nil || !strings.Contains(err.Error(), `row 1: no known columns: the row has "instances", "meta", "n", "nested", "raw", "task"`) {
		t.Error(err)
	}
	for columns, want := range map[string]string{
		"text=n":        `column "n" holds a number`,
		"text=meta.a.b": `column "meta.a.b" holds a list`,
		"text=raw":      `column "raw" holds a null`,
		"text=meta":     `column "meta" holds an object`,
	} {
		c, err := rows.ParseColumns(columns)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = read(t, rows.Config{Paths: []string{"testdata/nested.parquet"}, Columns: c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", columns, err)
		}
	}
	if _, all, err := read(t, rows.Config{Paths: []string{"testdata/nested.parquet"}, Columns: rows.Columns{Text: "meta.a.b.1"}}); err == nil || len(all) != 1 || all[0].Text != "d" ||
		!strings.Contains(err.Error(), `row 2: no column "meta.a.b.1": meta.a holds a null`) {
		t.Errorf("%v, %v", texts(all), err)
	}
}
