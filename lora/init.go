package lora

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"gotune/internal/kernel"
	"gotune/internal/op"
	"gotune/internal/rng"
	"gotune/model"
)

// begin gives a new adapter the values that Config.Init says, and DoRA's lengths.
func (ad *Adapter) begin(seed uint64) error {
	kind, _, err := ad.Config.init()
	if err != nil {
		return err
	}
	for _, module := range ad.modules {
		l := ad.layers[module]
		switch kind {
		case "true":
			uniform(l.a, seed)
		case "gaussian":
			r := rng.New(seed, "lora init", l.a.Name)
			for i := range l.a.Value {
				l.a.Value[i] = float32(r.Normal() / float64(l.rank))
			}
		case "false":
			uniform(l.a, seed)
			uniform(l.b, seed)
		}
	}
	if err := ad.takeFromBase(); err != nil {
		return err
	}
	for _, module := range ad.modules {
		if l := ad.layers[module]; ad.Config.ChangesBase() {
			copy(l.a.Value, l.a0)
			copy(l.b.Value, l.b0)
		}
	}
	ad.beginLengths()
	return nil
}

// uniform draws values in ±1/√columns.
func uniform(p model.Parameter, seed uint64) {
	r := rng.New(seed, "lora init", p.Name)
	bound := 1 / math.Sqrt(float64(p.Shape[1]))
	for i := range p.Value {
		p.Value[i] = float32((2*r.Float64() - 1) * bound)
	}
}

// beginLengths sets the lengths of DoRA to those that the rows have.
func (ad *Adapter) beginLengths() {
	if !ad.Config.DoRA {
		return
	}
	for _, module := range ad.modules {
		l := ad.layers[module]
		copy(l.m.Value, ad.lengths(ad.model, module))
	}
}

// lengths returns those of the rows of W + s·B·A.
func (ad *Adapter) lengths(m *model.Model, module string) []float32 {
	l := ad.layers[module]
	return op.RowLengths(stored(m, module), l.Conv1D, l.a.Value, l.b.Value, l.rank, l.scale)
}

// stored returns the weight of a layer.
func stored(m *model.Model, module string) model.Matrix {
	if w := m.Frozen[module+".weight"]; w != nil {
		return *w
	}
	t := m.Weights[module+".weight"]
	return kernel.Dense(t.Data, t.Shape[0], t.Shape[1])
}

// takeFromBase does what PiSSA and OLoRA do to the base: W becomes W − s·B₀·A₀, where B₀
// and A₀ are made of W alone, so that they are the same whenever they are made again.
// PiSSA's are the directions of the largest singular values σ, divided by s:
// B₀ = U·√(σ/s), A₀ = √(σ/s)·Vᵀ; OLoRA's the first columns of Q and rows of R of W = Q·R.
//
// Differs from PEFT, which on a Conv1D makes OLoRA's matrices of the transposed weight,
// which do not fit it, and which draws pissa_niter_N's first subspace anew each time.
func (ad *Adapter) takeFromBase() error {
	if !ad.Config.ChangesBase() {
		return nil
	}
	kind, rounds, err := ad.Config.init()
	if err != nil {
		return err
	}
	for _, module := range ad.modules {
		l, w := ad.layers[module], stored(ad.model, module)
		if err := checkNewRank(module, l); err != nil { // a file may have another
			return err
		}
		if s := w.Storage(); s != kernel.Float32 && s != kernel.BFloat16 {
			return fmt.Errorf("init_lora_weights is %s, which changes the base's own weights, and %s is stored as %v: use base_precision auto, fp32 or bf16", ad.Config.Init, module, s)
		}
		values := w.Float32s()
		wide := outIn(values, l)
		switch kind {
		case "olora":
			l.a0, l.b0, err = orthogonal(wide, l.rank)
		case "pissa":
			l.a0, l.b0, err = principal(wide, l.rank, l.scale)
		default:
			l.a0, l.b0, err = iterated(wide, l.rank, l.scale, rounds, module)
		}
		if err != nil {
			return fmt.Errorf("init_lora_weights %s: %s: %w", ad.Config.Init, module, err)
		}
		rest := make([]float32, len(values))
		products(l.a0, l.b0, l.rank, l.In, l.Out, func(i int, row []float64) {
			for j, v := range row {
				at := l.at(i, j)
				rest[at] = float32(float64(values[at]) - l.scale*v)
			}
		})
		ad.replace(module+".weight", w, rest)
	}
	return nil
}

