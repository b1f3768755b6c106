package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gotune/data"
	"gotune/model"
)

// sampling binds the flags that say how tokens are chosen.
func sampling(c *cobra.Command, s *model.Sampling, tokens int, temperature float64) {
	f := c.Flags()
	f.IntVar(&s.MaxNewTokens, "max-new-tokens", tokens, "largest number of new tokens")
	f.BoolVar(&s.Greedy, "greedy", false, "take the most likely token each time")
	f.Float64Var(&s.Temperature, "temperature", temperature, "divides the logits")
	f.IntVar(&s.TopK, "top-k", 0, "keep the k most likely tokens; 0 keeps all")
	f.Float64Var(&s.TopP, "top-p", 1, "keep the most likely tokens up to this probability")
	f.Float64Var(&s.MinP, "min-p", 0, "keep tokens with this share of the largest probability")
	f.Float64Var(&s.RepetitionPenalty, "repetition-penalty", 1, "divides positive logits of tokens seen before")
	f.Uint64Var(&s.Seed, "seed", 42, "names the random numbers")
}

func checkSampling(s model.Sampling) error {
	if s.MaxNewTokens < 1 {
		return usagef("max_new_tokens is %d; it must be at least 1", s.MaxNewTokens)
	}
	if s.Temperature == 0 {
		return usagef("temperature is 0: use --greedy for the most likely token")
	}
	if err := s.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}

func newGenerate() *cobra.Command {
	var s source
	var o model.Sampling
	var prompt string
	var asJSON bool
	c := &cobra.Command{
		Use:   "generate [RUN]",
		Short: "Continue a text",
		Long: `generate continues a raw prompt, without a chat template, and streams what comes.
Without --prompt the prompt is what standard input holds, but for a line break at its
end; where that is a terminal or empty, the text begins from nothing.`,
		Example: `  gotune generate --prompt "Once upon a time" --max-new-tokens 50
  gotune generate RUN < prompt.txt
  gotune generate --model DIR --adapter ADAPTER --prompt "2 + 2 =" --greedy --json`,
		Args: between(0, 1, "at most a run folder"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkSampling(o); err != nil {
				return err
			}
			if !c.Flags().Changed("prompt") {
				var err error
				if prompt, err = readPrompt(c.Context(), c.InOrStdin()); err != nil {
					return err
				}
			}
			if err := s.loadRun(c, args); err != nil {
				return err
			}
			return generate(c, &s, o, prompt, asJSON)
		},
	}
	s.flags(c)
	sampling(c, &o, 128, 1)
	c.Flags().StringVar(&prompt, "prompt", "", "text to continue; without it standard input, where that is no terminal")
	c.Flags().BoolVar(&o.IgnoreEOS, "ignore-eos", false, "go on after the end token")
	c.Flags().BoolVar(&asJSON, "json", false, "print ids and text of the new tokens as JSON")
	return c
}

// readPrompt reads what is piped in, but for a line break at the end. A read cannot be
// broken off, so that an interrupt leaves it behind.
func readPrompt(ctx context.Context, in io.Reader) (string, error) {
	if isTerminal(in) {
		return "", nil
	}
	type text struct {
		raw []byte
		err error
	}
	read := make(chan text, 1)
	go func() {
		raw, err := io.ReadAll(in)
		read <- text{raw, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case t := <-read:
		if t.err != nil {
			return "", fmt.Errorf("reading the prompt: %w", t.err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(t.raw), "\n"), "\r"), nil
	}
}

func generate(c *cobra.Command, s *source, o model.Sampling, prompt string, asJSON bool) error {
	team := s.team()
	defer team.Close()
	ids := data.EncodePrompt(s.tokenizer, prompt)
	if len(ids) == 0 {
		// A text that begins from nothing begins after the end of another.
		eos, ok := s.tokenizer.EOS()
		if !ok {
			return usagef("there is no prompt, and the tokenizer names no token to begin from: give one by --prompt")
		}
		ids = []int32{eos}
	}
	if prompt == "" {
		c.PrintErrln("no prompt is given (--prompt): the text begins from nothing")
	}
	o.Stop = stops(s)
	stream := s.tokenizer.Stream()
	out := c.OutOrStdout()
	s.model.LayOutForGeneration(team)
	new, err := s.generator(team).Generate(c.Context(), ids, o, func(id int32) error {
		if asJSON {
			return nil
		}
		_, err := io.WriteString(out, stream.Next(id))
		return err
	})
	if err != nil && (len(new) == 0 || !errors.Is(err, model.ErrContextFull)) {
		return err
	}
	if asJSON {
		if new == nil {
			new = []int32{}
		}
		return json.NewEncoder(out).Encode(struct {
			IDs  []int32 `json:"ids"`
			Text string  `json:"text"`
		}{new, s.tokenizer.Decode(new, true)})
	}
	fmt.Fprintln(out, stream.Flush())
	if err != nil {
		c.PrintErrf("stopped: %v\n", err)
	}
	return nil
}

// stops lists the tokens that end a text: those of config.json and the
// tokenizer's.
func stops(s *source) []int32 {
	var ids []int32
	for _, id := range s.model.Config.EOS {
		ids = append(ids, int32(id))
	}
	if id, ok := s.tokenizer.EOS(); ok {
		ids = append(ids, id)
	}
	return ids
}
