package optim

import (
	"fmt"
	"math"

	"gotune/internal/kernel"
)

// The constants that keep Adafactor's roots and its parameters' sizes from 0, as
// transformers has them.
const (
	adafactorSquare = 1e-30
	adafactorSize   = 1e-3
)

// Adafactor scales gradients by the root of an average of their squares, of which it
// keeps only the means of rows and columns (Shazeer and Stern, Adafactor: Adaptive
// Learning Rates with Sublinear Memory Cost, 2018, arXiv:1804.04235). Step t = 1, 2, … with
// learning rate η does, for a matrix [N, M] with gradient g, after clipping,
//
//	β₂ = 1 − t^DecayRate
//	r  ← β₂·r + (1 − β₂)·mean over columns of (g² + 1e-30)      [N]
//	c  ← β₂·c + (1 − β₂)·mean over rows of (g² + 1e-30)         [M]
//	u  = g / √(r·c/mean(r))
//	u  ← u / max(1, RMS(u)/ClipThreshold)
//	α  = η·max(1e-3, RMS(p)) with ScaleParameter, else η
//	p  ← p·(1 − α·λ) − α·u
//
// where RMS is the root mean square. A tensor of one dimension keeps a whole average v of
// its squares, u is g/√v, and λ is 0. With a FirstMoment β₁ above 0 what is subtracted is the
// average m ← β₁·m + (1 − β₁)·α·u. It is transformers.optimization.Adafactor; its
// relative_step is [RelativeStep]. Tensors of more than two dimensions count as matrices of
// their last.
type Adafactor struct {
	trained
	clip, decay, beta1 float64
	scale              bool
}

// RelativeStep is the learning rate of step t = 1, 2, … of Adafactor's relative_step:
// min(1e-2, 1/√t), or min(1e-6·t, 1/√t) with warmup_init. It is meant for ScaleParameter,
// which makes of it a share of each parameter's size.
func RelativeStep(t int, warmupInit bool) float64 {
	least := 1e-2
	if warmupInit {
		least = 1e-6 * float64(t)
	}
	return min(least, 1/math.Sqrt(float64(t)))
}

const (
	rowSuffix    = ".exp_avg_sq_row"
	columnSuffix = ".exp_avg_sq_col"
)

func keepAdafactor(c Config, p Parameter) []part {
	last := len(p.Shape) - 1
	kept := []part{average(squareAverageSuffix, p)}
	if last >= 1 {
		n, m := matrixOf(p)
		kept = []part{{suffix: rowSuffix, shape: []int{n}}, {suffix: columnSuffix, shape: []int{m}}}
	}
	if c.FirstMoment > 0 {
		kept = append(kept, average(averageSuffix, p))
	}
	return kept
}

// matrixOf returns the rows and columns of a parameter; a vector is one row.
func matrixOf(p Parameter) (rows, cols int) {
	if len(p.Shape) == 0 {
		return 1, 1
	}
	cols = p.Shape[len(p.Shape)-1]
	return size(p.Shape[:len(p.Shape)-1]), cols
}

// workOfAdafactor is room for the means of rows and of columns of the largest parameters.
func workOfAdafactor(params []Parameter) workspace {
	rows, cols := 0, 0
	for _, p := range params {
		n, m := matrixOf(p)
		rows, cols = max(rows, n), max(cols, m)
	}
	return workspace{rows, cols}
}

func makeAdafactor(t trained, c Config) (Optimizer, error) {
	switch {
	case !(c.ClipThreshold > 0):
		return nil, fmt.Errorf("clip_threshold %v: it must be above 0", c.ClipThreshold)
	case !(c.DecayRate < 0) || math.IsInf(c.DecayRate, -1):
		return nil, fmt.Errorf("adafactor decay rate %v: it must be below 0", c.DecayRate)
	case !(c.FirstMoment >= 0 && c.FirstMoment < 1):
		return nil, fmt.Errorf("adafactor beta1 %v: it must be at least 0 and below 1", c.FirstMoment)
	}
	return &Adafactor{trained: t, clip: c.ClipThreshold, decay: c.DecayRate, beta1: c.FirstMoment, scale: c.ScaleParameter}, nil
}

// Step implements [Optimizer].
func (o *Adafactor) Step(rate float64) (norm float64, err error) {
	norm, scale, err := o.begin()
	if err != nil {
		return norm, err
	}
	beta2 := 1 - math.Pow(float64(o.steps), o.decay)
	for i, p := range o.params {
		if len(p.Value) > 0 {
			o.change(p, o.kept[i], o.settings[i], rate, beta2, scale)
		}
	}
	return norm, nil
}

// change takes the step of one parameter.
func (o *Adafactor) change(p Parameter, kept []Tensor, s Setting, rate, beta2, scale float64) {
	n, m := matrixOf(p)
	rows, cols := o.buffers[0][:n], o.buffers[1][:m]
	kernel.SquareMeans(o.team, rows, cols, kernel.Matrix{Data: p.Grad, Rows: n, Cols: m, Stride: m}, scale, adafactorSquare)
	if len(p.Shape) > 1 {
		mix(kept[0].Data, rows, beta2)
		mix(kept[1].Data, cols, beta2)
		mean := 0.0
		for _, v := range kept[0].Data {
			mean += float64(v)
		}
		kernel.ReciprocalRoots(rows, kept[0].Data, float32(float64(n)/mean))
		kernel.ReciprocalRoots(cols, kept[1].Data, 1)
		kept = kept[2:]
	} else { // the means of columns are those of one row, which are the squares
		mix(kept[0].Data, cols, beta2)
		rows[0] = 1
		kernel.ReciprocalRoots(cols, kept[0].Data, 1)
		kept = kept[1:]
	}
	count := float64(len(p.Value))
	rms := math.Sqrt(kernel.FactoredNorm(o.team, p.Grad, rows, cols, scale) / count)
	rate *= s.RateScale
	if o.scale {
		rate *= max(adafactorSize, math.Sqrt(kernel.SumSquares(o.team, p.Value)/count))
	}
	var moment []float32
	if len(kept) > 0 {
		moment = kept[0].Data
	}
	kernel.FactoredStep(o.team, p.Value, p.Grad, moment, rows, cols, rate/max(1, rms/o.clip), o.beta1, rate*s.WeightDecay, scale)
}

// mix moves an average towards x: average ← decay·average + (1 − decay)·x.
func mix(average, x []float32, decay float64) {
	old, share := float32(decay), float32(1-decay)
	for i, v := range x {
		average[i] = float32(average[i]*old) + float32(v*share)
	}
}
