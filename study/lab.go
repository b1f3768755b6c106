package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"gotune/internal/yamlnode"
	"gotune/train"
)

// Options say how a study is run.
type Options struct {
	Output    string        // folder of the laboratory
	Jobs      int           // runs at a time, each on one thread; 0 is one for each core
	MaxMemory int64         // bytes that all runs together may take; 0 leaves several at a time most of what is free
	Budget    time.Duration // on the wall clock: no run is begun that does not fit; 0 takes the study's
	Quick     bool          // the seeds of a quick run: verdicts are provisional
	Seeds     int           // number of test seeds, such as a verdict has asked for; 0 takes the study's
	FirstSeed uint64        // the test seeds begin here in place of 1; 0 takes the study's
	Search    bool          // give up the worse half of what is tried early, by successive halving
	Retry     bool          // go on with what failed, or set it aside and begin anew where it would be another run
	Command   string        // that repeats it, for the result
	Version   string        // of the program, for the result
	Commit    string        // of its source, for the result
	Known     *Known        // what plans have found out, to share between studies; nil for its own
	Observe   func(Event)   // is told how it goes; by one goroutine at a time. It may be nil
}

// An Event is what happens while a study runs. Those but progress are lines of
// events.jsonl.
type Event struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"` // begin, run, done, reused, failed, skipped, locked, aside, chosen, dropped, verdict, end, or progress
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
	used    int64 // bytes of what runs
	// available is the memory that there was before anything ran; 0 where that is not
	// known. Without MaxMemory several runs together keep to a part of it.
	available int64
	tokens    float64 // of all runs so far
	rate      rate
	fatal     error // nothing more is begun
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
	if o.Known == nil {
		o.Known = OpenKnown("")
	}
	l := &lab{Options: o, planner: newPlanner(s, o.Known)}
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
		if n.state != waiting || slices.Contains(l.total, n) { // the latter is there, and more of it is measured
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

// measureSizes works out what the runs take, several at a time, and with a budget how
// fast they go. A run that is finished takes nothing, but counts for a budget of tokens.
func (l *lab) measureSizes(ctx context.Context, queue []*node) error {
	var wg sync.WaitGroup
	todo := make(chan *node)
	errs := make([]error, l.Jobs)
	for i := range l.Jobs {
		wg.Go(func() {
			for n := range todo {
				if errs[i] == nil {
					n.size, errs[i] = l.sizeOf(ctx, n)
				}
			}
		})
	}
	var first *node // that is to be done
	for _, n := range queue {
		done := train.IsFinished(l.path(n))
		if n.state == waiting && (!done || l.study.Budget.Tokens > 0) {
			todo <- n
		}
		if first == nil && n.state == waiting && !done {
			first = n
		}
	}
	close(todo)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if first == nil {
		return nil
	}
	if l.available == 0 {
		l.available = first.size.available
	}
	if l.available == 0 { // its size was known
		s, err := planRun(ctx, first)
		if err != nil {
			return yamlnode.At(first.arm.node, "%s: %w", first.arm.Name, err)
		}
		l.available = s.available
		l.known.store("", s)
	}
	if l.deadline.IsZero() || l.rate.seconds > 0 {
		return nil
	}
	perSecond, err := l.probe(ctx, first)
	l.rate = rate{tokens: perSecond, seconds: 1}
	return err
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
		limit := l.MaxMemory
		if limit == 0 {
			limit = l.available / 5 * 4
		}
		if limit > 0 && l.used+n.size.bytes > limit && (l.used > 0 || l.MaxMemory > 0) {
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
	if l.deadline.IsZero() || train.IsFinished(l.path(n)) {
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
		if n.size.tokens > 0 { // trained, not planned alone
			l.rate.tokens += n.size.tokens
			l.rate.seconds += took.Seconds()
		}
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
