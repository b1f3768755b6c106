package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gotune/examples"
	"gotune/report"
	"gotune/study"
	"gotune/study/registry"
	"gotune/study/suite"
)

// The time that a suite may take unless it is said.
const (
	quickBudget = 20 * time.Minute
	fullBudget  = 4 * time.Hour
)

// reproduction holds the flags of gotune reproduce.
type reproduction struct {
	o                 study.Options
	list, plan, noRun bool
	copy, studies     string
	only              []string
	maxMemory         string
	publish, readme   string
	bases             int

	all, chosen []*study.Study
	why         map[string]string
	failures    suite.Failures
}

func newReproduce() *cobra.Command {
	r := &reproduction{}
	c := &cobra.Command{
		Use:   "reproduce",
		Short: "Put the claims about fine-tuning to the test, all studies in one laboratory",
		Long: `reproduce runs the studies that come with the program, each about a claim: those that
share most runs first, and what they share once. It goes on where it was stopped. Where the
budget is short, headline claims come first, each study gets a few seeds before any gets more,
and what did not fit is told as not run. LAB/verdicts.json and LAB/report/report.html tell
what was found.

--quick runs three seeds and fewer arms: verdicts are provisional and tell large effects alone.
--only, --list, --plan and --copy choose claims such as K5 or studies by their id.`,
		Example: `  gotune reproduce --quick
  gotune reproduce --only K5,L10
  gotune reproduce --budget 4h --publish docs/results --readme README.md
  gotune reproduce --copy K5                   a study to change and run by gotune study run
  gotune reproduce --only K5,K6 --first-seed 101
  gotune reproduce --bases 3`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c) },
	}
	f := c.Flags()
	f.BoolVar(&r.list, "list", false, "list the studies and what they take")
	f.BoolVar(&r.plan, "plan", false, "print what is run, study by study, as a table in Markdown that adds up")
	f.StringVar(&r.copy, "copy", "", "write the file of the study of a claim, or with an `ID`, into the folder at hand")
	f.StringSliceVar(&r.only, "only", nil, "claims or ids of studies, such as K5,L10")
	f.BoolVar(&r.o.Quick, "quick", false, "the seeds and arms of a quick run; verdicts are provisional")
	f.StringVar(&r.o.Output, "output", "reproduce", "folder of the laboratory. What is there is gone on with")
	f.IntVar(&r.o.Jobs, "jobs", 0, "runs at a time, each on one thread; 0 is one for each core")
	f.StringVar(&r.maxMemory, "max-memory", "", "memory that all runs together may take, such as 4GiB")
	f.DurationVar(&r.o.Budget, "budget", 0, fmt.Sprintf("time on the clock for all (default %s, with --quick %s)", hours(fullBudget), hours(quickBudget)))
	f.BoolVar(&r.o.Retry, "retry", false, "go on with what has failed, from the last checkpoint where there is one; what cannot go on, since the program or a file is another, is set aside and begun anew")
	f.BoolVar(&r.noRun, "no-run", false, "run nothing, and tell of what is there")
	f.StringVar(&r.publish, "publish", "", "write verdicts, numbers, pictures and pages about them into a `folder`, and print the table of verdicts")
	f.StringVar(&r.readme, "readme", "", "put the table of verdicts into a `file` between <!-- verdicts --> and <!-- /verdicts -->")
	f.IntVar(&r.bases, "bases", 0, "run studies on so many bases, pre-trained from other seeds, and compare; headline claims unless --only chooses")
	f.Uint64Var(&r.o.FirstSeed, "first-seed", 0, "run the studies a second time on seeds from this one on, and compare")
	f.StringVar(&r.studies, "studies", "", "folder of study files in place of those that come with the program")
	f.SortFlags = false
	return c
}

