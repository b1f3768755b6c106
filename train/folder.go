package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"gotune/internal/disk"
	"gotune/internal/kernel"
)

// The format of a run folder, and of what the arithmetic computes from the same
// recipe. A run of another number is refused.
const runFormat = 1

// Arithmetic names what is computed from a recipe, to the bit: one name for all
// levels of amd64 from AVX2 on, others for plain Go and for NEON, which treats the
// very smallest numbers differently.
func Arithmetic() string {
	switch kernel.Active() {
	case kernel.Generic:
		return "float32-2-generic"
	case kernel.NEON:
		return "float32-2-neon"
	}
	return "float32-2"
}

// bits names what is computed from the recipe, to the bit.
func (r Recipe) bits() string {
	switch {
	case r.arithmetic() == kernel.FP32:
		return Arithmetic()
	case kernel.Active() == kernel.AMX:
		return Arithmetic() + "+bf16-2-amx"
	}
	return Arithmetic() + "+bf16-2"
}

// The names inside a run folder.
const (
	recipeName      = "recipe.yaml"
	runName         = "run.json"
	environmentName = "environment.json"
	metricsName     = "metrics.jsonl"
	beforeName      = "before.json"
	afterName       = "after.json"
	checkpointsName = "checkpoints"
	adapterName     = "adapter"
	modelName       = "model"
	lockName        = "run.lock"
	boardName       = "tensorboard"
	templateName    = "chat_template.jinja"
)

// runRecord is run.json: what a resumed run must find unchanged, and how far the
// run has come.
type runRecord struct {
	Format     int    `json:"format"`
	Status     string `json:"status"` // running or finished
	Arithmetic string `json:"arithmetic"`
	Model      string `json:"model_sha256"`
	Tokenizer  string `json:"tokenizer_sha256"`
	Data       string `json:"data_sha256"`
	HeldOut    string `json:"held_out_sha256"` // of eval_data and retain_data
	Recipe     string `json:"recipe_sha256"`
	Steps      int    `json:"steps"`
	Stopped    string `json:"stopped,omitempty"` // why the run has no end, as far as it could say
}

// sameAs names the first thing that is not as it was when the run began. A run
// that was killed before it wrote its record has nothing to compare.
func (r runRecord) sameAs(was runRecord) error {
	if was.Format == 0 {
		return nil
	}
	for _, c := range []struct{ what, was, is string }{
		{"model or adapter", was.Model, r.Model}, {"tokenizer", was.Tokenizer, r.Tokenizer}, {"data", was.Data, r.Data},
		{"held-out data", was.HeldOut, r.HeldOut}, {"recipe", was.Recipe, r.Recipe},
	} {
		if c.was != c.is {
			return otherRun{fmt.Errorf("the %s is not what the run began with (SHA-256 %.12s…, was %.12s…)", c.what, c.is, c.was)}
		}
	}
	return nil
}

type environment struct {
	Started  time.Time `json:"started"`
	OS       string    `json:"os"`
	Arch     string    `json:"arch"`
	Go       string    `json:"go"`
	CPULevel string    `json:"cpu_level"`
	Threads  int       `json:"threads"`
	Cores    int       `json:"cores"`
}

// ErrLocked is what a second process gets that would work on a run (errors.Is).
var ErrLocked = errors.New("another process is working on this run")

// lockFile takes the lock of a run. It waits a moment for it, since [Describe] takes
// it too, to see whether the run is at work.
func lockFile(path string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	f, err := disk.WaitLock(ctx, path)
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("locking %s: %w", path, ErrLocked)
	}
	return f, err
}

// A folder is a run folder that this process holds the lock of.
type folder struct {
	path string
	lock *os.File
}

func (f *folder) join(names ...string) string {
	return filepath.Join(append([]string{f.path}, names...)...)
}

