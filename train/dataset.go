package train

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"gotune/data"
	"gotune/data/rows"
	"gotune/internal/yamlnode"
)

// A Dataset is an entry of data in a recipe: a path alone, or a mapping that says
// how much of it is taken. At most one of rows, repeat and weight is given.
type Dataset struct {
	Path    string  `yaml:"path" help:"file, folder, - for standard input, or a corpus such as world:chat"`
	Rows    int     `yaml:"rows,omitempty" range:"0,2147483647" help:"take so many rows: a random part, or all of them several times"`
	Repeat  float64 `yaml:"repeat,omitempty" range:"0,1e9" help:"take the rows so many times in an epoch"`
	Weight  float64 `yaml:"weight,omitempty" range:"0,1e9" help:"take this share of the rows of an epoch, relative to the other weights"`
	Columns string  `yaml:"columns,omitempty" help:"which columns to read, in place of the stage's"`
	Format  string  `yaml:"format,omitempty" help:"format of the file, in place of the stage's data_format"`
}

// Datasets is a list of entries. As a flag it is a list of paths.
type Datasets []Dataset

// Paths returns entries that are paths alone.
func Paths(paths ...string) Datasets {
	var d Datasets
	for _, p := range paths {
		d = append(d, Dataset{Path: p})
	}
	return d
}

// plainDataset is a Dataset without its methods.
type plainDataset Dataset

// UnmarshalYAML reads a path or a mapping.
func (d *Dataset) UnmarshalYAML(n ast.Node) error {
	*d = Dataset{}
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		return yaml.NodeToValue(n, &d.Path)
	}
	if err := decodeInto(mapping, (*plainDataset)(d)); err != nil {
		return err
	}
	given := 0
	for _, x := range []float64{float64(d.Rows), d.Repeat, d.Weight} {
		if x != 0 {
			given++
		}
	}
	switch {
	case d.Path == "":
		return yamlnode.At(mapping, "an entry has no path")
	case given > 1:
		return yamlnode.At(mapping, "rows, repeat and weight are three ways to say how much of %s is taken: give one", d.Path)
	}
	if _, err := rows.ParseColumns(d.Columns); err != nil {
		return yamlnode.At(mapping, "%s: %w", d.Path, err)
	}
	return nil
}

// MarshalYAML writes a path alone where nothing else is said.
func (d Dataset) MarshalYAML() (any, error) {
	if d == (Dataset{Path: d.Path}) {
		return d.Path, nil
	}
	return plainDataset(d), nil
}

// String lists the paths.
func (d Datasets) String() string {
	var paths []string
	for _, one := range d {
		paths = append(paths, one.Path)
	}
	return strings.Join(paths, ",")
}

// Corpora returns what package data reads and what of it is learned. Corpora of the
// toy world have columns of their own, so the stage's columns are those of files.
func (d Datasets) Corpora(columns, format string, o Objective) ([]data.Corpus, error) {
	var all []data.Corpus
	for _, one := range d {
		c := data.Corpus{
			Path: one.Path, Format: one.Format, Rows: one.Rows, Repeat: one.Repeat, Weight: one.Weight,
			LearnPrompt: o.LearnPrompt, Weigh: o.Weigh,
		}
		text := one.Columns
		if !strings.HasPrefix(one.Path, "world:") {
			if text == "" {
				text = columns
			}
			if c.Format == "" {
				c.Format = format
			}
		}
		if err := rows.CheckFormat(c.Format); err != nil {
			return nil, fmt.Errorf("format of %s: %w", one.Path, err)
		}
		var err error
		if c.Columns, err = rows.ParseColumns(text); err != nil {
			return nil, fmt.Errorf("columns of %s: %w", one.Path, err)
		}
		all = append(all, c)
	}
	return all, nil
}
