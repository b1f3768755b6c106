package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"gotune/data/inspect"
	"gotune/study/registry"
)

// print lists runs: the columns of every list, and the keys that were asked for.
func (f *runsFlags) print(out io.Writer, found listing) error {
	f.printVerdicts(out, found.studies)
	columns := []string{"run", "when", "status", "model", "method", "data", "steps"}
	if f.study != "" {
		columns = append(columns, "arm", "seed")
	}
	for _, key := range f.metrics(found.runs) {
		if !slices.Contains(columns, key) && key != "started" {
			columns = append(columns, key)
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(columns, "\t"))
	for _, r := range found.runs {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = inspect.Visible(f.cell(r, c))
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range found.runs {
		if r.Error != "" {
			fmt.Fprintf(out, "\n%s is %s: %s\n", inspect.Visible(r.Folder), r.Status, indented(r.Error))
		}
	}
	for _, s := range found.studies {
		if s.Error != "" {
			fmt.Fprintf(out, "\nthe study %s cannot be read: %s\n", inspect.Visible(s.ID), indented(s.Error))
		}
	}
	return nil
}

// indented is a text of several lines that stand apart from the list.
func indented(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, l := range lines {
		lines[i] = inspect.Visible(l)
	}
	return strings.Join(lines, "\n    ")
}

// metrics are the keys shown behind the others: loss and exact_match where a run has
// them, all of a study that was asked for, and what was filtered and sorted by.
func (f *runsFlags) metrics(runs []registry.Run) []string {
	var all []string
	add := func(key string) {
		if !slices.Contains(all, key) && slices.ContainsFunc(runs, func(r registry.Run) bool { return r.Value(key) != "" }) {
			all = append(all, key)
		}
	}
	add("loss")
	add("exact_match")
	for _, text := range f.where {
		c, _ := registry.ParseCondition(text) // read before
		add(c.Key)
	}
	add(strings.TrimPrefix(f.sort, "-"))
	if f.study != "" {
		for _, m := range registry.StudyMetrics(runs) {
			add(m)
		}
	}
	return all
}

// cell is a run's text in a column of the list.
func (f *runsFlags) cell(r registry.Run, column string) string {
	switch column {
	case "when":
		if r.Started.IsZero() {
			return ""
		}
		return r.Started.Local().Format("2006-01-02 15:04")
	case "steps":
		if r.Planned > 0 && r.Planned != r.Steps {
			return fmt.Sprintf("%d of %d", r.Steps, r.Planned)
		}
	case "arm":
		return arms(r, f.study)
	}
	if v, ok := r.Metrics[column]; ok {
		return figure(v)
	}
	return r.Value(column)
}

// arms names the arms of a run, of one study or of all.
func arms(r registry.Run, study string) string {
	var all []string
	for _, m := range r.Studies {
		if study == "" || m.Study == study {
			all = append(all, m.Arm)
		}
	}
	return strings.Join(slices.Compact(all), ", ")
}

func figure(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }

// printVerdicts prints what a study that was asked for came to.
func (f *runsFlags) printVerdicts(out io.Writer, studies []registry.Study) {
	for _, s := range studies {
		if s.ID != f.study || s.Error != "" {
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", inspect.Visible(s.ID), inspect.Visible(s.Title))
		for _, v := range s.Verdicts {
			fmt.Fprintf(out, "  %s: %s, %s %s (%s … %s), %d seeds\n", inspect.Visible(v.Name), inspect.Visible(v.Outcome),
				inspect.Visible(v.Contrast), figure(v.Effect), figure(v.Low), figure(v.High), v.Seeds)
		}
		fmt.Fprintln(out)
	}
}

// printComparison prints runs side by side, two of them with the difference of their
// metrics.
func printComparison(out io.Writer, c registry.Comparison, runs []registry.Run) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, cells ...string) {
		for i, cell := range cells {
			if cells[i] = inspect.Visible(cell); cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, name+"\t"+strings.Join(cells, "\t"))
	}
	row("", c.Runs...)
	of := func(key string) (all []string) {
		for _, r := range runs {
			all = append(all, r.Value(key))
		}
		return all
	}
	row("status", of("status")...)
	row("method", of("method")...)
	row("steps", of("steps")...)
	for _, d := range c.Recipe {
		cells := make([]string, len(d.Values))
		for i, v := range d.Values {
			cells[i] = string(v)
		}
		row("recipe "+d.Key, cells...)
	}
	for _, m := range c.Metrics {
		cells := make([]string, len(m.Values))
		for i, v := range m.Values {
			if v != nil {
				cells[i] = figure(*v)
			}
		}
		if len(cells) == 2 && m.Values[0] != nil && m.Values[1] != nil {
			cells = append(cells, fmt.Sprintf("%+.5g", *m.Values[1]-*m.Values[0]))
		}
		row("metric "+m.Name, cells...)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d keys of their recipes are the same\n", c.Same)
	return err
}
