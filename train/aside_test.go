package train

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A run is set aside under a name that is free, unless another process is at work on it
// or has put a new folder in its place.
func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	begin := func(text string) os.FileInfo {
		t.Helper()
		err := os.Mkdir(path, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(path, "text"), []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := begin("first")
	lock, err := lockFile(filepath.Join(path, lockName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SetAside(path, first); !errors.Is(err, ErrLocked) {
		t.Errorf("at work: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if aside, err := SetAside(path, first); err != nil || aside != path+".aside-1" {
		t.Errorf("%s, %v", aside, err)
	}
	second := begin("second")
	if _, err := SetAside(path, first); !errors.Is(err, ErrLocked) {
		t.Errorf("a new folder: %v", err)
	}
	if aside, err := SetAside(path, second); err != nil || aside != path+".aside-2" {
		t.Errorf("%s, %v", aside, err)
	}
	for name, want := range map[string]string{".aside-1": "first", ".aside-2": "second"} {
		if got, err := os.ReadFile(filepath.Join(path+name, "text")); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v)", name, got, err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the place is not free: %v", err)
	}
}
