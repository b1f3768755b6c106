package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"gotune/tokenizer"
	"gotune/train"
)

// tokenizeLine is a line of tokenize: text in, or ids in.
type tokenizeLine struct {
	Text *string `json:"text"`
	IDs  []int32 `json:"ids"`
}

func newTokenize() *cobra.Command {
	var name string
	var special bool
	c := &cobra.Command{
		Use:   "tokenize",
		Short: "Turn text into ids and back, a JSON line each",
		Long: `tokenize reads lines {"text":…} and writes {"ids":[…],"text":…}; of a line
{"ids":[…]} it writes the text, special tokens kept.`,
		Example: `  echo '{"text":"Hello"}' | gotune tokenize --tokenizer DIR`,
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := train.OpenTokenizer(name)
			if err != nil {
				return err
			}
			return tokenize(t, c.InOrStdin(), c.OutOrStdout(), special)
		},
	}
	c.Flags().StringVar(&name, "tokenizer", train.BaseName, "folder of the tokenizer, a tokenizer.json or a tokenizer.model; base is that of the embedded ones")
	c.Flags().BoolVar(&special, "special", false, "add the special tokens of the post-processor")
	return c
}

func tokenize(t *tokenizer.Tokenizer, in io.Reader, out io.Writer, special bool) error {
	lines := bufio.NewReader(in)
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		raw, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("standard input: %w", err)
		}
		if len(raw) > 1 || len(raw) == 1 && raw[0] != '\n' {
			var l tokenizeLine
			if wrong := json.Unmarshal(raw, &l); wrong != nil {
				return errors.Join(fmt.Errorf("standard input, line %d: %w", n, wrong), w.Flush())
			}
			switch {
			case l.Text != nil && special:
				l.IDs = t.EncodeSpecial(*l.Text)
			case l.Text != nil:
				l.IDs = t.Encode(*l.Text)
			case l.IDs == nil:
				return errors.Join(fmt.Errorf("standard input, line %d: neither text nor ids", n), w.Flush())
			}
			if l.IDs == nil {
				l.IDs = []int32{}
			}
			if wrong := enc.Encode(struct {
				IDs  []int32 `json:"ids"`
				Text string  `json:"text"`
			}{l.IDs, t.Decode(l.IDs, false)}); wrong != nil {
				return wrong
			}
		}
		// A program that waits for an answer before it asks again gets it.
		if err != nil || lines.Buffered() == 0 {
			if wrong := w.Flush(); wrong != nil || err != nil {
				return wrong
			}
		}
	}
}
