package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/model"
	"gotune/tokenizer"
	"gotune/train"
)

func newInit() *cobra.Command {
	var shape, tok, dtype string
	var seed uint64
	c := &cobra.Command{
		Use:   "init OUT",
		Short: "Make a model folder with random weights",
		Long: `init makes a model of a shape with random weights, in Hugging Face's layout, with
the tokenizer given. The shape is the path of a config.json, or one of
` + strings.Join(model.ShapeNames(), ", ") + `.`,
		Example: `  gotune init --shape smollm2-135m --tokenizer DIR OUT`,
		Args:    exactly(1, "the folder to make"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := hf.ParseDType(dtype)
			switch {
			case shape == "":
				return usagef("--shape is missing: name one of %v, or a config.json", model.ShapeNames())
			case tok == "":
				return usagef("--tokenizer is missing: name a folder or a tokenizer.json")
			case err != nil:
				return usageError{err}
			}
			return initModel(args[0], shape, tok, d, seed)
		},
	}
	c.Flags().StringVar(&shape, "shape", "", "name of a shape, or a config.json")
	c.Flags().StringVar(&tok, "tokenizer", "", "folder of the tokenizer, or a tokenizer.json; base for the embedded one")
	c.Flags().StringVar(&dtype, "dtype", "float32", "how weights are stored: float32, float16 or bfloat16")
	c.Flags().Uint64Var(&seed, "seed", 42, "names the random weights")
	return c
}

func initModel(out, shape, tok string, dtype hf.DType, seed uint64) error {
	if err := checkNewFolder(out); err != nil {
		return err
	}
	config, err := train.ReadShape(shape)
	if err != nil {
		return err
	}
	t, err := train.OpenTokenizer(tok)
	if err != nil {
		return err
	}
	if t.VocabSize() > config.VocabSize {
		return fmt.Errorf("the tokenizer %s has %d tokens, the shape %s only %d (vocab_size)", tok, t.VocabSize(), shape, config.VocabSize)
	}
	m, err := model.New(train.WithTokenizer(config, t), seed)
	if err != nil {
		return err
	}
	if err := writeModel(out, m, dtype, t, nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %s, %s parameters\n", out, shape, count(m.Count()))
	return nil
}

// checkNewFolder refuses a folder that holds something.
func checkNewFolder(path string) error {
	switch entries, err := os.ReadDir(path); {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s exists and is not empty: name another folder", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s cannot be made a folder: %w", path, err)
	}
	return nil
}

// writeModel makes a model folder, whole or not at all where there is none yet. The template, which may be
// nil, is one that the tokenizer's files do not hold. An error of check, which is given the
// folder while it stands aside and may be nil, leaves nothing of it.
func writeModel(path string, m *model.Model, dtype hf.DType, t *tokenizer.Tokenizer, template []byte, check func(dir string) error) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := checkNewFolder(path); err != nil { // again: loading a model takes time
		return err
	}
	fill := func(dir string) error {
		err := errors.Join(m.Save(dir, dtype), t.Save(dir))
		if err == nil && template != nil {
			err = disk.WriteBytes(filepath.Join(dir, templateName), template)
		}
		if err == nil && check != nil {
			err = check(dir)
		}
		return err
	}
	// An empty folder gives way to the whole one, but for one that cannot be moved
	// aside, such as the place where a disk is mounted: that is filled.
	err := os.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = disk.WriteFolder(path, fill)
	} else {
		err = fill(path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
