package registry

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// index returns the bytes of a whole index, in one file.
func index(t *testing.T, dir string) []byte {
	t.Helper()
	if err := Sync(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// foreign is a database of another program.
func foreign(t *testing.T, statements ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// An index that is damaged, of another program or gone is made anew from the folders,
// and the damaged file is kept.
func TestDamage(t *testing.T) {
	dir := lab(t)
	whole := index(t, dir)
	r := opened(t, dir)
	want := dump(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	holed := bytes.Clone(whole)
	for i := 4096; i < 3*4096; i++ {
		holed[i] = byte(i * 7)
	}
	tests := []struct {
		name   string
		raw    []byte
		intact bool // nothing is set aside
	}{
		{"truncated", whole[:len(whole)/2], false},
		{"cut inside the header", whole[:50], false},
		{"garbage", bytes.Repeat([]byte("no database\n"), 1000), false},
		{"garbage in its pages", holed, false},
		{"wrong schema", foreign(t, "CREATE TABLE runs (id INTEGER)"), false},
		{"wrong schema of this version", foreign(t, "CREATE TABLE runs (id INTEGER)", fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)), false},
		{"empty", nil, true},
		{"deleted", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asides, path := filepath.Join(dir, indexName+".damaged-*"), filepath.Join(dir, indexName)
			before, _ := filepath.Glob(asides)
			for _, suffix := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(path + suffix)
			}
			if tt.name != "deleted" {
				write(t, path, string(tt.raw))
			}
			r := synced(t, dir)
			if d := cmp.Diff(want, dump(t, r)); d != "" {
				t.Error(d)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			after, _ := filepath.Glob(asides)
			if tt.intact {
				if len(after) != len(before) {
					t.Errorf("set aside: %v", after)
				}
				return
			}
			kept, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s.damaged-%d", indexName, len(before)+1)))
			if err != nil || !bytes.Equal(kept, tt.raw) {
				t.Errorf("the damaged file is not kept as it was: %d bytes of %d, %v", len(kept), len(tt.raw), err)
			}
		})
	}
}

// An index of a newer program is left alone.
func TestNewerVersion(t *testing.T) {
	dir := lab(t)
	raw := foreign(t, "CREATE TABLE runs (id INTEGER)", fmt.Sprintf("PRAGMA user_version = %d", schemaVersion+1))
	path := filepath.Join(dir, indexName)
	write(t, path, string(raw))
	_, err := Open(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "use a newer gotune") || !strings.Contains(err.Error(), path) {
		t.Errorf("error: %v", err)
	}
	asides, _ := filepath.Glob(path + ".damaged-*")
	if len(asides) > 0 {
		t.Errorf("set aside: %v", asides)
	}
}

// Variables of the environment that make this test binary a process that writes.
const (
	writerDir  = "REGISTRY_TEST_DIR"
	writerName = "REGISTRY_TEST_NAME"
)

const writerRuns = 12

// TestWriter is a process of TestProcesses.
func TestWriter(t *testing.T) {
	dir, name := os.Getenv(writerDir), os.Getenv(writerName)
	if dir == "" {
		return // it is started by TestProcesses alone
	}
	for i := range writerRuns {
		run := fmt.Sprintf("%s-%d", name, i)
		for _, steps := range []int{2, 4} { // other processes see the run before it is finished
			sample{name: run, started: noon, steps: steps, loss: float64(i)}.write(t, filepath.Join(dir, "runs"))
			if err := Sync(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
		}
		if i%4 == 0 {
			writeStudy(t, dir, result(run, run))
			if err := Sync(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Several processes that write one index at once, which is damaged when they begin,
// lose nothing and set the damaged one aside once.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, indexName), strings.Repeat("no database", 1000))
	const processes = 3
	var all [processes]*exec.Cmd
	var said [processes]bytes.Buffer
	for i := range all {
		c := exec.Command(os.Args[0], "-test.run=^TestWriter$")
		c.Env = append(os.Environ(), writerDir+"="+dir, fmt.Sprintf("%s=p%d", writerName, i))
		c.Stdout, c.Stderr = &said[i], &said[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all[i] = c
	}
	for i, c := range all {
		if err := c.Wait(); err != nil {
			t.Fatalf("%v: %s", err, said[i].String())
		}
	}
	r := opened(t, dir) // without bringing it up to date
	finished := listed(t, r, Filter{Status: "finished"})
	studies, err := r.Studies(t.Context())
	if len(finished) != processes*writerRuns || len(studies) != processes*writerRuns/4 || err != nil {
		t.Errorf("%d runs, %d studies, %v", len(finished), len(studies), err)
	}
	had := dump(t, r)
	if err := r.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(dump(t, r), had); d != "" {
		t.Errorf("what the processes wrote is not what the folders hold: %s", d)
	}
	if asides, _ := filepath.Glob(filepath.Join(dir, indexName+".damaged-*")); len(asides) != 1 {
		t.Errorf("set aside: %v", asides)
	}
}
