package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gotune/internal/disk"
	"gotune/study/registry"
	"gotune/train"
)

// defaultRuns is where gotune train puts runs.
const defaultRuns = "runs"

// runsFlags are the flags of gotune runs.
type runsFlags struct {
	where         []string
	study, status string
	since         string
	sort          string
	export        string
	compare       bool
	rebuild, json bool
}

func newRuns() *cobra.Command {
	var f runsFlags
	c := &cobra.Command{
		Use:   "runs [DIR…]",
		Short: "List, filter, compare and export runs",
		Long: `runs lists the runs below folders, by default those below runs, the newest first. A
folder of a laboratory, as ablations and studies make it, has its runs listed too.

What was read is kept in the folder's registry.db, an index that can be deleted.

--where KEY=VALUE keeps the runs that meet a condition; several are met together. KEY is
a key of a recipe, a metric, or run, status, error, model, method, arm, steps or planned.
Besides = there are != < <= > >= and ~, which looks for a part of a text. Metrics are
those of the last evaluation, such as loss and exact_match, those before training, such
as loss_before, train_loss of the last step, and those of studies.`,
		Example: `  gotune runs
  gotune runs --where lora_rank=8 --where 'exact_match>0.5' --sort loss
  gotune runs --compare runs/2026-01-31-1 runs/2026-01-31-2
  gotune runs DIR --study k05-cpt-loss-rises --export runs.csv`,
		RunE: func(c *cobra.Command, args []string) error {
			if f.compare {
				return f.runCompare(c, args)
			}
			return f.runList(c, args)
		},
	}
	flags := c.Flags()
	flags.StringArrayVar(&f.where, "where", nil, "`condition` that runs meet, such as lora_rank=8 or 'exact_match>0.5'; may be given several times")
	flags.StringVar(&f.study, "study", "", "runs of the study with this `ID`")
	flags.StringVar(&f.status, "status", "", "runs that are "+strings.Join(registry.Statuses, ", "))
	flags.StringVar(&f.since, "since", "", "runs begun since a `date` such as 2026-01-31, or within a time such as 36h")
	flags.StringVar(&f.sort, "sort", "", "`key` to sort by, the smallest first; the largest first with - before it. Without it the newest run is first")
	flags.BoolVar(&f.compare, "compare", false, "lay the runs that are named side by side: what their recipes have otherwise, and their metrics")
	flags.StringVar(&f.export, "export", "", "write the runs with their recipes and metrics to a `file` .csv, .json or .parquet")
	flags.BoolVar(&f.rebuild, "rebuild", false, "read every folder again")
	flags.BoolVar(&f.json, "json", false, "print the runs as JSON")
	flags.SortFlags = false
	return c
}

// filter reads the flags that choose runs.
func (f *runsFlags) filter() (registry.Filter, error) {
	filter := registry.Filter{Study: f.study, Status: f.status}
	if f.status != "" && !slices.Contains(registry.Statuses, f.status) {
		return filter, usagef("--status is %q; it must be one of %s", f.status, strings.Join(registry.Statuses, ", "))
	}
	for _, text := range f.where {
		c, err := registry.ParseCondition(text)
		if err != nil {
			return filter, usagef("--where: %w", err)
		}
		filter.Where = append(filter.Where, c)
	}
	if f.since != "" {
		var err error
		if filter.Since, err = parseSince(f.since, time.Now()); err != nil {
			return filter, err
		}
	}
	return filter, nil
}

func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--since is %q; it must be a date such as 2026-01-31 or 2026-01-31T15:04, or a time such as 36h", text)
}

// exportFormat is the format that the end of a file's name says.
func exportFormat(path string) (registry.Format, error) {
	format := registry.Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), "."))
	if !slices.Contains([]registry.Format{registry.CSV, registry.JSON, registry.Parquet}, format) {
		return "", usagef("--export is %q; its name must end in .csv, .json or .parquet", path)
	}
	return format, nil
}

func (f *runsFlags) runList(c *cobra.Command, dirs []string) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	if f.export != "" {
		if _, err := exportFormat(f.export); err != nil {
			return err
		}
	}
	var found listing
	if len(dirs) == 0 {
		if _, err := os.Stat(defaultRuns); err == nil {
			dirs = []string{defaultRuns}
		}
	}
	for _, dir := range dirs {
		if err := found.read(c.Context(), dir, filter, f.rebuild); err != nil {
			return err
		}
	}
	if len(found.keys) > 0 {
		if err := f.check(found); err != nil {
			return err
		}
	}
	if f.sort != "" {
		registry.Sort(found.runs, f.sort)
	} else {
		registry.Sort(found.runs, "-started")
	}
	return f.write(c, found, dirs)
}

