package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gotune/data"
	"gotune/data/chat"
	"gotune/model"
)

func newChat() *cobra.Command {
	var s source
	var o model.Sampling
	var system string
	c := &cobra.Command{
		Use:   "chat [RUN]",
		Short: "Talk to a model",
		Long: `chat talks to the model of a run, or to one given by --model and --adapter. An
empty line ends it; /new forgets what was said. Each line of standard input is a
turn, so questions can be piped in.`,
		Example: `  gotune chat runs/2026-01-31-1
  echo "Where was Ada born?" | gotune chat RUN --greedy`,
		Args: between(0, 1, "at most a run folder"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkSampling(o); err != nil {
				return err
			}
			if err := s.loadRun(c, args); err != nil {
				return err
			}
			return talk(c, &s, o, system)
		},
	}
	s.flags(c)
	c.Flags().StringVar(&s.templateName, "chat-template", "", "chat template: a built-in name or a Jinja file; without one the run's or the model's own, else chatml")
	sampling(c, &o, 256, 0.3)
	c.Flags().StringVar(&system, "system", "", "system message before the conversation")
	return c
}

func talk(c *cobra.Command, s *source, o model.Sampling, system string) error {
	team := s.team()
	defer team.Close()
	template, err := data.OpenTemplate(s.templateName, s.tokenizer)
	if err != nil {
		return fmt.Errorf("chat template: %w", err)
	}
	o.Stop = append(stops(s), template.Stops(s.tokenizer)...)
	var begin, said []chat.Message
	if system != "" {
		begin = []chat.Message{{Role: "system", Content: system}}
	}
	said = append(said, begin...)
	s.model.LayOutForGeneration(team)
	g := s.generator(team)
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	next, out := inputLines(ctx, c.InOrStdin()), c.OutOrStdout()
	for {
		if isTerminal(c.InOrStdin()) {
			c.PrintErr("> ")
		}
		line, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch line = strings.TrimSpace(line); line {
		case "":
			return nil
		case "/new":
			said = append([]chat.Message(nil), begin...)
			continue
		}
		said = append(said, chat.Message{Role: "user", Content: line})
		stream := s.tokenizer.Stream()
		prompt, err := template.Prompt(s.tokenizer, chat.Conversation{Messages: said})
		if err != nil {
			return fmt.Errorf("chat template %s: %w", template.Name(), err)
		}
		ids, err := g.Generate(ctx, prompt, o, func(id int32) error {
			_, err := io.WriteString(out, stream.Next(id))
			return err
		})
		fmt.Fprintln(out, stream.Flush())
		switch {
		case errors.Is(err, model.ErrContextFull):
			c.PrintErrln("the conversation has filled the model's context; it begins anew")
			said = append([]chat.Message(nil), begin...)
			continue
		case err != nil:
			return err
		}
		said = append(said, chat.Message{Role: "assistant", Content: s.tokenizer.Decode(ids, true)})
	}
}

// inputLines returns a function that gives the next line, io.EOF at the end, or at once
// the context's error when that is cancelled: a read from a terminal cannot be
// broken off, so it is left behind.
func inputLines(ctx context.Context, from io.Reader) func() (string, error) {
	type line struct {
		text string
		err  error
	}
	read := make(chan line)
	send := func(l line) bool {
		select {
		case read <- l:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		in := bufio.NewScanner(from)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			if !send(line{text: in.Text()}) {
				return
			}
		}
		err := in.Err()
		if err == nil {
			err = io.EOF
		}
		send(line{err: err})
	}()
	return func() (string, error) {
		select {
		case l := <-read:
			return l.text, l.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// isTerminal reports whether somebody types what is read.
func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
