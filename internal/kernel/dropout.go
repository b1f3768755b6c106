package kernel

// The mask is a function of the key and the index alone: index·golden ratio +
// first word of the key, mixed twice with the second word between (the mixer is
// lowbias32 of Wellons' hash prospector). Its upper 24 bits are compared with
// p·2²⁴.
type dropoutConstants struct {
	k0, k1    uint32
	threshold int32   // drop below
	scale     float32 // 1/(1−p)
}

const (
	dropoutStep = 0x9e3779b1
	dropoutMul1 = 0x7feb352d
	dropoutMul2 = 0x846ca68b
)

func (d *dropoutConstants) dropped(i uint32) bool { return int32(d.bits(i)>>8) < d.threshold }

// bits are the random bits of an element.
func (d *dropoutConstants) bits(i uint32) uint32 {
	x := i*dropoutStep + d.k0
	for range 2 {
		x ^= x >> 16
		x *= dropoutMul1
		x ^= x >> 15
		x *= dropoutMul2
		x ^= x>>16 ^ d.k1
	}
	return x
}

type dropoutJob struct {
	y, x      []float32
	constants dropoutConstants
	add       bool
}

// Dropout sets each element to 0 with probability p and divides the others by
// 1−p: y = x·mask/(1−p), or y += with add. The mask follows from the key and the
// element's index, so that calling it on dy with the same key is the backward pass.
// p must be in [0, 1). Indices count modulo 2³².
func Dropout(t *Team, y, x []float32, key uint64, p float32, add bool) {
	check(len(x) == len(y), "Dropout needs equal lengths")
	check(p >= 0 && p < 1, "Dropout needs a probability in [0, 1)")
	t = t.single()
	t.jobs.dropout = dropoutJob{y, x, dropoutConstants{
		k0: uint32(key), k1: uint32(key >> 32), threshold: int32(p * (1 << 24)), scale: 1 / (1 - p),
	}, add}
	t.sweep(&t.jobs.dropout, len(y))
}

func (j *dropoutJob) run(_ *worker, lo, hi int) {
	code.dropout(j.y[lo:hi], j.x[lo:hi], &j.constants, uint32(lo), j.add)
}
