package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gotune/data"
	"gotune/train"
)

// heldOut is data that a command computes losses on, as flags say it.
type heldOut struct {
	paths, allow    []string
	columns, format string
	maxLength       int
}

func (h *heldOut) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&h.paths, "data", nil, "files, or corpora of the toy world")
	f.StringVar(&h.columns, "columns", "", "which columns to read, such as prompt=question,completion=answer")
	f.StringVar(&h.format, "format", "", "format of files where it cannot be found out: jsonl, json, csv, text or parquet")
	f.IntVar(&h.maxLength, "max-length", 0, "longest row in tokens; 0 is the model's context, at most 1024")
	f.StringSliceVar(&h.allow, "allow", nil, "go on in spite of a finding about the data, by its name, such as empty")
}

func (h *heldOut) check() error {
	if err := data.CheckNames(h.allow); err != nil {
		return usagef("--allow: %w", err)
	}
	if _, err := train.Paths(h.paths...).Corpora(h.columns, h.format, train.Objective{}); err != nil {
		return usagef("--%w", err)
	}
	return nil
}

// open reads the data for a model that is loaded.
func (h *heldOut) open(c *cobra.Command, s *source, o train.Objective) (*data.Dataset, error) {
	corpora, err := train.Paths(h.paths...).Corpora(h.columns, h.format, o)
	if err != nil {
		return nil, usagef("--%w", err)
	}
	maxLength := h.maxLength
	if maxLength == 0 {
		maxLength = min(s.model.Config.MaxPositions, 1024)
	}
	if least := 3 + s.virtual(); maxLength > s.model.Config.MaxPositions || maxLength < least {
		return nil, usagef("--max-length is %d; the model takes %d to %d tokens", maxLength, least, s.model.Config.MaxPositions)
	}
	template, err := data.OpenTemplate(s.templateName, s.tokenizer)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	d, err := data.Open(c.Context(), data.Config{Corpora: corpora, HeldOut: true, Allow: h.allow, EncoderConfig: data.EncoderConfig{
		Tokenizer: s.tokenizer, Template: template, MaxLength: maxLength, Virtual: s.virtual(),
	}})
	if err != nil {
		return nil, err
	}
	for _, f := range d.Report().Findings {
		c.PrintErrln("note:", f.Text)
	}
	return d, nil
}
