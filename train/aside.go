package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrOtherRun is what [Resume] returns where a run cannot be gone on with, since it
// would be another one: what it began with has changed, or this program has another
// arithmetic or format (errors.Is). [SetAside] makes room for it to begin anew.
var ErrOtherRun = errors.New("the run would be another one")

// otherRun marks an error as ErrOtherRun.
type otherRun struct{ error }

func (otherRun) Is(target error) bool { return target == ErrOtherRun }

func (o otherRun) Unwrap() error { return o.error }

// SetAside renames the folder of a run to the first of path.aside-1, path.aside-2 and so
// on that there is not, and returns that name: nothing in the folder changes. was is the
// folder as it was when Resume was called; if another process has put a new one in its
// place since, or is at work on it, the error is ErrLocked.
func SetAside(path string, was fs.FileInfo) (aside string, err error) {
	lock, err := lockFile(filepath.Join(path, lockName))
	if err != nil {
		return "", fmt.Errorf("setting %s aside: %w", path, err)
	}
	held := true
	defer func() {
		if held {
			err = errors.Join(err, lock.Close())
		}
	}()
	now, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("setting a run aside: %w", err)
	}
	if !os.SameFile(was, now) {
		return "", fmt.Errorf("setting %s aside: it is a new one: %w", path, ErrLocked)
	}
	for n := 1; ; n++ {
		aside = fmt.Sprintf("%s.aside-%d", path, n)
		if _, err := os.Lstat(aside); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("setting %s aside: %w", path, err)
		}
		if runtime.GOOS == "windows" { // which renames no folder with an open file in it
			held = false
			if err := lock.Close(); err != nil {
				return "", fmt.Errorf("setting %s aside: %w", path, err)
			}
		}
		if err := os.Rename(path, aside); err != nil {
			return "", fmt.Errorf("setting a run aside: %w", err)
		}
		return aside, nil
	}
}