// replace changes a weight of the model to other numbers, stored in the same way.
func (ad *Adapter) replace(name string, w model.Matrix, values []float32) {
	if ad.model.Frozen[name] == nil {
		ad.change(name, model.Tensor{Shape: []int{w.Rows, w.Cols}, Data: values}, nil)
		return
	}
	q := kernel.Quantise(w.Storage(), values, w.Rows, w.Cols)
	ad.change(name, model.Tensor{}, &q)
}

// at is the place of the weight of output i and input j.
func (l *layer) at(i, j int) int {
	if l.Conv1D {
		return j*l.Out + i
	}
	return i*l.In + j
}

// outIn returns a weight as a matrix [out, in] in float64.
func outIn(values []float32, l *layer) *mat.Dense {
	d := mat.NewDense(l.Out, l.In, nil)
	for i := range l.Out {
		row := d.RawRowView(i)
		for j := range row {
			row[j] = float64(values[l.at(i, j)])
		}
	}
	return d
}

func orthogonal(w *mat.Dense, rank int) (a, b []float32, err error) {
	var qr mat.QR
	var q, r mat.Dense
	rows, cols := w.Dims()
	tall := w
	if rows < cols { // the first rows columns say what Q is
		tall = mat.DenseCopyOf(w.Slice(0, rows, 0, rows))
	}
	qr.Factorize(tall)
	qr.QTo(&q)
	r.Mul(q.T(), w)
	return float32s(r.Slice(0, rank, 0, cols)), float32s(q.Slice(0, rows, 0, rank)), nil
}

func principal(w *mat.Dense, rank int, scale float64) (a, b []float32, err error) {
	u, s, v, err := singular(w, rank)
	if err != nil {
		return nil, nil, err
	}
	for i := range s {
		s[i] /= scale
	}
	return halves(u, s, v)
}

// halves returns √σ·Vᵀ and U·√σ.
func halves(u *mat.Dense, s []float64, v *mat.Dense) (a, b []float32, err error) {
	for i, x := range s {
		root := math.Sqrt(x)
		scaleColumn(u, i, root)
		scaleColumn(v, i, root)
	}
	return float32s(v.T()), float32s(u), nil
}

func scaleColumn(m *mat.Dense, j int, by float64) {
	rows, _ := m.Dims()
	for i := range rows {
		m.Set(i, j, m.At(i, j)*by)
	}
}

// iterated finds the singular vectors by subspace iteration (Halko et al. 2011, algorithm
// 5.1 with 4.4), from rank random vectors that the module's name stands for. PEFT takes
// torch.svd_lowrank, which is the same with another subspace.
func iterated(w *mat.Dense, rank int, scale float64, rounds int, module string) (a, b []float32, err error) {
	_, cols := w.Dims()
	r := rng.New(0, "pissa", module)
	start := mat.NewDense(cols, rank, nil)
	for i := range cols {
		for j := range rank {
			start.Set(i, j, r.Normal())
		}
	}
	var y, z mat.Dense
	y.Mul(w, start)
	q := basis(&y)
	for range rounds {
		z.Mul(w.T(), q)
		y.Mul(w, basis(&z))
		q = basis(&y)
	}
	var small, u mat.Dense
	small.Mul(q.T(), w)
	left, s, v, err := singular(&small, rank)
	if err != nil {
		return nil, nil, err
	}
	u.Mul(q, left)
	for i := range s {
		s[i] /= scale
	}
	return halves(&u, s, v)
}

// basis returns orthonormal columns that span those of a tall matrix.
func basis(m *mat.Dense) *mat.Dense {
	rows, cols := m.Dims()
	var qr mat.QR
	var q mat.Dense
	qr.Factorize(m)
	qr.QTo(&q)
	return mat.DenseCopyOf(q.Slice(0, rows, 0, cols))
}

// singular returns the largest singular values of a matrix, and their vectors as columns.
func singular(m mat.Matrix, rank int) (u *mat.Dense, s []float64, v *mat.Dense, err error) {
	var svd mat.SVD
	if !svd.Factorize(m, mat.SVDThin) {
		return nil, nil, nil, fmt.Errorf("the singular values were not found")
	}
	var left, right mat.Dense
	svd.UTo(&left)
	svd.VTo(&right)
	rows, cols := m.Dims()
	u, v = mat.DenseCopyOf(left.Slice(0, rows, 0, rank)), mat.DenseCopyOf(right.Slice(0, cols, 0, rank))
	return u, svd.Values(nil)[:rank], v, nil
}

func float32s(m mat.Matrix) []float32 {
	rows, cols := m.Dims()
	all := make([]float32, 0, rows*cols)
	for i := range rows {
		for j := range cols {
			all = append(all, float32(m.At(i, j)))
		}
	}
	return all
}