// check refuses keys and a study that there are not.
func (f *runsFlags) check(found listing) error {
	var keys []string
	for _, text := range f.where {
		c, _ := registry.ParseCondition(text) // read before
		keys = append(keys, c.Key)
	}
	if f.sort != "" {
		keys = append(keys, strings.TrimPrefix(f.sort, "-"))
	}
	if err := registry.CheckKeys(keys, found.keys); err != nil {
		return usageError{err}
	}
	var ids []string
	for _, s := range found.studies {
		ids = append(ids, s.ID)
	}
	if f.study == "" || slices.Contains(ids, f.study) {
		return nil
	}
	if meant := train.Meant(f.study, ids); meant != "" {
		return usagef("there is no study %q; perhaps %s is meant", f.study, meant)
	}
	return usagef("there is no study %q among %d with a result", f.study, len(ids))
}

func (f *runsFlags) write(c *cobra.Command, found listing, dirs []string) error {
	if f.export != "" {
		format, err := exportFormat(f.export)
		if err != nil {
			return err
		}
		if err := disk.WriteFile(f.export, func(w io.Writer) error { return registry.Export(w, format, found.runs) }); err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "runs in %s: %d\n", f.export, len(found.runs))
		return nil
	}
	out := c.OutOrStdout()
	if f.json {
		return registry.WriteJSON(out, found.runs)
	}
	switch {
	case len(found.keys) == 0 && len(dirs) == 0:
		fmt.Fprintln(c.ErrOrStderr(), "there are no runs yet: gotune train makes one below runs; name the folder of others")
		return nil
	case len(found.keys) == 0:
		fmt.Fprintf(c.ErrOrStderr(), "there are no runs in %s; gotune runs --help says what is looked for\n", strings.Join(dirs, ", "))
		return nil
	case len(found.runs) == 0:
		fmt.Fprintf(c.ErrOrStderr(), "none of the runs in %s meets the conditions\n", strings.Join(dirs, ", "))
		return nil
	}
	return f.print(out, found)
}

// A listing is what the indexes of folders say.
type listing struct {
	runs    []registry.Run
	studies []registry.Study
	keys    []string // empty where there is no run and no study
}

// read adds the runs of a folder. One without any gets no index.
func (l *listing) read(ctx context.Context, dir string, filter registry.Filter, rebuild bool) error {
	holds, err := registry.Holds(ctx, dir)
	if err != nil || !holds {
		return err
	}
	open := registry.Open
	if train.IsRun(dir) {
		open = registry.InMemory // a run folder holds what the run made
	}
	r, err := open(ctx, dir)
	if err != nil {
		return err
	}
	err = l.readIndex(ctx, r, dir, filter, rebuild)
	return errors.Join(err, r.Close())
}

func (l *listing) readIndex(ctx context.Context, r *registry.Registry, dir string, filter registry.Filter, rebuild bool) error {
	bring := r.Sync
	if rebuild {
		bring = r.Rebuild
	}
	if err := bring(ctx); err != nil {
		return err
	}
	runs, err := r.Runs(ctx, filter)
	if err != nil {
		return err
	}
	for _, run := range runs {
		run.Folder = filepath.Join(dir, run.Folder) // a path that other commands take
		l.runs = append(l.runs, run)
	}
	studies, err := r.Studies(ctx)
	if err != nil {
		return err
	}
	l.studies = append(l.studies, studies...)
	keys, err := r.Keys(ctx)
	l.keys = append(l.keys, keys...)
	return err
}

func (f *runsFlags) runCompare(c *cobra.Command, names []string) error {
	if len(names) < 2 {
		return usagef("--compare takes at least two runs, not %d", len(names))
	}
	if len(f.where) > 0 || f.study != "" || f.status != "" || f.since != "" || f.sort != "" {
		return usagef("--compare takes the runs it is given: leave out what chooses and sorts runs")
	}
	if f.export != "" {
		return usagef("--compare has no --export; --json prints the comparison")
	}
	var runs []registry.Run
	for _, name := range names {
		run, err := f.named(c.Context(), name)
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	compared := registry.Compare(runs)
	if f.json {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(compared)
	}
	return printComparison(c.OutOrStdout(), compared, runs)
}

// named finds a run by its folder, or by its name below runs. A run of a laboratory
// is read by the laboratory's index, which knows the metrics of its studies.
func (f *runsFlags) named(ctx context.Context, name string) (registry.Run, error) {
	path := filepath.Clean(name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(defaultRuns, name)
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return registry.Run{}, fmt.Errorf("there is no run %s, and none of this name below %s", name, defaultRuns)
	}
	dir := path
	if lab := filepath.Dir(filepath.Dir(path)); filepath.Base(filepath.Dir(path)) == "runs" {
		if _, err := os.Stat(filepath.Join(lab, "studies")); err == nil {
			dir = lab
		}
	}
	var found listing
	if err := found.read(ctx, dir, registry.Filter{}, f.rebuild); err != nil {
		return registry.Run{}, err
	}
	for _, run := range found.runs {
		if run.Folder == path {
			return run, nil
		}
	}
	return registry.Run{}, fmt.Errorf("%s is no run folder", name)
}
