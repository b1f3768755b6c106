package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gotune/train"
)

// newObserver returns what shows a run: text for people on standard error with
// the results on standard output, or JSON lines on standard output.
func newObserver(c *cobra.Command, format string) (train.Observer, error) {
	switch format {
	case "json":
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetEscapeHTML(false)
		return &jsonObserver{enc: enc}, nil
	case "text":
		return &textObserver{out: c.OutOrStdout(), talk: c.ErrOrStderr(), terminal: term.IsTerminal(int(os.Stderr.Fd()))}, nil
	}
	return nil, usagef("log-format is %q; it must be text or json", format)
}

// jsonObserver writes an event a line; docs/cli.md describes them. Errors of
// writing are remembered by the output and fail the command.
type jsonObserver struct{ enc *json.Encoder }

func (o *jsonObserver) Start(h train.Header) {
	_ = o.enc.Encode(struct {
		Event string `json:"event"`
		train.Header
	}{"start", h})
}
func (o *jsonObserver) Step(e train.StepEvent)      { _ = o.enc.Encode(e) }
func (o *jsonObserver) Evaluated(e train.EvalEvent) { _ = o.enc.Encode(e) }
func (o *jsonObserver) Done(e train.DoneEvent)      { _ = o.enc.Encode(e) }

// textObserver writes for people: a header, a bar or plain lines, and at the end
// what changed.
type textObserver struct {
	out, talk io.Writer
	terminal  bool
	bar       *progressbar.ProgressBar
	header    train.Header
	started   time.Time
}

// shownFiles is the number of files of which the header says how they are read.
const shownFiles = 5

