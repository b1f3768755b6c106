// Command gotune fine-tunes small transformers on a CPU.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gotune/internal/kernel"
	"gotune/train"
)

// The exit statuses of docs/cli.md.
const (
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:])) }

// run executes the command line and returns the exit status.
func run(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	root, out := newRoot(), &output{Writer: os.Stdout}
	trains := stepwise(root, args)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		<-signals
		if trains {
			fmt.Fprintln(os.Stderr, "\nstopping after this step; once more stops at once")
		}
		cancel()
		<-signals
		os.Exit(statusInterrupted)
	}()

	root.SetArgs(args)
	root.SetOut(out)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("writing the output: %w", out.err)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, train.ErrInterrupted), errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "gotune: interrupted")
		return statusInterrupted
	}
	fmt.Fprintln(os.Stderr, "gotune:", err)
	var usage usageError
	if errors.As(err, &usage) || errors.Is(err, train.ErrUsage) {
		return statusUsage
	}
	return statusFailed
}

// stepwise reports whether a command line trains, and so stops after a step.
func stepwise(root *cobra.Command, args []string) bool {
	c, _, err := root.Find(args)
	return err == nil && slices.Contains([]string{"train", "pretrain", "ablate", "run", "reproduce"}, c.Name())
}

// An output remembers the first error of writing, so that output which is lost
// fails a command that does not look at every write itself.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// usageError is wrong usage of the command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gotune",
		Short: "Fine-tune small transformers on a CPU",
		Long: `gotune fine-tunes small transformers by LoRA or in full, on a CPU, without Python
and without a network. It reads and writes Hugging Face's model folders and
PEFT's adapters.`,
		Example: `  gotune train --lora-rank 8             tune the embedded base, before and after
  gotune chat runs/2026-01-31-1          talk to the result
  gotune train --data rows.jsonl         tune on data of your own`,
		Args:          cobra.ArbitraryArgs, // so that an unknown command is wrong usage of ours
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return kernel.Probe()
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q; gotune --help lists them", args[0])
			}
			return c.Help()
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newTrain(), newPretrain(), newInit(), newEval(), newGenerate(), newChat(), newMerge(), newCombine(), newShrink(), newExport(), newInspect(), newRuns(),
		newRecipe(), newSchedule(), newLR(), newData(), newTokenize(), newWorld(), newBench(), newPlan(), newStudy(), newAblate(), newReproduce(), newReport(), newVersion())
	return root
}

// flagError says what is wrong with a flag, and which may be meant by one that there
// is not.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var keys []string
		c.Flags().VisitAll(func(f *pflag.Flag) { keys = append(keys, strings.ReplaceAll(f.Name, "-", "_")) })
		if meant := train.Meant(strings.ReplaceAll(unknown.GetSpecifiedName(), "-", "_"), keys); meant != "" {
			return usagef("%w; perhaps --%s is meant", err, kebab(meant))
		}
	case errors.As(err, &invalid) && errors.As(err, &number):
		what := "a number"
		switch kind := invalid.GetFlag().Value.Type(); {
		case errors.Is(number, strconv.ErrRange):
			what = "smaller"
		case strings.HasPrefix(kind, "int"):
			what = "a whole number"
		case strings.HasPrefix(kind, "uint"):
			what = "a whole number, 0 or above"
		case kind == "bool":
			what = "true or false"
		}
		return usagef("--%s is %q; it must be %s", invalid.GetFlag().Name, invalid.GetValue(), what)
	}
	return usagef("%w; %s --help lists the flags", err, c.CommandPath())
}

// exactly checks the number of arguments as wrong usage.
func exactly(n int, what string) cobra.PositionalArgs { return between(n, n, what) }

func between(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			given := "nothing"
			if len(args) > 0 {
				given = strings.Join(args, " ")
			}
			return usagef("%s takes %s, and was given %s", c.CommandPath(), what, given)
		}
		return nil
	}
}
