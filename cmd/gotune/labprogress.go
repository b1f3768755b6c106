package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"gotune/study"
)

// labProgress shows how a study goes: on a terminal in one line that changes.
type labProgress struct {
	out  io.Writer
	open bool // the line at hand is one that changes
}

func (p *labProgress) observe(e study.Event) {
	left := ""
	if e.Left > 0 {
		left = fmt.Sprintf(", about %s left", (time.Duration(e.Left) * time.Second).Round(time.Second))
	}
	what := fmt.Sprintf("%s seed %d", e.Arm, e.Seed)
	switch e.Event {
	case "progress":
		if term.IsTerminal(int(os.Stderr.Fd())) {
			fmt.Fprintf(p.out, "\r\033[K  %d of %d runs%s: %s, %s", e.Done, e.Total, left, what, e.Text)
			p.open = true
		}
	case "done":
		p.line("%d of %d runs%s: %s in %.1f s", e.Done, e.Total, left, what, e.Seconds)
	case "reused":
		p.line("%d of %d runs%s: %s was there", e.Done, e.Total, left, what)
	case "failed", "skipped":
		p.line("%d of %d runs%s: %s %s: %s", e.Done, e.Total, left, what, e.Event, e.Text)
	case "chosen", "dropped", "locked", "aside":
		p.line("%s: %s %s", e.Event, e.Run, e.Text)
	}
}

func (p *labProgress) line(format string, args ...any) {
	p.finish()
	fmt.Fprintf(p.out, "  "+format+"\n", args...)
}

// finish ends a line that changes.
func (p *labProgress) finish() {
	if p.open {
		fmt.Fprint(p.out, "\r\033[K")
		p.open = false
	}
}

// printResult shows what a study has come to.
func printResult(w io.Writer, r study.Result, lab string) {
	if len(r.Arms) > 0 && len(r.Metrics) > 0 {
		fmt.Fprintf(w, "%-40s %5s", "arm", "runs")
		for _, m := range r.Metrics {
			fmt.Fprintf(w, " %16s", m.Name)
		}
		fmt.Fprintln(w)
	}
	failed := false
	for _, a := range r.Arms {
		finished := 0
		for _, run := range a.Runs {
			if run.Status == "finished" {
				finished++
			}
		}
		fmt.Fprintf(w, "%-40s %5d", a.Name, finished)
		for _, m := range r.Metrics {
			text := "–"
			if mean, n := a.Mean(m.Name); n > 0 {
				text = fmt.Sprintf("%.4g", mean)
			}
			fmt.Fprintf(w, " %16s", text)
		}
		fmt.Fprintln(w)
		for _, m := range missingOf(a.Runs) {
			fmt.Fprintf(w, "  seed%s %s: %s\n", m.seeds, m.status, m.why)
			failed = failed || m.status == "failed"
		}
	}
	for _, d := range r.Dropped {
		fmt.Fprintf(w, "dropped  %s: %s\n", d.Name, d.Reason)
	}
	for _, v := range r.Checks {
		fmt.Fprintf(w, "check    %s: %s\n", v.Name, v.Reading)
	}
	for _, v := range r.Verdicts {
		fmt.Fprintf(w, "%s: %s\n", v.Name, v.Reading)
	}
	if failed {
		fmt.Fprintln(w, "Failed runs are gone on with by --retry, or set aside and begun anew where they cannot be; where a folder is damaged, remove it")
	}
	fmt.Fprintf(w, "The result is %s/studies/%s/result.json\nNext, as a page with pictures: gotune report %s/studies/%s\n", lab, r.ID, lab, r.ID)
}

// missing are runs of an arm that have no result for the same reason.
type missing struct{ seeds, status, why string }

// missingOf lists the runs without a result, those that follow each other for the same
// reason in one.
func missingOf(runs []study.RunResult) (all []missing) {
	for _, run := range runs {
		if run.Error == "" {
			continue
		}
		if last := len(all) - 1; last >= 0 && all[last].status == run.Status && all[last].why == run.Error {
			all[last].seeds = "s" + strings.TrimPrefix(all[last].seeds, "s") + fmt.Sprintf(", %d", run.Seed)
			continue
		}
		all = append(all, missing{seeds: fmt.Sprintf(" %d", run.Seed), status: run.Status, why: run.Error})
	}
	return all
}