func hours(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

func (r *reproduction) run(c *cobra.Command) error {
	if err := r.read(); err != nil {
		return err
	}
	ctx, out := c.Context(), c.OutOrStdout()
	switch {
	case r.copy != "":
		name, err := suite.Copy(r.all, r.copy)
		if err != nil {
			return usageError{err}
		}
		_, err = fmt.Fprintln(out, name)
		return err
	case r.list:
		return r.printList(out)
	case r.plan:
		fmt.Fprintf(c.ErrOrStderr(), "working out the runs of %s; data and models are read for it, which can be minutes the first time\n", r.count())
		plan, err := study.PlanAll(ctx, r.chosen, study.OpenKnown(r.o.Output), r.o.Quick, false)
		if err != nil {
			return err
		}
		return suite.Budget(out, r.chosen, plan)
	}
	if r.readme != "" { // hours of runs come before it is written
		if err := suite.CheckPage(r.readme); err != nil {
			return err
		}
	}
	compared, err := r.runAll(c)
	if err != nil {
		return err
	}
	return r.tell(c, compared)
}

// read reads the studies and checks the flags.
func (r *reproduction) read() (err error) {
	var src fs.FS = os.DirFS(r.studies)
	if r.studies == "" {
		if src, err = fs.Sub(examples.Claims, "claims"); err != nil {
			return err
		}
	}
	if r.all, err = suite.Load(src); err != nil {
		if r.studies != "" {
			err = fmt.Errorf("--studies %s: %w", r.studies, err)
		}
		return usageError{err}
	}
	r.chosen = r.all
	if r.bases > 0 && r.only == nil {
		r.chosen = slices.DeleteFunc(slices.Clone(r.all), func(s *study.Study) bool { return !suite.IsHeadline(s) })
	}
	if r.only != nil {
		if r.chosen, err = suite.Only(r.all, r.only); err != nil {
			return usageError{err}
		}
	}
	switch {
	case r.bases < 0 || r.bases == 1 || r.bases > 100:
		return usagef("--bases is %d; it counts the embedded base too, and is 2 or more", r.bases)
	case len(r.chosen) == 0:
		return usagef("no study is of a headline claim (%s): choose by --only", strings.Join(suite.Headline, ", "))
	case r.bases > 0 && r.o.FirstSeed > 0:
		return usagef("--bases and --first-seed are two comparisons: make one after the other")
	case r.o.Budget == 0 && r.o.Quick:
		r.o.Budget = quickBudget
	case r.o.Budget == 0:
		r.o.Budget = fullBudget
	}
	return checkLimits(&r.o, r.maxMemory)
}

// printList lists the chosen studies. Nothing is planned for it: the tokens are those that
// their files allow at most.
func (r *reproduction) printList(out io.Writer) error {
	fmt.Fprintf(out, "%-36s %-8s %-11s %-14s %-14s %-9s %s\n", "study", "claims", "kind", "arms × seeds", "quick", "tokens", "title")
	tokens := 0.0
	for _, s := range r.chosen {
		takes := func(arms int, seeds []uint64) string {
			if s.Kind == study.NotBuilt || arms == 0 {
				return "–"
			}
			return fmt.Sprintf("%d × %d", arms, len(seeds))
		}
		quick := len(s.Arms)
		if s.Quick != nil {
			quick = len(s.Quick)
		}
		most := "–"
		if s.Budget.Tokens > 0 {
			most = fmt.Sprintf("%.3g M", s.Budget.Tokens/1e6)
		}
		tokens += s.Budget.Tokens
		fmt.Fprintf(out, "%-36s %-8s %-11s %-14s %-14s %-9s %s\n", s.ID, strings.Join(s.Claims, ","), s.Kind, takes(len(s.Arms), s.Seeds.Full), takes(quick, s.Seeds.Quick), most, s.Title)
	}
	most := ""
	if tokens > 0 {
		most = fmt.Sprintf(" of at most %.3g M tokens", tokens/1e6)
	}
	_, err := fmt.Fprintf(out, "%s%s; --plan works out what is run, in full or with --quick\n", r.count(), most)
	return err
}

// count says how many studies are chosen.
func (r *reproduction) count() string {
	if len(r.chosen) == 1 {
		return "1 study"
	}
	return fmt.Sprintf("%d studies", len(r.chosen))
}

// runAll runs what is asked for, and returns the comparison where there is one.
func (r *reproduction) runAll(c *cobra.Command) (*suite.Comparison, error) {
	start, budget := time.Now(), r.o.Budget
	r.o.Command = r.command()
	r.o.Version, r.o.Commit = build()
	first := r.o.FirstSeed
	r.o.FirstSeed = 0 // the files of other seeds say them
	run := func(studies []*study.Study) error {
		if r.noRun {
			return nil
		}
		p := &suiteProgress{labProgress: labProgress{out: c.ErrOrStderr()}}
		o := suite.Options{Options: r.o, Observe: p.observe}
		if o.Budget = budget; time.Since(start) > time.Second { // there was a part before
			o.Budget = max(1, (budget - time.Since(start)).Round(time.Second))
		}
		why, err := suite.Run(c.Context(), studies, o)
		p.finish()
		if r.why == nil {
			r.why = make(map[string]string)
		}
		maps.Copy(r.why, why)
		var failures suite.Failures
		if errors.As(err, &failures) {
			r.failures = append(r.failures, failures...)
			return nil
		}
		return err
	}
	switch {
	case first > 0:
		others, err := suite.OtherSeeds(r.chosen, first)
		if err != nil {
			return nil, usageError{err}
		}
		if err := run(slices.Concat(r.chosen, others)); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("seeds-%d", first)
		compared, err := suite.Compare(r.o.Output, name, fmt.Sprintf("The same from seeds %d on", first), []string{"seeds of the suite", fmt.Sprintf("from %d on", first)}, r.chosen, [][]*study.Study{others})
		return &compared, err
	case r.bases > 0:
		return r.onBases(run)
	}
	return nil, run(r.chosen)
}

// onBases makes further bases and runs studies on them.
func (r *reproduction) onBases(run func([]*study.Study) error) (*suite.Comparison, error) {
	var known []suite.Base
	for _, b := range [][2]string{{"base", "pretrain-base.yaml"}, {"base-b", "pretrain-b.yaml"}} {
		raw, err := examples.Recipes.ReadFile(b[1])
		if err != nil {
			return nil, err
		}
		known = append(known, suite.Base{Name: b[0], Recipe: raw})
	}
	bases, err := suite.Bases(r.chosen, known, r.bases)
	if err != nil {
		return nil, usageError{err}
	}
	if err := run(bases); err != nil {
		return nil, err
	}
	variants, err := suite.OnBases(r.o.Output, r.chosen, bases)
	if err != nil {
		return nil, err
	}
	if err := run(slices.Concat(append([][]*study.Study{r.chosen}, variants...)...)); err != nil {
		return nil, err
	}
	columns := []string{"embedded base"}
	for seed := 2; seed <= r.bases; seed++ {
		columns = append(columns, fmt.Sprintf("base from seed %d", seed))
	}
	compared, err := suite.Compare(r.o.Output, "bases", "The same on further bases", columns, r.chosen, variants)
	return &compared, err
}

// command is the command line that repeats what was run.
func (r *reproduction) command() string {
	words := []string{"gotune reproduce"}
	add := func(given bool, format string, value any) {
		if given {
			words = append(words, fmt.Sprintf(format, value))
		}
	}
	add(r.o.Quick, "--quick%s", "")
	add(r.only != nil, "--only %s", strings.Join(r.only, ","))
	add(r.bases > 0, "--bases %d", r.bases)
	add(r.o.FirstSeed > 0, "--first-seed %d", r.o.FirstSeed)
	add(r.studies != "", "--studies %s", r.studies)
	return strings.Join(words, " ")
}

// tell says what has come out, writes it down and publishes it.
func (r *reproduction) tell(c *cobra.Command, compared *suite.Comparison) error {
	lab, out := r.o.Output, c.OutOrStdout()
	table, err := suite.Judge(lab, r.all, r.why)
	if err != nil {
		return err
	}
	table.Command = r.o.Command
	if err := os.MkdirAll(lab, 0o755); err != nil {
		return err
	}
	if err := table.Write(filepath.Join(lab, "verdicts.json")); err != nil {
		return err
	}
	if compared != nil {
		if err := compared.Write(lab); err != nil {
			return err
		}
		fmt.Fprint(out, compared.Markdown())
	} else {
		r.printTable(out, table)
	}
	if err := registry.Sync(c.Context(), lab); err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "warning: the index of runs: %v\n", err)
	}
	pages := filepath.Join(lab, "report")
	page := ""
	if found, err := report.Open(lab); err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "warning: %v\n", err)
	} else if page, err = found.Write(c.Context(), pages); err != nil {
		return err
	}
	if r.publish != "" {
		if table, err = r.publishAll(out, filepath.Join(pages, "pictures")); err != nil {
			return err
		}
	}
	if r.readme != "" {
		if err := table.Insert(r.readme); err != nil {
			return err
		}
	}
	if page != "" {
		page = ", the report is " + page
	}
	if _, err = fmt.Fprintf(out, "The verdicts are %s/verdicts.json%s\n", lab, page); err == nil && len(r.failures) > 0 {
		return r.failures
	}
	return err
}

