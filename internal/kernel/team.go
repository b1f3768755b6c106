package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Team is a group of threads that share the work of kernels. The threads stay
// alive and locked to their goroutines, wait for work in a short loop and sleep
// when none comes, so that a call costs a few microseconds. A Team serves one
// call at a time; a nil *Team is one thread and may be used by several goroutines.
//
// Work is cut into numbered parts by a rule that no result depends on, and the
// threads take parts in turn: a thread that is held up by another program
// leaves more of them to the rest.
type Team struct {
	threads int
	workers []*worker // the first is the caller's
	left    []float32 // the left factor of a product, rounded for all threads
	jobs    jobs      // the job at hand, one place for each kernel, so that none is allocated
	job     splitJob
	items   int
	grain   int
	parts   int
	step    int // the largest number of items of one run of the job; 0 is no limit
	pooled  bool
	clock   *clock // nil while nobody measures

	// state is the current call's number of parts and the next one to take:
	// generation<<40 | parts<<20 | next. Taking a part is a compare-and-swap, so a
	// thread that comes late can never touch a later call by mistake.
	state  atomic.Uint64
	_      [56]byte
	done   atomic.Int64 // parts of this call that are done
	_      [56]byte
	closed atomic.Bool
	wait   sync.WaitGroup
}

const (
	stateField = 20
	stateMask  = 1<<stateField - 1
	maxParts   = 1 << 10
)

// A splitJob computes the items lo … hi-1 of a kernel's work with a worker's buffers.
type splitJob interface {
	run(w *worker, lo, hi int)
}

// A worker is one thread of a team with its buffers, which grow and are kept.
type worker struct {
	team   *Team
	index  int
	asleep atomic.Bool
	wake   chan struct{}
	buffers
}

// How long a thread looks for work before it sleeps, and how long a loop of
// waiting runs between looks at the clock or a yield to the scheduler.
const (
	spinTime   = 150 * time.Microsecond
	spinRounds = 64
)

// NewTeam starts a team of n threads, the caller's among them; n below 1 is 1.
// Close ends them.
func NewTeam(n int) *Team {
	t := &Team{threads: max(n, 1)}
	for i := range t.threads {
		w := &worker{team: t, index: i, wake: make(chan struct{}, 1)}
		t.workers = append(t.workers, w)
		if i > 0 {
			t.wait.Add(1)
			go w.serve()
		}
	}
	return t
}

// Threads returns the number of threads; a nil Team has one.
func (t *Team) Threads() int {
	if t == nil {
		return 1
	}
	return t.threads
}

// Close ends the threads. The team must not be used afterwards.
func (t *Team) Close() {
	if t == nil || t.closed.Swap(true) {
		return
	}
	for _, w := range t.workers[1:] {
		w.wake <- struct{}{}
	}
	t.wait.Wait()
}

// serve takes parts until the team is closed.
func (w *worker) serve() {
	runtime.LockOSThread()
	defer w.team.wait.Done()
	for w.await() {
		w.work()
	}
}

// await returns when there is a part to take, or false when the team is closed.
func (w *worker) await() bool {
	t := w.team
	for {
		for start := time.Now(); time.Since(start) < spinTime; {
			for range spinRounds {
				if open(t.state.Load()) {
					return true
				}
				pause()
			}
			if t.closed.Load() {
				return false
			}
		}
		w.asleep.Store(true)
		if open(t.state.Load()) && w.asleep.CompareAndSwap(true, false) {
			return true
		}
		<-w.wake // whoever clears asleep sends one wake, and so does Close
		if t.closed.Load() {
			return false
		}
	}
}

// open reports whether a call has parts that nobody took.
func open(state uint64) bool {
	return state&stateMask < state>>stateField&stateMask
}

// work takes parts of the current call until none is left.
func (w *worker) work() {
	t := w.team
	old := enter()
	defer leave(old)
	for {
		s := t.state.Load()
		if !open(s) {
			return
		}
		if t.state.CompareAndSwap(s, s+1) {
			w.part(int(s & stateMask))
			t.done.Add(1)
		}
	}
}

// part runs part i of the current call: a multiple of grain items, except at the end.
func (w *worker) part(i int) {
	t := w.team
	lo, hi := partOf(i, t.parts, t.items, t.grain)
	w.steps(t.job, lo, hi)
}

// partOf returns the items of part i.
func partOf(i, parts, items, grain int) (lo, hi int) {
	units := (items + grain - 1) / grain
	return units * i / parts * grain, min(units*(i+1)/parts*grain, items)
}

// steps runs the job over items lo … hi-1, in steps if there is a limit.
func (w *worker) steps(j splitJob, lo, hi int) {
	step := w.team.step
	if step == 0 {
		step = hi - lo
	}
	for ; lo < hi; lo += step {
		j.run(w, lo, min(lo+step, hi))
	}
}

// partsPerThread is a compromise: more parts even out disturbed threads, fewer
// cost less.
const partsPerThread = 4