// newFolder makes the run folder, takes its lock, and writes recipe and
// environment.
func newFolder(r Recipe, template string, now time.Time) (*folder, error) {
	path, err := makeFolder(r.Output, now)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if f.lock, err = lockFile(f.join(lockName)); err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.join(recipeName)); err == nil {
		return nil, errors.Join(fmt.Errorf("output %s: %w", path, ErrLocked), f.close()) // another one has been faster
	}
	r.Output = "" // a repeated recipe gets a folder of its own
	raw, err := r.YAML()
	if err == nil {
		// Before the recipe, which makes the folder one that can be gone on with.
		err = os.MkdirAll(f.join(checkpointsName), 0o755)
	}
	if err == nil && template != "" {
		err = disk.WriteBytes(f.join(templateName), []byte(template))
	}
	if err == nil {
		err = disk.WriteBytes(f.join(recipeName), raw)
	}
	if err == nil {
		err = disk.WriteJSON(f.join(environmentName), environment{
			Started: now.UTC().Truncate(time.Second), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(),
			CPULevel: kernel.Active().String(), Threads: r.threads(), Cores: runtime.NumCPU(),
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run folder: %w", err), f.remove())
	}
	return f, nil
}

// begun reports whether a file is one that a run leaves which is killed before it has
// a recipe, and so cannot be gone on with.
func begun(output string, e fs.DirEntry) bool {
	if e.Name() == checkpointsName {
		inside, err := os.ReadDir(filepath.Join(output, checkpointsName))
		return err == nil && len(inside) == 0
	}
	return e.Name() == lockName || e.Name() == templateName || strings.Contains(e.Name(), ".tmp-")
}

// makeFolder makes the folder asked for, which must not exist or be empty, or
// the next runs/<date>-<n>.
func makeFolder(output string, now time.Time) (string, error) {
	if output != "" {
		entries, err := os.ReadDir(output)
		if err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !begun(output, e) }) {
			return "", fmt.Errorf("output %s exists and is not empty: name another folder, or go on with it by --resume", output)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("output: %w", err)
		}
		if err := os.MkdirAll(output, 0o755); err != nil {
			return "", fmt.Errorf("output: %w", err)
		}
		return output, nil
	}
	if err := os.MkdirAll("runs", 0o755); err != nil {
		return "", fmt.Errorf("run folder: %w", err)
	}
	for n := 1; ; n++ {
		path := filepath.Join("runs", fmt.Sprintf("%s-%d", now.Format("2006-01-02"), n))
		err := os.Mkdir(path, 0o755)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("run folder: %w", err)
		}
	}
}

// openFolder takes the lock of an existing run and reads its record and recipe.
func openFolder(path string) (*folder, runRecord, Recipe, error) {
	f := &folder{path: path}
	if _, err := os.Stat(f.join(recipeName)); err != nil {
		return nil, runRecord{}, Recipe{}, fmt.Errorf("%s is no run folder: %w", path, err)
	}
	var err error
	if f.lock, err = lockFile(f.join(lockName)); err != nil {
		return nil, runRecord{}, Recipe{}, err
	}
	r, record, err := f.read()
	if err == nil && record.Format != 0 && record.Arithmetic != r.bits() {
		err = otherRun{fmt.Errorf("%s: the run was computed by the arithmetic %q, this program has %q: its bits would differ", f.join(runName), record.Arithmetic, r.bits())}
	}
	if err != nil {
		return nil, record, r, errors.Join(err, f.close())
	}
	return f, record, r, nil
}

// read reads the record of a run, which is empty if it was killed before it wrote
// one, and its recipe. The format is judged first: a recipe of another format may
// have keys that this program does not know.
func (f *folder) read() (Recipe, runRecord, error) {
	var record runRecord
	r := DefaultRecipe()
	raw, err := os.ReadFile(f.join(runName))
	if err == nil {
		err = json.Unmarshal(raw, &record)
		if err == nil && record.Format != runFormat {
			err = otherRun{fmt.Errorf("the run has format %d, this program knows %d", record.Format, runFormat)}
		}
		if err != nil {
			return r, record, fmt.Errorf("%s: %w", f.join(runName), err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return r, record, fmt.Errorf("%s is no run folder: %w", f.path, err)
	}
	raw, err = os.ReadFile(f.join(recipeName))
	if err != nil {
		return r, record, fmt.Errorf("%s is no run folder: %w", f.path, err)
	}
	return r, record, r.Parse(f.join(recipeName), raw)
}

func (f *folder) close() error {
	if f.lock == nil {
		return nil
	}
	return f.lock.Close() // gives the lock up
}

// remove undoes newFolder after an error before the first step.
func (f *folder) remove() error {
	err := f.close()
	err = errors.Join(err, os.RemoveAll(f.path))
	if filepath.Dir(f.path) == "runs" {
		os.Remove("runs") // stays if other runs are in it
	}
	return err
}
