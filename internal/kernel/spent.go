package kernel

import "time"

// Spent is the time that calls of a team took, by what they computed. The rest of
// a step is neither: passes over memory.
type Spent struct {
	Products  time.Duration // of matrices, with widening and rounding their factors
	Attention time.Duration // forward and backward
}

// clock measures the calls of a team.
type clock struct{ Spent }

// SetTiming switches measuring on, from zero, or off. It costs a call about 0.1 µs.
// A nil team measures nothing.
func (t *Team) SetTiming(on bool) {
	if t == nil {
		return
	}
	if t.clock = nil; on {
		t.clock = new(clock)
	}
}

// Spent returns what calls took since measuring was switched on.
func (t *Team) Spent() Spent {
	if t == nil || t.clock == nil {
		return Spent{}
	}
	return t.clock.Spent
}

func (c *clock) stop(j splitJob, start time.Time) {
	switch j.(type) {
	case *matmulJob, *storedJob, *rowJob, *rowsJob, *roundingJob, *pairJob, *pairPackJob:
		c.Products += time.Since(start)
	case *attentionJob, *attentionBackJob, *halvesJob:
		c.Attention += time.Since(start)
	}
}