func (o *textObserver) Start(h train.Header) {
	first := o.header.Run == ""
	o.header, o.started = h, time.Now()
	line := func(name, format string, args ...any) {
		fmt.Fprintf(o.talk, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	if first {
		fmt.Fprintf(o.talk, "gotune: %s\n", h.Run)
	}
	if h.Stages > 1 {
		fmt.Fprintf(o.talk, "  stage %d of %d: %s, %d steps\n", h.StageIndex+1, h.Stages, h.Stage, h.StageSteps)
	}
	line("model", "%s, %s parameters", h.Model, count(h.Parameters))
	line("training", "%s: %s parameters (%.2f %%)", h.Method, count(h.Trainable), 100*float64(h.Trainable)/float64(h.Parameters))
	rows := fmt.Sprintf("%d rows", h.Rows)
	if h.Streaming {
		rows = fmt.Sprintf("read as it is needed; of the first %d rows", h.Rows)
	}
	data := fmt.Sprintf("%s: %s, %.0f %% of the tokens are targets", h.Data, rows, 100*h.TargetShare)
	if h.Skipped+h.Dropped+h.Refused > 0 {
		data += fmt.Sprintf("; left out: %d rows without a target, %d too long, %d without a mask", h.Skipped, h.Dropped, h.Refused)
	}
	line("data", "%s", data)
	for i, f := range h.Files {
		if i == shownFiles {
			line("", "and %d files more", len(h.Files)-i)
			break
		}
		line("", "%s", f)
	}
	for _, e := range h.Corpora {
		if len(h.Corpora) > 1 || h.Stages > 1 {
			line("", "%s: %d rows, each seen %.3g times", e.Path, e.Rows, e.Times)
		}
	}
	if h.EvalRows > 0 {
		line("held out", "%d rows", h.EvalRows)
	}
	steps := fmt.Sprint(h.Steps)
	if h.FirstStep > 0 {
		steps += fmt.Sprintf(", going on after %d", h.FirstStep)
	}
	line("steps", "%s", steps)
	cpu := fmt.Sprintf("%s, %d threads, products in %s", h.CPULevel, h.Threads, h.Precision)
	switch {
	case h.Pairs != "" && h.Precision == "bf16":
		cpu += " by " + h.Pairs
	case h.Pairs != "":
		cpu += fmt.Sprintf(" (--precision bf16 would use %s: %s)", h.Pairs, pairsGain[h.Pairs])
	}
	line("CPU", "%s", cpu)
	var stored []string
	for _, s := range h.Weights {
		stored = append(stored, fmt.Sprintf("%s in %s", count(s.Count), s.Storage))
	}
	line("weights", "%s", strings.Join(stored, ", "))
	line("memory", "%.0f MiB planned", float64(h.PlannedBytes)/(1<<20))
	for i, w := range h.Warnings {
		name := "note"
		if i < h.Serious {
			name = "warning"
		}
		line(name, "%s", w)
	}
}

// pairsGain says what instructions for bf16 bring to the products of a model, on the
// machines that were measured.
var pairsGain = map[string]string{
	"avx512_bf16": "products up to twice as fast, their inputs rounded to 8 bits",
	"amx":         "products about eight times as fast, their inputs rounded to 8 bits",
}

// begin makes the bar at the first step, so that the time left is that of steps.
func (o *textObserver) begin() {
	if o.terminal && o.bar == nil {
		o.bar = progressbar.NewOptions(o.header.Steps, progressbar.OptionSetWriter(o.talk), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth())
		_ = o.bar.Set(o.header.FirstStep)
	}
}

func count(n int) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", float64(n)/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

func (o *textObserver) Step(e train.StepEvent) {
	o.begin()
	text := fmt.Sprintf("loss %.4f  lr %.2e  %.0f tokens/s", e.Loss, e.LearningRate, e.TokensPerSecond)
	if o.bar != nil {
		o.bar.Describe(text)
		_ = o.bar.Set(e.Step)
		return
	}
	every := max(1, o.header.Steps/20)
	if e.Step%every == 0 || e.Step == o.header.Steps {
		done := e.Step - o.header.FirstStep
		left := time.Since(o.started) / time.Duration(max(done, 1)) * time.Duration(o.header.Steps-e.Step)
		fmt.Fprintf(o.talk, "  step %d/%d  %s  %s left\n", e.Step, o.header.Steps, text, left.Round(time.Second))
	}
}

func (o *textObserver) Evaluated(e train.EvalEvent) {
	if e.When == "before" {
		o.started = time.Now()
	}
	if e.When != "during" || e.Loss == nil {
		return
	}
	if o.bar != nil {
		_ = o.bar.Clear()
	}
	fmt.Fprintf(o.talk, "  after step %d: held-out loss %.4f%s\n", e.Step, *e.Loss, exact(e.Scores))
	for _, a := range e.Answers {
		fmt.Fprintf(o.talk, "    %s → %s  (%s)\n", clip(a.Question, 60), clip(a.Got, 40), clip(a.Want, 40))
	}
}

func exact(s train.Scores) string {
	if s.ExactMatch == nil {
		return ""
	}
	text := fmt.Sprintf(", exact match %.1f %%", 100**s.ExactMatch)
	if s.GeneratedMatch != nil {
		text += fmt.Sprintf(", generated %.1f %%", 100**s.GeneratedMatch)
	}
	return text
}

func (o *textObserver) Done(e train.DoneEvent) {
	if e.AlreadyFinished {
		fmt.Fprintf(o.talk, "%s is finished: its result is %s\n", e.Run, e.Result)
		return
	}
	if o.bar != nil {
		_ = o.bar.Finish()
		fmt.Fprintln(o.talk)
	}
	if e.Before != nil && e.After != nil && (e.After.Loss != nil || e.After.RetainLoss != nil) {
		o.answers(e.Before.Answers, e.After.Answers)
		o.table(e.Before.Scores, e.After.Scores)
	}
	if e.Steps < o.header.Steps {
		fmt.Fprintf(o.out, "\nStopped early, after %d of %d steps: evaluations got no better.\n", e.Steps, o.header.Steps)
	}
	fmt.Fprintf(o.out, "\n%d steps in %.1f s. The result is %s\nNext: gotune chat %s\n", e.Steps, e.TrainSeconds, e.Result, e.Run)
}

// answers shows the same questions answered before and after.
func (o *textObserver) answers(before, after []train.Answer) {
	if len(before) == 0 || len(before) != len(after) {
		return
	}
	fmt.Fprintf(o.out, "\nHeld-out questions (* in a wording never seen in tuning)\n")
	for i, b := range before {
		mark := " "
		if b.Wording == "unseen" {
			mark = "*"
		}
		verdict := "wrong"
		if after[i].Got == after[i].Want {
			verdict = "right"
		}
		fmt.Fprintf(o.out, "%s %s\n    before  %s\n    after   %s  (%s: %s)\n", mark, clip(b.Question, 100), clip(b.Got, 60), clip(after[i].Got, 60), verdict, clip(after[i].Want, 60))
	}
}

// clip makes a text one line of at most n characters.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		s = string(r[:n-1]) + "…"
	}
	return s
}

// table shows the scores before and after.
func (o *textObserver) table(before, after train.Scores) {
	fmt.Fprintf(o.out, "\n%-44s %10s %10s\n", "", "before", "after")
	row := func(name, format string, scale float64, b, a *float64) {
		if b != nil && a != nil {
			fmt.Fprintf(o.out, "%-44s %10s %10s\n", name, fmt.Sprintf(format, scale**b), fmt.Sprintf(format, scale**a))
		}
	}
	row("exact match, held-out questions", "%.1f %%", 100, before.ExactMatch, after.ExactMatch)
	row("  of these in unseen wordings", "%.1f %%", 100, before.UnseenWording, after.UnseenWording)
	for i, a := range after.Corpora {
		if i < len(before.Corpora) {
			row("  "+a.Path, "%.1f %%", 100, before.Corpora[i].ExactMatch, a.ExactMatch)
		}
	}
	row("mean log-probability of the right answers", "%.3f", 1, before.LogProbability, after.LogProbability)
	row("held-out loss", "%.4f", 1, before.Loss, after.Loss)
	row("forgotten: held-out pre-training loss", "%.4f", 1, before.RetainLoss, after.RetainLoss)
}
