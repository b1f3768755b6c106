package kernel

type noiseJob struct {
	y, x      []float32
	constants dropoutConstants // of which only the key counts
	size      float32
}

// Noise adds to each element a number that is uniform in [−size, size): y = x + size·u.
// The numbers follow from the key and the element's index, by the bits of Dropout's
// mask. y may be x.
func Noise(t *Team, y, x []float32, key uint64, size float32) {
	check(len(x) == len(y), "Noise needs equal lengths")
	t = t.single()
	t.jobs.noise = noiseJob{y, x, dropoutConstants{k0: uint32(key), k1: uint32(key >> 32)}, size}
	t.sweep(&t.jobs.noise, len(y))
}

func (j *noiseJob) run(_ *worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		u := float32(j.constants.bits(uint32(i))>>8)/(1<<23) - 1
		// Rounded by itself, so that no target fuses it into the sum.
		j.y[i] = j.x[i] + float32(j.size*u)
	}
}
