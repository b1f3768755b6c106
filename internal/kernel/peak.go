package kernel

import "time"

type peakJob struct {
	rounds int
	flops  [maxParts]float64
}

func (j *peakJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		j.flops[i] = code.peak(j.rounds)
	}
}

// PeakGFLOPS measures how many billions of floating-point operations a second the
// team's threads reach together at the active level, in a loop of multiply-adds
// that touches no memory: the best of several windows of some milliseconds. It
// is what a share of the peak should be taken of, measured at the same time.
func PeakGFLOPS(t *Team) float64 {
	t = t.single()
	defer t.release()
	j, threads := &t.jobs.peak, t.threads
	j.rounds = 1000
	best := 0.0
	const windows, window = 8, 8 * time.Millisecond
	for tries := 0; tries < windows; {
		start := time.Now()
		if threads == 1 {
			j.run(t.workers[0], 0, 1)
		} else {
			t.spread(j, threads, 1, threads)
		}
		seconds := time.Since(start).Seconds()
		sum := 0.0
		for _, f := range j.flops[:threads] {
			sum += f
		}
		if seconds < window.Seconds()/2 {
			j.rounds *= 2
			continue
		}
		best = max(best, sum/seconds/1e9)
		tries++
	}
	return best
}
