package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gotune/data/inspect"
	"gotune/train"
)

// known is what gotune inspect describes.
const known = `a run folder, a
checkpoint, an adapter folder, a model folder, a folder of a tokenizer, a .safetensors
file, or data: JSON lines, JSON, CSV, plain text, Parquet, gzip of these, a folder of
them, or a corpus such as world:chat`

// hint is for errors about what is not known.
const hint = "gotune inspect --help lists what it knows"

func newInspect() *cobra.Command {
	var columns string
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Tell what a file or folder is and what is in it",
		Long: `inspect finds out what PATH is and describes it. It knows ` + known + `.

Of a run it tells how far it has come and why it stopped, of an adapter how much it
has learned where: the Frobenius norm and the effective rank of the update of every
layer, and the layers that have learned nothing. What the tokens of data look like
is shown by gotune data.`,
		Example: `  gotune inspect runs/2026-01-31-1
  gotune inspect RUN/adapter --json
  gotune inspect rows.jsonl`,
		Args: exactly(1, "the path of a file or folder"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := describe(c, args[0], columns)
			if err != nil {
				return err
			}
			if !asJSON {
				return d.print(&page{w: c.OutOrStdout()})
			}
			enc := json.NewEncoder(c.OutOrStdout())
			enc.SetEscapeHTML(false)
			return enc.Encode(d)
		},
	}
	c.Flags().StringVar(&columns, "columns", "", "of data: which columns to read, such as prompt=question,completion=answer")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// A description is what inspect finds. It is printed as text or encoded as JSON.
type description interface{ print(*page) error }

// describe finds out what a path is by the files in it.
func describe(c *cobra.Command, path, columns string) (description, error) {
	if train.Embedded(path) {
		return describeModel(path)
	}
	if strings.HasPrefix(path, "world:") {
		return describeData(c.Context(), path, columns)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w; %s", err, hint)
	}
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(path, name))
		return err == nil
	}
	switch {
	case !info.IsDir():
		return describeFile(c, path, columns)
	case train.IsRun(path):
		return describeRun(path)
	case train.IsCheckpoint(path):
		return describeCheckpoint(path)
	case has("adapter_config.json"):
		return describeAdapter(path)
	case has("config.json"):
		return describeModel(path)
	case has("tokenizer.json"), has("tokenizer.model"):
		return describeTokenizer(path)
	}
	d, err := describeData(c.Context(), path, columns)
	if err != nil && c.Context().Err() == nil {
		return nil, unknown(path, err)
	}
	return d, err
}

func describeFile(c *cobra.Command, path, columns string) (description, error) {
	switch name := filepath.Base(path); {
	case filepath.Ext(name) == ".safetensors":
		return describeWeights(path)
	case name == "tokenizer.json", name == "tokenizer.model":
		return describeTokenizer(filepath.Dir(path))
	case name == "config.json", name == "adapter_config.json", name == "trainer_state.json", name == "run.json", name == "metrics.jsonl":
		return nil, fmt.Errorf("%s is a part of the folder %s: inspect that", path, filepath.Dir(path))
	case filepath.Ext(name) == ".yaml", filepath.Ext(name) == ".yml":
		return nil, fmt.Errorf("%s may be a recipe: gotune recipe check and gotune recipe show read those", path)
	}
	d, err := describeData(c.Context(), path, columns)
	if err != nil && c.Context().Err() == nil {
		return nil, unknown(path, err)
	}
	return d, err
}

// unknown says what was tried last and what is known.
func unknown(path string, err error) error {
	var place *fs.PathError
	if errors.As(err, &place) && !errors.Is(err, fs.ErrNotExist) {
		return err // it cannot be read
	}
	if run, ok := runAbove(path); ok {
		return fmt.Errorf("%s is a part of the run folder %s: inspect that", path, run)
	}
	return fmt.Errorf("%s could only be data, and as data: %w\n%s", path, err, hint)
}

// runAbove finds the run folder that a path is in: the deepest parts of one are the
// files of a checkpoint or of a stage.
func runAbove(path string) (string, bool) {
	for range 4 {
		path = filepath.Dir(path)
		if train.IsRun(path) {
			return path, true
		}
	}
	return "", false
}

// A page writes facts, a line each, and keeps the first error.
type page struct {
	w   io.Writer
	err error
}

// line writes a name and what is said of it.
func (p *page) line(name, format string, args ...any) {
	p.text("  %-13s %s\n", name, fmt.Sprintf(format, args...))
}

// text writes text as it is.
func (p *page) text(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// title writes what the thing is.
func (p *page) title(path, format string, args ...any) {
	p.text("%s: %s\n", inspect.Visible(path), fmt.Sprintf(format, args...))
}
