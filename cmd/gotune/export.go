package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gotune/data"
	"gotune/export"
	"gotune/internal/disk"
	"gotune/internal/hf"
	"gotune/lora"
	"gotune/model"
)

// exportFormats are what --format takes.
var exportFormats = []string{"hf", "peft", "gguf"}

func newExport() *cobra.Command {
	var s source
	var format, dtype string
	c := &cobra.Command{
		Use:   "export [RUN] OUT",
		Short: "Write a model for other programs, and prove that it is the same",
		Long: `export writes a model, with the adapter merged if there is one, as a model folder of
Hugging Face's layout (hf) or as a GGUF file for llama.cpp (gguf), or an adapter as a
folder for PEFT (peft). What was written is read back, its logits after fixed prompts are
compared with those of model and adapter as they are in training, and the difference is
printed. One beyond what the dtype explains is an error, and nothing is left of the file.

GGUF is written for the model types ` + strings.Join(export.Families(), ", ") + `.`,
		Example: `  gotune export --format gguf --dtype q8_0 RUN model.gguf
  gotune export --format hf --dtype bfloat16 --model DIR --adapter RUN/adapter OUT
  gotune export --format peft RUN OUT`,
		Args: between(1, 2, "perhaps a run folder, and what to make"),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(exportFormats, format) {
				return usagef("--format is %q; it must be one of %s", format, strings.Join(exportFormats, ", "))
			}
			if format == "peft" && c.Flags().Changed("dtype") {
				return usagef("--dtype cannot be given with --format peft: an adapter is stored as it was trained, in float32")
			}
			if err := checkDType(format, dtype); err != nil {
				return usageError{err}
			}
			out := args[len(args)-1]
			if err := checkNew(out, format); err != nil {
				return err
			}
			if err := s.loadRun(c, args[:len(args)-1]); err != nil {
				return err
			}
			proof, err := s.export(c, out, format, dtype)
			if err != nil {
				return err
			}
			c.PrintErrf("%s: %s%s as %s\n", out, s.modelName, s.withAdapter(), format)
			fmt.Fprintln(c.OutOrStdout(), proof)
			return nil
		},
	}
	s.flags(c)
	c.Flags().StringVar(&format, "format", "", "what to write: "+strings.Join(exportFormats, ", "))
	c.Flags().StringVar(&dtype, "dtype", "float32", "how weights are stored: float32, float16 or bfloat16; of gguf also q8_0")
	return c
}

// checkNew refuses what is there already.
func checkNew(out, format string) error {
	if format != "gguf" {
		return checkNewFolder(out)
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists: name another file", out)
	}
	return nil
}

func checkDType(format, dtype string) error {
	if format == "gguf" {
		return export.CheckType(dtype)
	}
	_, err := hf.ParseDType(dtype)
	return err
}

func (s *source) withAdapter() string {
	if s.adapter == nil {
		return ""
	}
	return " with " + strings.Join(s.adapters, ", ")
}

// export writes the model, and compares what was written with the model as it is.
func (s *source) export(c *cobra.Command, out, format, dtype string) (export.Proof, error) {
	ctx := c.Context()
	if format == "peft" && s.adapter == nil {
		return export.Proof{}, usagef("--format peft writes an adapter: give one by --adapter, or a run")
	}
	if s.adapter != nil {
		if _, err := s.updates("adapters can be exported"); err != nil {
			return export.Proof{}, fmt.Errorf("%w; its folder holds PEFT's files, which PEFT reads as they are", err)
		}
	}
	team := s.team()
	defer team.Close()
	view, err := export.NewView(ctx, s.model, team, s.project, func(text string) []int32 { return data.EncodePrompt(s.tokenizer, text) })
	if err != nil {
		return export.Proof{}, err
	}
	if format == "peft" {
		return s.exportAdapter(ctx, out, view)
	}
	merged := s.model
	if s.adapter != nil {
		if merged, err = s.adapter.Merge(s.model); err != nil {
			return export.Proof{}, err
		}
	}
	if format == "hf" {
		kind, err := hf.ParseDType(dtype)
		if err != nil {
			return export.Proof{}, err
		}
		return s.exportFolder(ctx, out, merged, kind, view)
	}
	f, err := export.NewGGUF(merged, s.tokenizer, modelTitle(s.modelName), string(s.adapterTemplate), dtype)
	if err != nil {
		return export.Proof{}, err
	}
	for _, note := range f.Notes {
		c.PrintErrf("note: %s\n", note)
	}
	return f.Save(ctx, out, view, s.model.Config)
}

// modelTitle is the name of a model without the path of its folder.
func modelTitle(name string) string {
	if path, err := filepath.Abs(name); err == nil {
		return filepath.Base(path)
	}
	return name
}

// exportFolder writes a model folder.
func (s *source) exportFolder(ctx context.Context, out string, m *model.Model, dtype hf.DType, view *export.View) (proof export.Proof, err error) {
	err = writeModel(out, m, dtype, s.tokenizer, s.adapterTemplate, func(dir string) error {
		back, err := model.Load(ctx, os.DirFS(dir), out)
		if err != nil {
			return fmt.Errorf("read back: %w", err)
		}
		proof, err = view.Compare(ctx, back, nil, export.Of(dtype))
		return errors.Join(err, back.Close())
	})
	return proof, err
}

// exportAdapter writes an adapter for PEFT.
func (s *source) exportAdapter(ctx context.Context, out string, view *export.View) (proof export.Proof, err error) {
	err = disk.WriteFolder(out, func(dir string) error {
		if err := s.adapter.Save(dir, s.modelName); err != nil {
			return err
		}
		if s.adapterTemplate != nil {
			if err := disk.WriteBytes(filepath.Join(dir, templateName), s.adapterTemplate); err != nil {
				return err
			}
		}
		// On the base as it was: PiSSA and OLoRA have changed the one at hand.
		base, err := s.loadModel(ctx)
		if err != nil {
			return fmt.Errorf("read back: %w", err)
		}
		back, err := lora.Load(os.DirFS(dir), out, base)
		if err != nil {
			return errors.Join(fmt.Errorf("read back: %w", err), base.Close())
		}
		proof, err = view.Compare(ctx, base, back.Project, export.Exact)
		return errors.Join(err, base.Close())
	})
	return proof, err
}
