package rows_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data/rows"
	"gotune/data/world"
)

// folder makes files by name and returns the folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func texts(list []*rows.Row) (all []string) {
	for _, r := range list {
		all = append(all, r.Text)
	}
	return all
}

func TestFolder(t *testing.T) {
	dir := folder(t, map[string]string{
		"b.jsonl":         `{"text":"3"}`,
		"a/2.csv":         "text\n2\n",
		"a/1.json.gz":     packed(t, `[{"text":"1"}]`),
		"c.jsonl":         "",
		"README.md":       "what this is",
		"pic.png":         "\x89PNG",
		".cache/x.jsonl":  "broken",
		"z.NDJSON":        `{"text":"4"}`,
		"a/.hidden.jsonl": "broken",
	})
	s, all, err := read(t, rows.Config{Paths: []string{dir, filepath.Join(dir, "b.jsonl")}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1", "2", "3", "4", "3"}, texts(all)); d != "" {
		t.Error(d)
	}
	var passed []string
	for _, p := range s.PassedOver() {
		p, _ = filepath.Rel(dir, p)
		passed = append(passed, filepath.ToSlash(p))
	}
	if d := cmp.Diff([]string{"pic.png", "README.md", "c.jsonl"}, passed); d != "" {
		t.Error(d)
	}
	if all[2].Index != 2 || all[2].At.Path != filepath.Join(dir, "b.jsonl") || all[2].At.Line != 1 {
		t.Errorf("row 2 is %+v", all[2])
	}

	nothing := folder(t, map[string]string{"a.jsonl": ""})
	if _, _, err := read(t, rows.Config{Paths: []string{dir, nothing}}); err == nil || !strings.Contains(err.Error(), nothing+" has no rows: all its files are empty") {
		t.Errorf("a folder of empty files behind another: %v", err)
	}

	_, all, err = read(t, rows.Config{Paths: []string{dir}, Format: "text"})
	if err != nil || len(all) != 1 || all[0].Text != "what this is" {
		t.Errorf("as text: %v, %v", texts(all), err)
	}
	_, all, err = read(t, rows.Config{Paths: []string{folder(t, map[string]string{"b.md": "b", "a.txt": "a"})}})
	if d := cmp.Diff([]string{"a", "b"}, texts(all)); d != "" || err != nil {
		t.Error(d, err)
	}
}

// What is said about a file can be kept in JSON.
func TestFileInJSON(t *testing.T) {
	s, err := rows.Open(t.Context(), rows.Config{Paths: []string{write(t, "a.csv.gz", packed(t, "question,answer\nq,a\n"))}, Columns: rows.Columns{Prompt: "question", Completion: "answer"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s.Files()[0])
	if err != nil {
		t.Fatal(err)
	}
	var f rows.File
	if err := json.Unmarshal(b, &f); err != nil || f.String() != s.Files()[0].String() {
		t.Errorf("%s reads back as %s, %v", b, f, err)
	}
	if !strings.Contains(string(b), `"form":"prompt/completion","columns":"prompt=question,completion=answer"`) {
		t.Errorf("%s", b)
	}
	if err := json.Unmarshal([]byte(`{"form":"prose"}`), &f); err == nil {
		t.Error("an unknown form is read")
	}
}

// A named pipe, such as the shell's <(zcat file), is opened once.
func TestPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Skip(err)
	}
	defer r.Close()
	path := "/dev/fd/" + strconv.Itoa(int(r.Fd()))
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	go func() {
		io.WriteString(w, "{\"text\":\"1\"}\n{\"text\":\"2\"}\n") // the test fails if this does
		w.Close()
	}()
	_, all, err := read(t, rows.Config{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1", "2"}, texts(all)); d != "" {
		t.Error(d)
	}
}

func TestFolderRefuses(t *testing.T) {
	outside := write(t, "secret.jsonl", `{"text":"secret"}`)
	tests := []struct {
		name   string
		make   func(dir string) error
		format string
		want   string
	}{
		{"nothing", func(string) error { return nil }, "", "has no file of a known format; the names of data files end in .jsonl"},
		{"nothing of the format", func(dir string) error { return os.WriteFile(filepath.Join(dir, "a.csv"), []byte("text\na\n"), 0o600) }, "parquet", "end in .parquet"},
		{"only empty files", func(dir string) error { return os.WriteFile(filepath.Join(dir, "a.csv"), nil, 0o600) }, "", "all its files are empty"},
		{"a link out", func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "a.jsonl")) }, "", "out of the folder"},
		{"a relative link out", func(dir string) error {
			return os.Symlink("../../../../../../../../etc/passwd", filepath.Join(dir, "a.jsonl"))
		}, "", "out of the folder"},
		{"a linked folder outside", func(dir string) error { return os.Symlink(filepath.Dir(outside), filepath.Join(dir, "sub")) }, "", "out of the folder"},
		{"a link to itself", func(dir string) error { return os.Symlink("a.jsonl", filepath.Join(dir, "a.jsonl")) }, "", "leads nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tt.make(dir); err != nil {
				t.Skip(err) // links need a right on some systems
			}
			if _, err := rows.Open(t.Context(), rows.Config{Paths: []string{dir}, Format: tt.format}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// Links inside the folder give each file once, and a loop of folders ends.
func TestFolderFollowsLinksInside(t *testing.T) {
	dir := folder(t, map[string]string{"a.jsonl": `{"text":"a"}`, ".blobs/77": `{"text":"b"}`})
	for link, target := range map[string]string{"loop": ".", "again.jsonl": "a.jsonl", "b.jsonl": ".blobs/77"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	_, all, err := read(t, rows.Config{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b"}, texts(all)); d != "" {
		t.Error(d)
	}
}

// A file replaced by a link out of the folder after Open is not read either.
func TestFolderIsNotLeftLater(t *testing.T) {
	dir := folder(t, map[string]string{"a.jsonl": `{"text":"a"}`})
	s, err := rows.Open(t.Context(), rows.Config{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.jsonl")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(write(t, "b.jsonl", `{"text":"secret"}`), path); err != nil {
		t.Skip(err)
	}
	for r, err := range s.All(t.Context()) {
		if err == nil {
			t.Fatalf("read %q", r.Text)
		}
	}
}

func TestStandardInputIsReadOnce(t *testing.T) {
	content := `{"text":"1"}` + "\n" + `{"text":"2"}` + "\n"
	for name, in := range map[string]io.Reader{
		"plain": strings.NewReader(content),
		"gzip":  strings.NewReader(packed(t, content)),
		"slow":  io.MultiReader(strings.NewReader(content[:5]), strings.NewReader(content[5:])),
	} {
		s, err := rows.Open(t.Context(), rows.Config{Paths: []string{"-"}, Stdin: in})
		if err != nil {
			t.Fatal(name, err)
		}
		var all []*rows.Row
		for r, err := range s.All(t.Context()) {
			if err != nil {
				t.Fatal(name, err)
			}
			all = append(all, r)
		}
		if d := cmp.Diff([]string{"1", "2"}, texts(all)); d != "" {
			t.Error(name, d)
		}
		sum := sha256.Sum256([]byte(content))
		if name != "gzip" && s.Fingerprint() != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: fingerprint %s", name, s.Fingerprint())
		}
		for _, err := range s.All(t.Context()) {
			if err == nil || !strings.Contains(err.Error(), "can be read only once") {
				t.Errorf("%s: a second pass gives %v", name, err)
			}
		}
		if _, err := s.Identity(); err == nil {
			t.Error("standard input has an identity")
		}
	}
	_, err := rows.Open(t.Context(), rows.Config{Paths: []string{"-", "-"}, Stdin: strings.NewReader(content)})
	if err == nil || !strings.Contains(err.Error(), "standard input can be read only once; name - once") {
		t.Errorf("- twice: %v", err)
	}
}

func TestFingerprintIsThatOfTheBytes(t *testing.T) {
	files := []string{
		write(t, "a.jsonl", `{"text":"1"}`+"\n"), write(t, "b.txt", "two"), write(t, "c.csv", "text\n3\n\n\n"),
		write(t, "d.json", `[{"text":"4"}]`+strings.Repeat(" ", 1<<20)), write(t, "e.jsonl.gz", packed(t, `{"text":"5"}`)),
	}
	h := sha256.New()
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(b)
	}
	s, err := rows.Open(t.Context(), rows.Config{Paths: files})
	if err != nil {
		t.Fatal(err)
	}
	for range s.All(t.Context()) {
		break
	}
	if s.Fingerprint() != "" {
		t.Error("a fingerprint before everything was read")
	}
	for pass := range 2 {
		for _, err := range s.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, want := s.Fingerprint(), hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("pass %d: %s, want %s", pass, got, want)
		}
	}

	first, err := s.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[1], []byte("TWO"), 0o600); err != nil {
		t.Fatal(err)
	}
	if second, err := s.Identity(); err != nil || first == second {
		t.Errorf("a changed file has the same identity; %v", err)
	}
}

// A corpus of the toy world reads like the file that is written of it.
func TestWorldIsItsFile(t *testing.T) {
	w := world.Generate(world.Config{Seed: world.DefaultSeed})
	dir := t.TempDir()
	if err := w.Write(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"chat", "heldout", "recall", "cpt", "near", "preference"} {
		s, made, err := read(t, rows.Config{Paths: []string{"world:" + name}})
		if err != nil {
			t.Fatal(err)
		}
		f, written, err := read(t, rows.Config{Paths: []string{filepath.Join(dir, name+".jsonl")}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range append(made, written...) {
			r.At.Path = ""
		}
		if d := cmp.Diff(made, written); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if s.Fingerprint() != f.Fingerprint() {
			t.Errorf("%s: fingerprints differ", name)
		}
		if s.Files()[0].Format != "world" {
			t.Errorf("%s is said to be %s", name, s.Files()[0])
		}
		if _, err := s.Identity(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefusesPaths(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		config rows.Config
		want   string
	}{
		{rows.Config{}, "name at least one file"},
		{rows.Config{Paths: []string{filepath.Join(dir, "none.jsonl")}}, "none.jsonl: no such file"},
		{rows.Config{Paths: []string{"world:chess"}}, `no corpus "chess"`},
		{rows.Config{Paths: []string{"world:cpt?noise=1"}}, `world:cpt?noise=1: the corpus cpt has no option "noise"`},
		{rows.Config{Paths: []string{"world:chat"}, Columns: rows.Columns{Text: "t"}}, `leave out "text=t"`},
		{rows.Config{Paths: []string{"a.jsonl"}, Columns: rows.Columns{Prompt: "t"}}, "prompt and completion together"},
		{rows.Config{Paths: []string{"a.jsonl"}, Format: "xml"}, `unknown format "xml": it can be auto, jsonl, json, csv, text, parquet`},
	}
	for _, tt := range tests {
		if _, err := rows.Open(t.Context(), tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want one with %q", tt.config.Paths, err, tt.want)
		}
	}
}

func TestAllStopsWithTheContext(t *testing.T) {
	s, err := rows.Open(t.Context(), rows.Config{Paths: []string{"world:pretrain"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err = range s.All(ctx) {
		if n++; n == 10 {
			cancel()
		}
	}
	if n != 11 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d rows and the error %v", n, err)
	}
}

func TestZipBombIsRefused(t *testing.T) {
	bomb := packed(t, `{"text":"`+strings.Repeat("a", 20<<20)+`"}`)
	path := write(t, "a.jsonl.gz", bomb)
	_, _, err := read(t, rows.Config{Paths: []string{path}})
	if err == nil || !strings.Contains(err.Error(), "a.jsonl.gz:1: unpacks to more than 200 times its size") {
		t.Errorf("error %v", err)
	}
	good := packed(t, strings.Repeat(`{"text":"a"}`+"\n", 1000))
	_, _, err = read(t, rows.Config{Paths: []string{write(t, "a.jsonl.gz", good)}, Limits: rows.Limits{Unpacked: 10_000}})
	if err == nil || !strings.Contains(err.Error(), "unpacks to more than 10000 bytes") {
		t.Errorf("error %v", err)
	}
	if _, all, err := read(t, rows.Config{Paths: []string{path}, Limits: rows.Limits{Ratio: 2000}}); err != nil || len(all) != 1 {
		t.Errorf("with a higher limit: %d rows, %v", len(all), err)
	}
}

func TestRowsAreBounded(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	limits := rows.Limits{Row: 512 << 10}
	tests := map[string]string{
		"a.jsonl": `{"text":"` + long + `"}`,
		"a.json":  `[{"text":"` + long + `"}]`,
		"a.csv":   "text\n\"" + long + "\"\n",
		"a.txt":   long,
	}
	for name, content := range tests {
		path := write(t, name, content)
		if _, _, err := read(t, rows.Config{Paths: []string{path}, Limits: limits}); err == nil || !strings.Contains(err.Error(), "of more than 512 KiB") {
			t.Errorf("%s: error %v", name, err)
		}
		if _, all, err := read(t, rows.Config{Paths: []string{path}}); err != nil || len(all[0].Text) != len(long) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A list that is larger than the memory it takes to read it.
func TestReadingTakesConstantMemory(t *testing.T) {
	row := `{"text":"` + strings.Repeat("a", 1000) + `"}`
	tests := map[string]io.Reader{
		"jsonl": generated("", row, "\n", "", 50_000),
		"json":  generated(`{"data":[`, row, ",\n", "]}", 50_000),
		"csv":   generated("text\n", strings.Repeat("a", 1000), "\n", "", 50_000),
	}
	for format, in := range tests {
		s, err := rows.Open(t.Context(), rows.Config{Paths: []string{"-"}, Format: format, Stdin: in})
		if err != nil {
			t.Fatal(err)
		}
		n, most := 0, int64(0)
		next, stop := iter.Pull2(s.All(t.Context()))
		for {
			_, err, ok := next()
			if !ok {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if n++; n%10_000 == 0 {
				most = max(most, heap())
			}
		}
		stop()
		if n != 50_000 || most > 20<<20 {
			t.Errorf("%s: %d rows, %d bytes in use", format, n, most)
		}
	}
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// generated gives n rows without holding them.
func generated(before, row, between, after string, n int) io.Reader {
	return &generator{left: n, row: row, between: between, after: after, buffer: *bytes.NewBufferString(before)}
}

type generator struct {
	buffer              bytes.Buffer
	row, between, after string
	left                int
}

func (g *generator) Read(p []byte) (int, error) {
	for g.left > 0 && g.buffer.Len() < len(p) {
		g.buffer.WriteString(g.row)
		if g.left--; g.left > 0 {
			g.buffer.WriteString(g.between)
		} else {
			g.buffer.WriteString(g.after)
		}
	}
	return g.buffer.Read(p)
}