// partsOf returns the number of parts for units of work: fewer than the usual number
// where undisturbed threads would then be done notably sooner.
func (t *Team) partsOf(units int) int {
	best, least := 0, 0
	for each := partsPerThread; each > 0; each-- {
		parts := min(units, each*t.threads)
		longest := (units + parts - 1) / parts * ((parts + t.threads - 1) / t.threads)
		if best == 0 || 100*longest < 97*least {
			best, least = parts, longest
		}
	}
	return best
}

// split runs the job over items in parts that are multiples of grain, where
// grain items are worth a thread's while (about 5 µs of work). Few items are
// done by the caller alone.
func (t *Team) split(j splitJob, items, grain int) { t.do(j, items, grain, 0) }

// sweep is split for loops over single elements, which may be many: they are run
// in steps, because the garbage collector cannot stop a thread inside assembly.
func (t *Team) sweep(j splitJob, elements int) { t.do(j, elements, elementGrain, 2*elementGrain) }

func (t *Team) do(j splitJob, items, grain, step int) {
	defer t.release()
	t.step = step
	t.share(j, items, grain)
}

// share does the work of split without giving a team of the pool back, for calls
// of several jobs in turn.
func (t *Team) share(j splitJob, items, grain int) {
	parts := 1
	if units := (items + grain - 1) / grain; t.threads > 1 && units > 1 {
		parts = t.partsOf(units)
	}
	t.shareIn(j, items, grain, parts)
}

// shareIn is share in a number of parts; one part is the caller's.
func (t *Team) shareIn(j splitJob, items, grain, parts int) {
	if t.clock != nil {
		defer t.clock.stop(j, time.Now())
	}
	if parts < 2 {
		old := enter()
		defer leave(old)
		t.workers[0].steps(j, 0, items)
	} else {
		t.spread(j, items, grain, parts)
	}
}

// enter sets the mode of arithmetic of the active level and keeps the goroutine
// on its thread, which the mode belongs to; leave undoes both. Setting it in every
// loop would cost more than a short row takes.
func enter() (old uint32) {
	runtime.LockOSThread()
	if code.mode != 0 {
		old = setMode(code.mode)
	}
	return old
}

func leave(old uint32) {
	if code.mode != 0 {
		setMode(old)
	}
	runtime.UnlockOSThread()
}

// spread runs the job in the given number of parts by all threads and waits for the end.
func (t *Team) spread(j splitJob, items, grain, parts int) {
	t.job, t.items, t.grain, t.parts = j, items, grain, min(parts, maxParts)
	t.done.Store(0)
	generation := t.state.Load()>>(2*stateField) + 1
	t.state.Store(generation<<(2*stateField) | uint64(t.parts)<<stateField)
	for _, w := range t.workers[1:] {
		if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	t.workers[0].work()
	for round := 1; t.done.Load() < int64(t.parts); round++ {
		if pause(); round%(16*spinRounds) == 0 {
			runtime.Gosched()
			yield()
		}
	}
	t.job = nil
}

// single returns t, or a team of one thread from a pool if t is nil; release
// gives it back.
func (t *Team) single() *Team {
	if t != nil {
		return t
	}
	pool.Lock()
	defer pool.Unlock()
	if n := len(pool.free); n > 0 {
		t, pool.free = pool.free[n-1], pool.free[:n-1]
		return t
	}
	t = NewTeam(1)
	t.pooled = true
	return t
}

func (t *Team) release() {
	if t.pooled {
		pool.Lock()
		pool.free = append(pool.free, t)
		pool.Unlock()
	}
}

var pool struct {
	sync.Mutex
	free []*Team
}

// jobs has a place for the arguments of each kernel.
type jobs struct {
	matmul         matmulJob
	stored         storedJob
	row            rowJob
	rows           rowsJob
	inPanels       inPanelsJob
	rounding       roundingJob
	pairs          pairJob
	pairPack       pairPackJob
	add            addJob
	scale          scaleJob
	sumSquares     sumSquaresJob
	norm           normJob
	normBack       normBackJob
	normBackW      normBackWJob
	layerNorm      layerNormJob
	layerNormBack  layerNormBackJob
	layerNormBackW layerNormBackWJob
	rope           ropeJob
	swiglu         swigluJob
	swigluBack     swigluBackJob
	gelu           geluJob
	geluBack       geluBackJob
	geglu          gegluJob
	gegluBack      gegluBackJob
	softCap        softCapJob
	multiply       multiplyJob
	columns        columnsJob
	embedding      embeddingJob
	embeddingBack  embeddingBackJob
	attention      attentionJob
	attentionBack  attentionBackJob
	halves         halvesJob
	nll            nllJob
	adamw          adamwJob
	sgd            sgdJob
	lion           lionJob
	adamw8         adamw8Job
	means          meansJob
	factored       factoredJob
	lookahead      lookaheadJob
	average        averageJob
	dropout        dropoutJob
	noise          noiseJob
	peak           peakJob
}

// check panics with a message about a fault of the caller.
func check(ok bool, message string) {
	if !ok {
		panic("kernel: " + message)
	}
}
