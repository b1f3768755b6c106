package kernel

type softCapJob struct {
	y, slopes, x []float32
	limit        float32
}

// SoftCap computes y = limit·tanh(x/limit), which keeps y between ±limit (Gemma Team
// 2024, arXiv:2408.00118) and, unless slopes is nil, slopes = 1 − tanh²(x/limit), its
// derivatives. y may be x.
func SoftCap(t *Team, y, slopes, x []float32, limit float32) {
	check(len(x) == len(y) && (slopes == nil || len(slopes) == len(y)) && limit > 0, "SoftCap needs equal lengths and a limit above 0")
	t = t.single()
	t.jobs.softCap = softCapJob{y, slopes, x, limit}
	t.sweep(&t.jobs.softCap, len(y))
}

func (j *softCapJob) run(_ *worker, lo, hi int) {
	slopes := j.slopes
	if slopes != nil {
		slopes = slopes[lo:hi]
	}
	softCap(j.y[lo:hi], slopes, j.x[lo:hi], 1, j.limit)
}

// softCap computes y = limit·tanh(s·x/limit) and, unless slopes is nil, slopes =
// 1 − tanh²(s·x/limit).
func softCap(y, slopes, x []float32, s, limit float32) {
	inverse := 1 / limit
	for i, v := range x {
		th := tanh32(float32(float32(v*s) * inverse))
		y[i] = float32(th * limit)
		if slopes != nil {
			slopes[i] = float32((1 - th) * (1 + th))
		}
	}
}

// tanhEnd is where tanh has become 1 in float32.
const tanhEnd = 9.05

// tanh32 is tanh as a quotient of polynomials: x·n(x²)/d(x²), fitted on 0 … 9.05 with a
// relative error of 1e-9. In float64 with rounded products it has the same bits at
// every level, pure Go too.
func tanh32(x float32) float32 {
	switch {
	case x > tanhEnd:
		return 1
	case x < -tanhEnd:
		return -1
	}
	v := float64(x)
	z := v * v
	n := float64(5.0620922742225546e-08*z) + 3.154894380457222e-05
	n = float64(n*z) + 0.004006666896801174
	n = float64(n*z) + 0.13783919335941847
	n = float64(n*z) + 0.9999999990139535
	d := float64(7.345953220667246e-10*z) + 1.6143717179289192e-06
	d = float64(d*z) + 0.00042040747114810797
	d = float64(d*z) + 0.02773085490223239
	d = float64(d*z) + 0.4711725170685296
	d = float64(d*z) + 1
	return float32(v * n / d)
}

type multiplyJob struct{ dst, a, b []float32 }

// Multiply computes dst = a·b, element by element; dst may be a or b.
func Multiply(t *Team, dst, a, b []float32) {
	check(len(a) == len(dst) && len(b) == len(dst), "Multiply needs equal lengths")
	t = t.single()
	t.jobs.multiply = multiplyJob{dst, a, b}
	t.sweep(&t.jobs.multiply, len(dst))
}

func (j *multiplyJob) run(_ *worker, lo, hi int) { multiply(j.dst[lo:hi], j.a[lo:hi], j.b[lo:hi]) }

func multiply(dst, a, b []float32) {
	for i := range dst {
		dst[i] = float32(a[i] * b[i])
	}
}
