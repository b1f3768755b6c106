package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gotune/data/inspect"
	"gotune/train"
)

// runDescription is a run folder.
type runDescription struct {
	Kind string `json:"kind"` // run
	train.RunInfo
}

func describeRun(path string) (description, error) {
	info, err := train.Describe(path)
	if err != nil {
		return nil, err
	}
	return &runDescription{"run", info}, nil
}

func (r *runDescription) print(p *page) error {
	p.title(r.Path, "a run, %s", r.Status)
	if r.Stopped != "" {
		p.line("stopped", "%s", inspect.Visible(r.Stopped))
	}
	if !r.Started.IsZero() {
		p.line("started", "%s", r.Started.Format("2006-01-02 15:04:05 MST"))
	}
	p.line("model", "%s", inspect.Visible(r.Model))
	if r.Adapter != "" {
		p.line("adapter", "goes on with %s", inspect.Visible(r.Adapter))
	}
	for i, s := range r.Stages {
		name := "training"
		if len(r.Stages) > 1 {
			name = fmt.Sprintf("stage %d", i+1)
		}
		text := fmt.Sprintf("%s, on %s", s.Method, inspect.Visible(strings.Join(s.Data, ", ")))
		if s.Name != "" {
			text = fmt.Sprintf("%s: %s, %d steps taken", s.Name, text, s.Steps)
		}
		p.line(name, "%s", text)
	}
	steps := fmt.Sprint(r.Steps)
	if r.Planned > 0 {
		steps += fmt.Sprintf(" of %d", r.Planned)
	}
	p.line("steps", "%s, seed %d", steps, r.Seed)
	if l := r.Losses; l != nil {
		p.line("loss", "first %.4f, last %.4f, lowest %.4f at step %d", l.First, l.Last, l.Lowest, l.At)
	}
	for _, e := range r.Evaluations {
		if e.Loss != nil {
			p.line("held out", "after step %d: loss %.4f%s", e.Step, *e.Loss, exact(e.Scores))
		}
	}
	if b := r.Best; b != nil {
		p.line("best", "%s", r.best())
	}
	for _, c := range r.Checkpoints {
		p.line("checkpoint", "%s", inspect.Visible(c))
	}
	if r.Result != "" {
		p.line("result", "%s", inspect.Visible(r.Result))
	}
	p.text("%s", r.next())
	return p.err
}

// best says which evaluation was the best of the last stage.
func (r *runDescription) best() string {
	text := fmt.Sprintf("%s %.4f after step %d", r.Best.Metric, r.Best.Value, r.Best.Step)
	if r.Best.Kept {
		text += ", which is the result"
	}
	if r.Best.StoppedEarly {
		text += "; stopped early, since no later evaluation was better"
	}
	return text
}

// next says what can be done with the run.
func (r *runDescription) next() string {
	path := inspect.Visible(r.Path)
	switch r.Status {
	case "running":
		return ""
	case "finished":
		return fmt.Sprintf("Next: gotune chat %s, gotune inspect %s\n", path, inspect.Visible(r.Result))
	}
	return fmt.Sprintf("Next: gotune train --resume %s\n", path)
}

// checkpointDescription is a checkpoint of a run.
type checkpointDescription struct {
	Kind string `json:"kind"` // checkpoint
	train.CheckpointInfo
	Holds description `json:"holds"` // the adapter or the model
}

func describeCheckpoint(path string) (description, error) {
	info, err := train.DescribeCheckpoint(path)
	if err != nil {
		return nil, err
	}
	d := &checkpointDescription{Kind: "checkpoint", CheckpointInfo: info}
	if _, err := os.Stat(filepath.Join(path, "adapter_config.json")); err == nil {
		d.Holds, err = describeAdapter(path)
		return d, err
	}
	d.Holds, err = describeModel(path)
	return d, err
}

func (d *checkpointDescription) print(p *page) error {
	p.title(d.Path, "a checkpoint after step %d", d.Step)
	p.line("stage", "%d, %d steps taken of it", d.Stage+1, d.StageStep)
	p.line("optimizer", "after %d steps", d.OptimizerSteps)
	if d.Best != nil {
		p.line("best", "%.4f after step %d", d.Best.Value, d.Best.Step)
	}
	return d.Holds.print(p)
}
