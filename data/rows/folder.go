package rows

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// expand returns the files that a path stands for, and the files of a folder
// that are passed over.
func expand(ctx context.Context, name, format string) (files []File, passed []string, err error) {
	if name == stdinPath || strings.HasPrefix(name, worldPrefix) {
		return []File{{Path: name}}, nil, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err // names the path
	}
	if !info.IsDir() {
		return []File{{Path: name}}, nil, nil
	}
	f := folder{path: name}
	if f.root, err = os.OpenRoot(name); err != nil {
		return nil, nil, err
	}
	defer f.root.Close()
	if f.real, err = filepath.EvalSymlinks(name); err != nil {
		return nil, nil, err
	}
	if err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("folder %s: %w", f.path, err)
		}
		return f.visit(name, d)
	}); err != nil {
		return nil, nil, err
	}
	files, passed = f.choose(format)
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("the folder %s has no file of a known format; the names of data files end in %s", name, strings.Join(endings(format), ", "))
	}
	return files, passed, nil
}

// A folder collects the files below a path.
type folder struct {
	path, real string
	root       *os.Root
	found      []string // of known endings, by name below the folder
	passed     []string
}

// visit takes one entry. Links are followed to files inside the folder only;
// a linked file that will be read under its own name is not read twice.
func (f *folder) visit(name string, d fs.DirEntry) error {
	if name == "." {
		return nil
	}
	if strings.HasPrefix(d.Name(), ".") {
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if d.IsDir() {
		return nil
	}
	known := ofEnding(name) != ""
	if d.Type()&fs.ModeSymlink != 0 {
		info, err := f.root.Stat(filepath.FromSlash(name))
		switch {
		case err != nil:
			return fmt.Errorf("folder %s: the link %s leads nowhere or out of the folder, and is not followed: %w", f.path, name, err)
		case info.IsDir():
			known = false // its files are met where they lie
		case known:
			known = !f.metElsewhere(name)
		}
	} else if !d.Type().IsRegular() {
		known = false
	}
	if known {
		f.found = append(f.found, name)
	} else {
		f.passed = append(f.passed, name)
	}
	return nil
}

// metElsewhere says whether the target of a link is a file that the folder
// gives by its own name.
func (f *folder) metElsewhere(name string) bool {
	target, err := filepath.EvalSymlinks(filepath.Join(f.real, filepath.FromSlash(name)))
	if err != nil {
		return false
	}
	below, err := filepath.Rel(f.real, target)
	if err != nil || ofEnding(below) == "" {
		return false
	}
	for _, part := range strings.Split(filepath.ToSlash(below), "/") {
		if strings.HasPrefix(part, ".") {
			return false
		}
	}
	return true
}

// choose parts the files that are read from those that are not.
func (f *folder) choose(format string) (files []File, passed []string) {
	onlyText := true
	for _, name := range f.found {
		onlyText = onlyText && ofEnding(name) == "text"
	}
	for _, name := range f.passed {
		passed = append(passed, filepath.Join(f.path, filepath.FromSlash(name)))
	}
	for _, name := range f.found {
		full := filepath.Join(f.path, filepath.FromSlash(name))
		kind := ofEnding(path.Base(name))
		wanted := onlyText || kind != "text"
		if format != "" && format != "auto" {
			wanted = kind == format || kind == "json" && format == "jsonl"
		}
		if wanted {
			files = append(files, File{Path: full, root: f.path, name: name})
		} else {
			passed = append(passed, full)
		}
	}
	return files, passed
}

// endings lists the endings of the files of a format, of all where none is set.
func endings(format string) []string {
	var all []string
	for _, f := range knownFormats() {
		if format == "" || format == "auto" || format == f.Name {
			all = append(all, f.Endings...)
		}
	}
	return all
}
