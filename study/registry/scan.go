package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// depth is how far below its folder an index looks: runs/NAME/runs/KEY of an ablation
// lies four deep.
const depth = 6

// What a folder may be.
type kind int

const (
	other kind = iota
	aRun
	aStudy
)

// The files that a run or a study is read from; when none of them changes, the index
// need not read the folder again.
var sources = map[kind][]string{
	aRun:   {recipeName, "run.json", "environment.json", "metrics.jsonl", "before.json", "after.json", failedName},
	aStudy: {resultName},
}

const (
	recipeName = "recipe.yaml"
	failedName = "failed.json"
	resultName = "result.json"
)

// A found is a folder that holds a run or a study.
type found struct {
	kind   kind
	folder string // relative to that of the index, with slashes
	stamp  string // sizes and times of its files
}

// Holds reports whether there is a run or a study below a folder. It writes nothing.
func Holds(ctx context.Context, dir string) (bool, error) {
	enough := errors.New("enough")
	err := walk(ctx, dir, ".", 0, func(found) error { return enough })
	if errors.Is(err, enough) {
		return true, nil
	}
	return false, err
}

// walk finds runs and studies at a folder and below it. What is hidden, what lies
// inside of a run, and links are passed over.
func walk(ctx context.Context, dir, folder string, level int, yield func(found) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	if err != nil {
		if level > 0 && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
			return nil // removed meanwhile, or somebody else's
		}
		return fmt.Errorf("looking for runs: %w", err)
	}
	if k := kindOf(folder, entries); k != other {
		return yield(found{k, folder, stamp(dir, folder, k)})
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || level == depth {
			continue
		}
		if err := walk(ctx, dir, path.Join(folder, e.Name()), level+1, yield); err != nil {
			return err
		}
	}
	return nil
}

// kindOf judges a folder by the names in it. A run whose recipe or record is lost is
// one too, so that it is listed.
func kindOf(folder string, entries []fs.DirEntry) kind {
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	switch {
	case has(resultName) && path.Base(path.Dir(folder)) == "studies":
		return aStudy
	case has("run.json"), has(failedName), has(recipeName) && has("checkpoints"):
		return aRun
	}
	return other
}

// stamp tells sizes and times of the files that a folder is read from.
func stamp(dir, folder string, k kind) string {
	var b strings.Builder
	for _, name := range sources[k] {
		if info, err := os.Stat(filepath.Join(dir, folder, name)); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// isThere reports whether a folder still holds a run or a study.
func isThere(dir, folder string, k kind) bool {
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	return err == nil && kindOf(folder, entries) == k
}
