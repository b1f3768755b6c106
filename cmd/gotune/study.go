package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gotune/study"
	"gotune/train"
)

func newStudy() *cobra.Command {
	c := &cobra.Command{
		Use:   "study",
		Short: "Check and run studies: arms, seeds, metrics and tests",
		Long: `A study is a YAML file that puts a rule of thumb to the test: arms that differ in one
thing, run on the same seeds, a metric of each run, and what decides. docs/studies.md
says how to write one.`,
		Example: `  gotune study check my-study.yaml
  gotune study run my-study.yaml --output lab --jobs 2
  gotune study metrics`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newStudyCheck(), newStudyRun(), newStudyMetrics())
	return c
}

func newStudyCheck() *cobra.Command {
	var quick, noProbe bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a study, and say what it will run and take",
		Args:  exactly(1, "the file of a study"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := study.Load(args[0])
			if err != nil {
				return usageError{err}
			}
			out := c.OutOrStdout()
			if s.Kind == study.NotBuilt {
				fmt.Fprintf(out, "%s: not built yet: %s\n", args[0], s.Note)
				return nil
			}
			o, err := s.Plan(c.Context(), quick, !noProbe)
			if err != nil {
				return usageError{err}
			}
			printOutline(out, s, o)
			return nil
		},
	}
	c.Flags().BoolVar(&quick, "quick", false, "with the seeds of a quick run")
	c.Flags().BoolVar(&noProbe, "no-probe", false, "do no steps, and say nothing of time")
	return c
}

func printOutline(w io.Writer, s *study.Study, o study.Outline) {
	fmt.Fprintf(w, "%-40s %6s %8s %12s\n", "arm", "runs", "steps", "tokens each")
	for _, a := range o.Arms {
		fmt.Fprintf(w, "%-40s %6d %8d %12.0f\n", a.Name, a.Runs, a.Steps, a.Tokens)
	}
	fmt.Fprintf(w, "%d arms × %d seeds", len(o.Arms), o.Seeds)
	if len(s.Tune) > 0 {
		fmt.Fprintf(w, ", and values chosen on %d seeds of their own", len(s.Seeds.Tuning))
	}
	fmt.Fprintf(w, ": %d runs of their own, %.0f tokens", o.Unique, o.Tokens)
	if o.Seconds > 0 {
		fmt.Fprintf(w, ", about %s on one core without evaluations", (time.Duration(o.Seconds) * time.Second).Round(time.Second))
	}
	fmt.Fprintf(w, "; the largest run takes %.0f MiB\n", mib(o.Bytes))
	if limit := s.Budget.Tokens; limit > 0 && o.Tokens > limit {
		fmt.Fprintf(w, "note: the budget is %.0f tokens: what is beyond is not run\n", limit)
	}
}

func newStudyMetrics() *cobra.Command {
	return &cobra.Command{
		Use:   "metrics",
		Short: "List what can be measured, with definitions",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			for _, m := range study.Measures() {
				unit := m.Unit
				if unit != "" {
					unit = " (" + unit + ")"
				}
				needs := ""
				if m.Needs != "" {
					needs = " Needs " + m.Needs + "."
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: %s%s\n    %s.%s\n", m.Family, m.Name, unit, m.Definition, needs)
			}
			return nil
		},
	}
}

// labFlags are the flags of the commands that run studies.
type labFlags struct {
	o         study.Options
	maxMemory string
}

func newLabFlags(c *cobra.Command) *labFlags {
	f := &labFlags{}
	c.Flags().StringVar(&f.o.Output, "output", "", "folder of the laboratory; runs/<id> if not given. What is there is gone on with")
	c.Flags().IntVar(&f.o.Jobs, "jobs", 0, "runs at a time, each on one thread; 0 is one for each core")
	c.Flags().StringVar(&f.maxMemory, "max-memory", "", "memory that all runs together may take, such as 4GiB")
	c.Flags().DurationVar(&f.o.Budget, "budget", 0, "time on the clock, such as 30m: no run is begun that does not fit")
	c.Flags().BoolVar(&f.o.Search, "search", false, "give up the worse half of what is tried early, by successive halving on tuning seeds")
	c.Flags().BoolVar(&f.o.Quick, "quick", false, "the seeds of a quick run; verdicts are provisional")
	c.Flags().IntVar(&f.o.Seeds, "seeds", 0, "number of seeds of the tests, such as a verdict has asked for; 0 takes the study's, or 5 of a grid by flags")
	c.Flags().Uint64Var(&f.o.FirstSeed, "first-seed", 0, "first seed of the tests, in place of the study's")
	c.Flags().BoolVar(&f.o.Retry, "retry", false, "go on with what has failed, from the last checkpoint where there is one; what cannot go on, since the program or a file is another, is set aside and begun anew")
	return f
}

// check reads the flags that are not what they are to be by their type alone.
func (f *labFlags) check() error {
	if n := f.o.Seeds; n != 0 && (n < 2 || n > 1000) {
		return usagef("--seeds is %d; an interval needs at least 2, and more than 1000 are not taken", n)
	}
	return checkLimits(&f.o, f.maxMemory)
}

// checkLimits reads the flags that bound what runs: jobs, budget and max-memory.
func checkLimits(o *study.Options, maxMemory string) (err error) {
	switch {
	case o.Jobs < 0:
		return usagef("--jobs is %d; it is 0 or more", o.Jobs)
	case o.Budget < 0:
		return usagef("--budget is %s; it is a time above 0", o.Budget)
	}
	if o.MaxMemory, err = train.ParseSize(maxMemory); err != nil {
		return usagef("--max-memory: %w", err)
	}
	return nil
}

// run runs a study and shows its result.
func (f *labFlags) run(c *cobra.Command, s *study.Study) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.o.Output == "" {
		f.o.Output = "runs/" + s.ID
	}
	f.o.Command = "gotune " + strings.Join(os.Args[1:], " ")
	f.o.Version, f.o.Commit = build()
	p := &labProgress{out: c.ErrOrStderr()}
	f.o.Observe = p.observe
	r, err := study.Run(c.Context(), s, f.o)
	p.finish()
	if err != nil {
		return err
	}
	printResult(c.OutOrStdout(), r, f.o.Output)
	return nil
}

func newStudyRun() *cobra.Command {
	var f *labFlags
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a study",
		Long:  runLong,
		Args:  exactly(1, "the file of a study"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := study.Load(args[0])
			if err != nil {
				return usageError{err}
			}
			return f.run(c, s)
		},
	}
	f = newLabFlags(c)
	c.Flags().SortFlags = false
	return c
}

const runLong = `Every run is a run folder in the laboratory, named by what it computes: runs that arms
or studies share are done once, and a laboratory that was stopped or killed goes on
where it was. A run that fails is shown with its error and does not stop the others.
The result is studies/ID/result.json.`
