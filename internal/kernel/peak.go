package kernel

import (
	"time"

	"gotune/internal/pages"
)

type peakJob struct {
	rounds int
	flops  [maxParts]float64 // of each thread
}

func (j *peakJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		j.flops[i] = code.peak(j.rounds)
	}
}

// multiplyAdds runs the peak loop for the given rounds on every thread and returns
// the number of floating-point operations.
func (t *Team) multiplyAdds(rounds int) (flops float64) {
	j := &t.jobs.peak
	j.rounds = rounds
	if t.threads == 1 {
		j.run(t.workers[0], 0, 1)
	} else {
		t.spread(j, t.threads, 1, t.threads)
	}
	for _, f := range j.flops[:t.threads] {
		flops += f
	}
	return flops
}

// PeakGFLOPS measures how many billions of floating-point operations a second the
// team's threads reach together at the active level, in a loop of multiply-adds
// that touches no memory: the best of several windows of some milliseconds. It
// is what a share of the peak should be taken of, measured at the same time.
func PeakGFLOPS(t *Team) float64 {
	t = t.single()
	defer t.release()
	const windows, window = 8, 4 * time.Millisecond
	best := 0.0
	for rounds, done := 1000, 0; done < windows; {
		start := time.Now()
		flops := t.multiplyAdds(rounds)
		if took := time.Since(start); took < window {
			rounds *= 2
		} else {
			best = max(best, flops/took.Seconds()/1e9)
			done++
		}
	}
	return best
}

// ReadGBs measures how many billions of bytes a second the team's threads read
// together from memory that is too large for a cache: the best of several passes.
func ReadGBs(t *Team) float64 {
	const elements, passes = 64 << 20, 4
	x := pages.Make[float32](elements)
	for i := 0; i < len(x); i += 1024 {
		x[i] = 1 // so that each page has memory of its own
	}
	best := 0.0
	for range passes {
		start := time.Now()
		SumSquares(t, x)
		best = max(best, 4*elements/time.Since(start).Seconds()/1e9)
	}
	return best
}
