package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gotune/internal/disk"
	"gotune/train"
)

// run does a run, or goes on with it, and measures it. A panic of it is an error.
func (l *lab) run(ctx context.Context, n *node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault of the program: %v", p)
			err = errors.Join(err, noteFailure(l.path(n), err))
		}
	}()
	if n.planned() {
		n.values, err = n.plans(ctx)
		return err
	}
	path := l.path(n)
	if err := l.before(path); err != nil {
		return err
	}
	if err := l.train(ctx, n, path); err != nil {
		if ctx.Err() == nil && !errors.Is(err, train.ErrLocked) && !errors.Is(err, syscall.ENOSPC) {
			err = errors.Join(err, noteFailure(path, err))
		}
		return err
	}
	if n.values, err = measure(ctx, path, n.metrics, l.hashes); err != nil {
		return err
	}
	foreseen, err := n.plans(ctx)
	if err != nil {
		return err
	}
	maps.Copy(n.values, foreseen)
	t, err := readTimeline(path)
	if err != nil {
		return err
	}
	n.facts, err = readFacts(path, t)
	return err
}

// failure is failed.json.
type failure struct {
	Text     string    `json:"error"`
	Diverged bool      `json:"diverged,omitempty"` // the loss became no number
	Time     time.Time `json:"time"`
}

// before refuses a run that failed before, unless it is to be tried again.
func (l *lab) before(path string) error {
	name := filepath.Join(path, failedName)
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil // it did not fail
	}
	if l.Retry {
		return os.Remove(name)
	}
	var f failure
	if err := json.Unmarshal(raw, &f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return failedBefore{f}
}

// failedBefore is the error of a run that failed in an earlier session.
type failedBefore struct{ failure }

func (f failedBefore) Error() string { return f.Text }

func (f failedBefore) Is(target error) bool { return f.Diverged && target == train.ErrDiverged }

// noteFailure writes down why a run failed. A run that failed before its first step
// has no folder any more, and gets one.
func noteFailure(path string, why error) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return disk.WriteJSON(filepath.Join(path, failedName), failure{Text: why.Error(), Diverged: errors.Is(why, train.ErrDiverged), Time: time.Now().UTC().Truncate(time.Second)})
}

// train does a run, or goes on with it where it was.
func (l *lab) train(ctx context.Context, n *node, path string) error {
	o := &scribe{path: path, step: l.progress(n)}
	if train.IsRun(path) {
		was, err := os.Stat(path)
		if err != nil {
			return err
		}
		done, err := train.Resume(ctx, path, 1, o)
		n.reused = done.AlreadyFinished
		if !errors.Is(err, train.ErrOtherRun) {
			return errors.Join(err, o.err)
		}
		if !l.Retry {
			return fmt.Errorf("%w; --retry sets its folder aside and begins it anew", err)
		}
		if err := l.setAside(n, path, was, err); err != nil {
			return err
		}
	}
	n.reused = false
	l.tell("run", n, "")
	r := n.recipe
	if n.from != nil {
		if err := l.begin(ctx, &r, n.from); err != nil {
			return fmt.Errorf("beginning with %s: %w", n.from.key, err)
		}
	}
	r.Output = path
	_, err := train.Run(ctx, r, o)
	if err != nil && train.IsRun(path) && !errors.Is(err, train.ErrLocked) && o.began == 0 {
		return fmt.Errorf("%w: %w", train.ErrLocked, err) // another process has been faster
	}
	return errors.Join(err, o.err)
}

// setAside makes room for a run that cannot go on to begin anew. The folder keeps what it
// holds, and why it was set aside.
func (l *lab) setAside(n *node, path string, was os.FileInfo, why error) error {
	aside, err := train.SetAside(path, was)
	if err != nil {
		return err
	}
	l.tell("aside", n, fmt.Sprintf("%s is now %s: %v", filepath.Base(path), filepath.Base(aside), why))
	return noteFailure(aside, why)
}

// begin makes a recipe begin with the result of a run.
func (l *lab) begin(ctx context.Context, r *train.Recipe, from *node) error {
	run := l.path(from)
	result, err := train.ReadRun(run)
	if err != nil {
		return err
	}
	first := firstStage(*r)
	r.Model, r.Adapter = result.Model, ""
	if r.PreviousRun != "" {
		r.PreviousRun = run
	}
	switch {
	case result.Adapter == "" || first.PreviousAdapter == "fresh":
	case first.PreviousAdapter == "keep" && !first.Full:
		r.Adapter = result.Adapter
	default:
		recipe := train.DefaultRecipe()
		if err := recipe.ReadFile(filepath.Join(run, "recipe.yaml")); err != nil {
			return err
		}
		l.merging.Lock()
		defer l.merging.Unlock()
		r.Model, err = merge(ctx, run, result, recipe)
	}
	return err
}

// progress counts the steps of a run and tells of them once a second.
func (l *lab) progress(n *node) func(train.StepEvent) {
	last := time.Now()
	return func(e train.StepEvent) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		l.tell("progress", n, fmt.Sprintf("step %d of %d", e.Step, n.size.steps))
	}
}
