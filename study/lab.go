package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"gotune/train"
)

// Options say how a study is run.
type Options struct {
	Output    string        // folder of the laboratory
	Jobs      int           // runs at a time, each on one thread; 0 is one for each core
	MaxMemory int64         // bytes that all runs together may take; 0 is no limit
	Budget    time.Duration // on the wall clock: no run is begun that does not fit; 0 takes the study's
	Quick     bool          // the seeds of a quick run: verdicts are provisional
	FirstSeed uint64        // the test seeds begin here in place of 1; 0 takes the study's
	Search    bool          // give up the worse half of what is tried early, by successive halving
	Retry     bool          // run again what failed
	Command   string        // that repeats it, for the result
	Version   string        // of the program, for the result
	Commit    string        // of its source, for the result
	Observe   func(Event)   // is told how it goes; by one goroutine at a time. It may be nil
}

// An Event is what happens while a study runs. Those but progress are lines of
// events.jsonl.
type Event struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"` // begin, run, done, reused, failed, skipped, locked, chosen, dropped, end, or progress
	Study   string    `json:"study,omitempty"`
	Arm     string    `json:"arm,omitempty"`
	Seed    uint64    `json:"seed,omitempty"`
	Run     string    `json:"run,omitempty"` // folder, relative to that of the laboratory
	Text    string    `json:"text,omitempty"`
	Done    int       `json:"done"` // runs that are finished, failed or skipped
	Total   int       `json:"total"`
	Seconds float64   `json:"seconds,omitempty"` // of the run
	Left    float64   `json:"left,omitempty"`    // seconds to the end, estimated; 0 where nothing is known yet
}

// A lab runs nodes of a plan.
type lab struct {
	Options
	*planner
	deadline time.Time // zero without a budget

	merging sync.Mutex
	mu      sync.Mutex
	events  string // file
	total   []*node
	used    int64   // bytes of what runs
	tokens  float64 // of all runs so far
	rate    rate
	fatal   error // nothing more is begun
}

// rate is how fast runs go: planned tokens of runs, with their evaluations, by time.
type rate struct {
	tokens, seconds float64
}

// newLab makes the folders of a laboratory.
func newLab(s *Study, o Options) (*lab, error) {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Budget <= 0 {
		o.Budget = s.Budget.Time
	}
	l := &lab{Options: o, planner: newPlanner(s)}
	if o.Budget > 0 {
		l.deadline = time.Now().Add(o.Budget)
	}
	dir := l.studyDir()
	for _, d := range []string{dir, filepath.Join(o.Output, runsName)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("laboratory: %w", err)
		}
	}
	l.events = filepath.Join(dir, "events.jsonl")
	return l, nil
}

// The folders of a laboratory.
const (
	runsName    = "runs"
	studiesName = "studies"
	failedName  = "failed.json" // in a run folder
)

func (l *lab) studyDir() string { return filepath.Join(l.Output, studiesName, l.study.ID) }

// path is the run folder of a node.
func (l *lab) path(n *node) string { return filepath.Join(l.Output, runsName, n.key) }

// tell tells an event, about a run where n is not nil.
func (l *lab) tell(event string, n *node, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellLocked(Event{Event: event, Text: text}, n)
}

func (l *lab) tellLocked(e Event, n *node) {
	e.Time, e.Study = time.Now().UTC().Truncate(time.Millisecond), l.study.ID
	if n != nil {
		e.Arm, e.Seed, e.Run = n.arm.Name, n.seed, runsName+"/"+n.key
	}
	e.Total = len(l.total)
	left := 0.0
	for _, n := range l.total {
		if n.state >= finished {
			e.Done++
		} else {
			left += n.size.tokens
		}
	}
	if l.rate.seconds > 0 {
		e.Left = left / (l.rate.tokens / l.rate.seconds) / float64(l.Jobs)
	}
	if l.Observe != nil {
		l.Observe(e)
	}
	if e.Event != "progress" {
		raw, err := json.Marshal(e)
		if err == nil {
			err = appendLine(l.events, raw)
		}
		if err != nil && l.fatal == nil {
			l.fatal = fmt.Errorf("writing %s: %w", l.events, err)
		}
	}
}

