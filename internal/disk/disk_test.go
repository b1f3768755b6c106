package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteFileReplacesWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	if err := WriteBytes(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	err := WriteFile(path, func(w io.Writer) error {
		_, _ = w.Write([]byte("half of the n"))
		return full
	})
	if !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("after a failed write the file holds %q", got)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("a failed write left %d files", len(names))
	}
	if err := WriteBytes(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "new" {
		t.Errorf("the file holds %q", got)
	}
}

func TestFree(t *testing.T) {
	if n, err := Free(t.TempDir()); err != nil || n == 0 {
		t.Errorf("Free = %d, %v", n, err)
	}
}

// A link stays a link: what it points to is replaced.
func TestWriteFileFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a.json"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o644), os.Symlink(path, link), WriteBytes(link, []byte("new"))); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "new" {
		t.Errorf("the file holds %q", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
}

func TestWriteFileToAFolder(t *testing.T) {
	dir := t.TempDir()
	if err := WriteBytes(dir, []byte("new")); err == nil || !strings.Contains(err.Error(), "writing "+dir) {
		t.Errorf("got %v", err)
	}
}

func TestWriteFolderReplacesWholeOrNotAtAll(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model") + string(filepath.Separator)
	put := func(name string, then error) func(string) error {
		return func(at string) error { return errors.Join(WriteBytes(filepath.Join(at, name), nil), then) }
	}
	if err := WriteFolder(dir, put("old", nil)); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	if err := WriteFolder(dir, put("new", full)); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "old")); err != nil {
		t.Errorf("after a failed write the old folder is gone: %v", err)
	}
	if names, _ := os.ReadDir(parent); len(names) != 1 {
		t.Errorf("a failed write left %d folders", len(names))
	}
	// What a killed process left aside is no part of the next folder.
	if err := errors.Join(os.Mkdir(filepath.Join(parent, Unfinished+"model"), 0o755), os.WriteFile(filepath.Join(parent, Unfinished+"model", "half"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := WriteFolder(dir, put("new", nil)); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != "new" {
		t.Errorf("the folder holds %v, %v", names, err)
	}
}