// publishAll publishes what was found here and in laboratories before, and prints the
// table of both.
func (r *reproduction) publishAll(out io.Writer, pictures string) (suite.Table, error) {
	table, aside, err := suite.Together(r.o.Output, r.publish, r.all, r.why)
	if err != nil {
		return table, err
	}
	for _, text := range aside {
		fmt.Fprintln(out, text)
	}
	table.Command = r.o.Command
	if taken := table.Taken(); len(taken) > 0 {
		fmt.Fprintf(out, "taken over from %s: %s\n", r.publish, strings.Join(taken, ", "))
		whole := reproduction{studies: r.studies} // a part does not repeat it
		table.Command = whole.command()
	}
	if err := table.Publish(r.o.Output, pictures, r.publish); err != nil {
		return table, err
	}
	_, err = fmt.Fprint(out, table.Marked())
	return table, err
}

// printTable prints the primary verdicts of the studies that were chosen.
func (r *reproduction) printTable(out io.Writer, table suite.Table) {
	var not []string
	for _, row := range table.Primary() {
		if !slices.ContainsFunc(r.chosen, func(s *study.Study) bool { return s.ID == row.Study }) {
			continue
		}
		if row.Verdict == study.NotRun && !slices.Contains(not, row.ID) {
			not = append(not, row.ID)
		}
		fmt.Fprintf(out, "%-5s %s\n", row.ID, row.Reading)
	}
	fmt.Fprintf(out, "%d primary tests, corrected together by Benjamini and Hochberg\n", table.Tests)
	if len(not) > 0 {
		fmt.Fprintf(out, "NOT RUN: %s\n", strings.Join(not, ", "))
	}
}

// suiteProgress shows how a suite goes.
type suiteProgress struct{ labProgress }

func (p *suiteProgress) observe(e suite.Progress) {
	left := ""
	if e.Left > 0 {
		left = fmt.Sprintf(", about %s left for all", e.Left.Round(time.Second))
	}
	switch e.Event.Event {
	case "plan":
		p.line("%s", e.Text)
	case "study":
		p.line("study %d of %d%s: %s", e.Study, e.Of, left, e.Title)
	case "failed":
		if e.Arm == "" { // the study itself
			p.line("%s could not be run: %s", e.Event.Study, e.Text)
			return
		}
		p.labProgress.observe(e.Event)
	default:
		p.labProgress.observe(e.Event)
	}
}