// do runs nodes and those that they begin with. What fails does not stop the others;
// an error is one of the laboratory itself, or train.ErrInterrupted.
func (l *lab) do(ctx context.Context, nodes []*node) error {
	var queue []*node
	seen := make(map[*node]bool)
	var add func(n *node)
	add = func(n *node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		add(n.from)
		queue = append(queue, n)
	}
	for _, n := range nodes {
		add(n)
	}
	if err := l.measureSizes(ctx, queue); err != nil {
		return err
	}
	l.mu.Lock()
	for _, n := range queue {
		if n.state != waiting {
			continue
		}
		l.total = append(l.total, n)
		if limit := l.study.Budget.Tokens; limit > 0 && l.tokens+n.size.tokens > limit {
			l.endLocked(n, skipped, fmt.Errorf("it did not fit into the budget of %.3g tokens", limit))
			continue
		}
		l.tokens += n.size.tokens
	}
	l.mu.Unlock()
	var wg sync.WaitGroup
	for range l.Jobs {
		wg.Go(func() { l.work(ctx, queue) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return train.ErrInterrupted
	}
	return l.fatal
}

// measureSizes works out what the runs take, and with a budget how fast they go.
func (l *lab) measureSizes(ctx context.Context, queue []*node) error {
	for _, n := range queue {
		if n.state != waiting {
			continue
		}
		var err error
		if n.size, err = l.sizeOf(ctx, n); err != nil {
			return err
		}
		if l.deadline.IsZero() || l.rate.seconds > 0 {
			continue
		}
		perSecond, err := l.probe(ctx, n)
		if err != nil {
			return err
		}
		l.rate = rate{tokens: perSecond, seconds: 1}
	}
	return nil
}

// poll is how often a job looks for what it waits for: a run that others need, memory,
// or the lock of another process.
const poll = 50 * time.Millisecond

// work takes runs from the queue until there is none.
func (l *lab) work(ctx context.Context, queue []*node) {
	locked := make(map[*node]time.Time)
	for ctx.Err() == nil {
		n, more := l.next(queue, locked)
		if n == nil && !more {
			return
		}
		if n == nil {
			select {
			case <-ctx.Done():
			case <-time.After(poll):
			}
			continue
		}
		start := time.Now()
		err := l.run(ctx, n)
		if errors.Is(err, train.ErrLocked) {
			locked[n] = time.Now().Add(10 * poll) // another process has it
		}
		l.after(ctx, n, err, time.Since(start))
	}
}

// next takes a run that can begin. It reports whether there may be one later.
func (l *lab) next(queue []*node, locked map[*node]time.Time) (take *node, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal != nil {
		return nil, false
	}
	for _, n := range queue {
		if n.state != waiting {
			continue
		}
		if b := n.from; b != nil && b.state != finished {
			switch b.state {
			case failed:
				l.endLocked(n, failed, fmt.Errorf("the run it begins with failed (%s): %w", b.key, b.err))
			case skipped:
				l.endLocked(n, skipped, b.err)
			default:
				more = true
			}
			continue
		}
		if time.Now().Before(locked[n]) {
			more = true
			continue
		}
		if l.MaxMemory > 0 && l.used+n.size.bytes > l.MaxMemory {
			if l.used == 0 {
				l.endLocked(n, failed, fmt.Errorf("the run needs %d MiB, and the memory for all runs is %d MiB", n.size.bytes>>20, l.MaxMemory>>20))
			}
			more = more || l.used > 0
			continue
		}
		if !l.fits(n) {
			l.endLocked(n, skipped, errors.New("it did not fit into the budget"))
			continue
		}
		n.state = running
		l.used += n.size.bytes
		return n, true
	}
	return nil, more
}

// fits reports whether a run can be done in the time that is left. One that is
// finished already takes none.
func (l *lab) fits(n *node) bool {
	if l.deadline.IsZero() || isFinished(l.path(n)) {
		return true
	}
	seconds := n.size.tokens * l.rate.seconds / l.rate.tokens
	return time.Now().Add(time.Duration(seconds * float64(time.Second))).Before(l.deadline)
}

// endLocked ends a run that was not begun.
func (l *lab) endLocked(n *node, s state, err error) {
	n.state, n.err = s, err
	l.tellLocked(Event{Event: map[state]string{failed: "failed", skipped: "skipped"}[s], Text: err.Error()}, n)
}

// after notes how a run ended.
func (l *lab) after(ctx context.Context, n *node, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used -= n.size.bytes
	e := Event{Seconds: took.Seconds()}
	switch {
	case err == nil && n.reused:
		n.state, e.Event = finished, "reused"
	case err == nil:
		n.state, e.Event = finished, "done"
		l.rate.tokens += n.size.tokens
		l.rate.seconds += took.Seconds()
	case errors.Is(err, train.ErrLocked):
		n.state, e.Event, e.Text = waiting, "locked", "another process is at work on it"
		if n.locked {
			return
		}
		n.locked = true
	case ctx.Err() != nil:
		n.state = waiting
		return
	case errors.Is(err, syscall.ENOSPC):
		n.state, n.err, e.Event, e.Text = failed, err, "failed", err.Error()
		if l.fatal == nil {
			l.fatal = fmt.Errorf("the disk is full, and nothing more is begun: %w", err)
		}
	default:
		n.state, n.err, e.Event, e.Text = failed, err, "failed", err.Error()
	}
	l.tellLocked(e, n)
}

// run does a run, or goes on with it, and measures it. A panic of it is an error.
func (l *lab) run(ctx context.Context, n *node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault of the program: %v", p)
			err = errors.Join(err, noteFailure(l.path(n), err))
		}
	}()
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
	return writeJSON(filepath.Join(path, failedName), failure{Text: why.Error(), Diverged: errors.Is(why, train.ErrDiverged), Time: time.Now().UTC().Truncate(time.Second)})
}

// train does a run, or goes on with it where it was.
func (l *lab) train(ctx context.Context, n *node, path string) error {
	o := &scribe{path: path, step: l.progress(n)}
	if train.IsRun(path) {
		done, err := train.Resume(ctx, path, 1, o)
		n.reused = done.AlreadyFinished
		return errors.Join(err, o.err)
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

// isFinished reports whether a run folder holds a finished run.
func isFinished(path string) bool {
	raw, err := os.ReadFile(filepath.Join(path, "run.json"))
	var record struct {
		Status string `json:"status"`
	}
	return err == nil && json.Unmarshal(raw, &record) == nil && record.Status == "finished"
}
