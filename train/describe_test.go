//go:build unix

package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run tells how far it is while it is at work, after it was interrupted, and at
// its end.
func TestDescribe(t *testing.T) {
	r := tinyRecipe(t)
	r.EvalData, r.EvalSteps = r.Data, 3
	r.Output = filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var atWork RunInfo
	var err error
	_, _ = Run(ctx, r, &silent{after: func(e StepEvent) {
		if e.Step == 6 {
			atWork, err = Describe(r.Output)
			cancel()
		}
	}})
	if err != nil || atWork.Status != "running" || atWork.Steps != 6 || atWork.Planned != 10 || atWork.Result != "" {
		t.Errorf("at work: %+v, %v", atWork, err)
	}
	stopped, err := Describe(r.Output)
	if err != nil || stopped.Status != "unfinished" || stopped.Stopped != "interrupted" || len(stopped.Checkpoints) != 2 {
		t.Errorf("interrupted: %+v, %v", stopped, err)
	}
	if _, err := Resume(context.Background(), r.Output, 0, &silent{}); err != nil {
		t.Fatal(err)
	}
	done, err := Describe(r.Output)
	if err != nil || done.Status != "finished" || done.Stopped != "" || done.Steps != 10 || done.Stages[0].Steps != 10 || done.Result != filepath.Join(r.Output, adapterName) {
		t.Errorf("finished: %+v, %v", done, err)
	}
	if n := len(done.Evaluations); n < 2 || done.Evaluations[0].When != "before" || done.Evaluations[n-1].When != "after" {
		t.Errorf("evaluations: %+v", done.Evaluations)
	}
}

// A line that a process at work is writing does not count.
func TestDescribeHalfALine(t *testing.T) {
	run, _ := runRecipe(t, tinyRecipe(t))
	path := filepath.Join(run, metricsName)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"event":"step","st`); err != nil {
		t.Fatal(err)
	}
	if info, err := Describe(run); err != nil || info.Steps != 10 {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := f.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Describe(run); err == nil || !strings.Contains(err.Error(), metricsName+":11:") {
		t.Errorf("a broken line: %v", err)
	}
}
