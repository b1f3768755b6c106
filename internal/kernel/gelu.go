package kernel

import "math"

// A GELUForm is one of the two forms of the Gaussian error linear unit (Hendrycks and
// Gimpel 2016, arXiv:1606.08415).
type GELUForm int

// The forms of GELU. GELUTanh is
//
//	y = x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
//
// (gelu_new and gelu_pytorch_tanh in transformers), computed as
// x·σ(2√(2/π)·x·(1 + 0.044715·x²)), which is the same. GELUExact is y = x·Φ(x) with the
// normal distribution's Φ (gelu in transformers).
const (
	GELUTanh GELUForm = iota
	GELUExact
)

type geluJob struct {
	y, x []float32
	form GELUForm
}

type geluBackJob struct {
	dx, dy, x []float32
	form      GELUForm
	add       bool
}

// The two constants of the tanh form: 2·√(2/π) and the share of the cube.
const (
	geluRate = 1.5957691216057308
	geluCube = 0.044715
)

// normalPeak is 1/√(2π).
const normalPeak = 0.3989422804014327

// geluBlock is the number of elements whose exponentials are held at a time.
const geluBlock = 512

// GELU computes the Gaussian error linear unit of x in a form. y may be x.
func GELU(t *Team, y, x []float32, form GELUForm) {
	check(len(x) == len(y), "GELU needs equal lengths")
	t = t.single()
	t.jobs.gelu = geluJob{y, x, form}
	t.sweep(&t.jobs.gelu, len(y))
}

func (j *geluJob) run(w *worker, lo, hi int) {
	for ; lo < hi; lo += geluBlock {
		x := j.x[lo:min(lo+geluBlock, hi)]
		j.form.values(&w.buffers, j.y[lo:][:len(x)], x)
	}
}

// GELUBackward computes the gradient of GELU: dx = dy·slope, where the slope is, with σ
// as above and Φ′ the normal distribution's density,
//
//	σ + x·σ·(1 − σ)·2√(2/π)·(1 + 3·0.044715·x²)   or   Φ(x) + x·Φ′(x)
//
// add adds to what dx holds. Without it dx may be dy or x.
func GELUBackward(t *Team, dx, dy, x []float32, form GELUForm, add bool) {
	check(len(dy) == len(dx) && len(x) == len(dx), "GELUBackward needs equal lengths")
	t = t.single()
	t.jobs.geluBack = geluBackJob{dx, dy, x, form, add}
	t.sweep(&t.jobs.geluBack, len(dx))
}

func (j *geluBackJob) run(w *worker, lo, hi int) {
	for ; lo < hi; lo += geluBlock {
		x := j.x[lo:min(lo+geluBlock, hi)]
		dx, dy, slopes := j.dx[lo:][:len(x)], j.dy[lo:][:len(x)], grow(&w.slopes, geluBlock)[:len(x)]
		j.form.slopes(&w.buffers, slopes, nil, x)
		for i, slope := range slopes {
			put(&dx[i], float32(dy[i]*slope), j.add)
		}
	}
}

// values computes GELU of at most geluBlock elements. y may be x.
func (f GELUForm) values(b *buffers, y, x []float32) {
	e := f.exponentials(b, x)
	if f == GELUExact {
		for i, v := range x {
			y[i] = float32(v * normalShare(v, e[i]))
		}
		return
	}
	for i, v := range x {
		y[i] = v / (1 + e[i])
	}
}

// slopes computes the derivatives of GELU of at most geluBlock elements and, unless
// values is nil, the values.
func (f GELUForm) slopes(b *buffers, slopes, values, x []float32) {
	e := f.exponentials(b, x)
	for i, v := range x {
		if f == GELUExact {
			share := normalShare(v, e[i])
			if values != nil {
				values[i] = float32(v * share)
			}
			slopes[i] = share + float32(v*float32(normalPeak*e[i]))
			continue
		}
		if values != nil {
			values[i] = v / (1 + e[i])
		}
		sigma := 1 / (1 + e[i])
		rise := geluRate * (1 + float32(3*geluCube*float32(v*v)))
		slopes[i] = sigma + float32(float32(float32(v*sigma)*(1-sigma))*rise)
	}
}

// exponentials returns, in a buffer, for each x what its form is made of: exp of minus
// the argument of σ, or exp(−x²/2).
func (f GELUForm) exponentials(b *buffers, x []float32) []float32 {
	e := grow(&b.exps, geluBlock)[:len(x)]
	for i, v := range x {
		if f == GELUExact {
			e[i] = float32(-0.5*v) * v
		} else {
			e[i] = float32(-geluRate*v) * (1 + float32(geluCube*float32(v*v)))
		}
	}
	code.exp(e, e)
	return e
}

// normalShare returns Φ(x), given exp(−x²/2). What lies beyond a = |x| is exp(−a²/2)
// times a quotient of polynomials of a, fitted to ½·exp(a²/2)·erfc(a/√2) on 0 … 13.3 with
// a relative error of 5e-9. In float64 with rounded products it has the same bits at
// every level.
func normalShare(x, e float32) float32 {
	a := math.Abs(float64(x))
	if a > 14 {
		a = 14 // e is 0
	}
	n := float64(0.004020181396491666*a) + 0.039984126247651935
	n = float64(n*a) + 0.18130664548585732
	n = float64(n*a) + 0.4356862022770116
	n = float64(n*a) + 0.5000000024819342
	d := float64(0.01007695714450707*a) + 0.10023272249879707
	d = float64(d*a) + 0.4643800271267169
	d = float64(d*a) + 1.1944838017708612
	d = float64(d*a) + 1.6692573234714565
	d = float64(d*a) + 1
	beyond := float32(float64(e) * (n / d))
	if x > 0 {
		return 1 - beyond
	}
	return beyond
}
