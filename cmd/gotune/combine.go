package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gotune/internal/disk"
	"gotune/lora"
)

func newCombine() *cobra.Command {
	var s source
	c := &cobra.Command{
		Use:   "combine OUT",
		Short: "Write several adapters as one",
		Long: `combine writes adapters of one model as one adapter, each with a weight. cat and svd
sum the updates, cat exactly and with the sum of the ranks, svd with the largest rank
and as near as can be; linear sums the matrices, which mixes the adapters with each
other. One adapter that begins with a part of the base (PiSSA, OLoRA) is written as
plain LoRA of twice the rank, for the base as it was.`,
		Example: `  gotune combine --model DIR --adapter A=0.7 --adapter B=0.3 OUT
  gotune combine --model DIR --adapter A --adapter B=-1 --combination svd OUT
  gotune combine --model DIR --adapter PISSA OUT`,
		Args: exactly(1, "the folder to make"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.loadForAdapter(c, nil, args[0]); err != nil {
				return err
			}
			ad, err := s.updates("adapters can be combined")
			if err != nil {
				return err
			}
			ad = ad.Plain()
			if err := s.writeAdapter(args[0], ad); err != nil {
				return err
			}
			c.PrintErrf("%s: %s, rank %d\n", args[0], strings.Join(s.adapters, ", "), ad.Config.Rank)
			return nil
		},
	}
	s.flags(c)
	return c
}

// loadForAdapter loads a model with an adapter, perhaps of a run, of which a new folder is made.
func (s *source) loadForAdapter(c *cobra.Command, run []string, out string) error {
	if len(s.adapters) == 0 && len(run) == 0 {
		return usagef("--adapter is missing")
	}
	if err := checkNewFolder(out); err != nil {
		return err
	}
	if err := s.loadRun(c, run); err != nil {
		return err
	}
	if s.adapter == nil {
		return fmt.Errorf("the run %s has no adapter: all weights were trained, and its model is %s", run[0], s.modelName)
	}
	return nil
}

// writeAdapter makes the folder of an adapter, with the chat template of the one it is
// made of, whole or not at all.
func (s *source) writeAdapter(path string, ad *lora.Adapter) error {
	if err := checkNewFolder(path); err != nil { // again: loading a model takes time
		return err
	}
	return disk.WriteFolder(path, func(dir string) error {
		err := ad.Save(dir, s.modelName)
		if s.adapterTemplate != nil {
			err = errors.Join(err, disk.WriteBytes(filepath.Join(dir, templateName), s.adapterTemplate))
		}
		return err
	})
}
