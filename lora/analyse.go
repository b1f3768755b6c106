package lora

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/mat"

	"gotune/internal/hf"
)

// An Update says what an adapter has learned for one layer: the size and the
// shape of ΔW = s·B·A, with s the adapter's scale.
type Update struct {
	Module string
	Out    int // rows of ΔW
	In     int // columns of ΔW
	Rank   int
	// Norm is the Frobenius norm of ΔW, the root of the sum of its squared values.
	Norm float64
	// EffectiveRank is exp(−Σ pᵢ·ln pᵢ) over the singular values as shares pᵢ of
	// their sum: 1 where ΔW is one outer product, Rank where all directions weigh
	// the same, 0 where ΔW is 0 (Roy & Vetterli 2007, "The effective rank").
	EffectiveRank float64
	// Idle says that the layer has learned nothing: B is still 0, or ΔW is below a
	// millionth of the adapter's largest.
	Idle bool
	// Broken says that A or B holds values that are no numbers. Norm and
	// EffectiveRank are 0 then.
	Broken bool
}

// idleShare is the share of the largest norm below which an update is nothing.
const idleShare = 1e-6

// Analyse measures the updates of an adapter in PEFT's files, in the order of its
// layers. It needs no model, so it does not see whether the adapter fits one. The
// name is for messages.
func Analyse(src fs.FS, name string) (Config, []Update, error) {
	c, err := ReadConfig(src, name)
	if err != nil {
		return c, nil, err
	}
	tensors, err := hf.ReadFS(src, weightsFile, weightsFile)
	if err != nil {
		return c, nil, fmt.Errorf("adapter %s: %w", name, err)
	}
	updates, err := analyse(c, tensors)
	if err != nil {
		return c, nil, fmt.Errorf("adapter %s: %s: %w", name, weightsFile, err)
	}
	return c, updates, nil
}

func analyse(c Config, tensors map[string]hf.Tensor) ([]Update, error) {
	const a, b = ".lora_A.weight", ".lora_B.weight"
	t, err := c.compile()
	if err != nil {
		return nil, err
	}
	var updates []Update
	largest := 0.0
	for _, key := range slices.Sorted(maps.Keys(tensors)) {
		if c.beside(key) {
			continue
		}
		module, isA := strings.CutSuffix(key, a)
		if !isA {
			module, isB := strings.CutSuffix(key, b)
			if _, ok := tensors[module+a]; !ok || !isB {
				return nil, fmt.Errorf("tensor %s is not a part of a LoRA pair (…%s and …%s)", key, a, b)
			}
			continue
		}
		tb, ok := tensors[module+b]
		if !ok {
			return nil, fmt.Errorf("tensor %s has no partner %s", key, module+b)
		}
		u, err := measure(t, strings.TrimPrefix(module, prefix), tensors[key], tb)
		if err != nil {
			return nil, err
		}
		largest = max(largest, u.Norm)
		updates = append(updates, u)
	}
	for i := range updates {
		u := &updates[i]
		u.Idle = !u.Broken && u.Norm <= idleShare*largest
	}
	slices.SortFunc(updates, func(u, v Update) int { return natural(u.Module, v.Module) })
	return updates, nil
}

// beside reports tensors that an adapter may have beside its pairs: lengths of DoRA,
// modules that were trained whole, biases.
func (c Config) beside(key string) bool {
	switch {
	case strings.HasSuffix(key, ".lora_A.weight"), strings.HasSuffix(key, ".lora_B.weight"):
		return false
	case strings.HasSuffix(key, ".lora_magnitude_vector"):
		return c.DoRA
	case strings.HasSuffix(key, ".bias") && c.Bias != "" && c.Bias != "none":
		return true
	}
	module := strings.TrimPrefix(key[:max(0, strings.LastIndexByte(key, '.'))], prefix)
	for ; module != ""; module = module[:max(0, strings.LastIndexByte(module, '.'))] {
		if slices.ContainsFunc(c.ModulesToSave, func(name string) bool { return strings.HasSuffix(module, name) }) {
			return true
		}
	}
	return c.EnsureTied && len(c.ModulesToSave) > 0 && module == "" && strings.Count(key, ".") == strings.Count(prefix, ".")+1
}

// measure works out norm and effective rank from the singular values of s·B·A,
// which are those of the small product of the triangles of B and Aᵀ.
func measure(t *matcher, module string, a, b hf.Tensor) (Update, error) {
	if len(a.Shape) != 2 || len(b.Shape) != 2 || a.Shape[0] != b.Shape[1] || hf.Size(a.Shape) == 0 || hf.Size(b.Shape) == 0 {
		return Update{}, fmt.Errorf("the matrices of %s have the shapes %v and %v; they must be [rank, in] and [out, rank]", module, a.Shape, b.Shape)
	}
	u := Update{Module: module, Out: b.Shape[0], In: a.Shape[1], Rank: a.Shape[0]}
	rank, alpha, err := t.sizes(module)
	if err != nil {
		return u, err
	}
	if u.Rank != rank {
		return u, fmt.Errorf("the matrices of %s have the rank %d, %s says %d", module, u.Rank, configFile, rank)
	}
	for _, v := range slices.Concat(a.Data, b.Data) {
		if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
			u.Broken = true
			return u, nil
		}
	}
	var product mat.Dense
	product.Mul(triangle(dense(b)), triangle(dense(a).T()).T())
	var svd mat.SVD
	if !svd.Factorize(&product, mat.SVDNone) {
		return u, fmt.Errorf("the singular values of %s were not found", module)
	}
	var squares, sum float64
	values := svd.Values(nil)
	for _, v := range values {
		squares += v * v
		sum += v
	}
	u.Norm = math.Abs(t.scale(rank, alpha)) * math.Sqrt(squares)
	if sum == 0 {
		return u, nil
	}
	entropy := 0.0
	for _, v := range values {
		if p := v / sum; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	u.EffectiveRank = math.Exp(entropy)
	return u, nil
}

func dense(t hf.Tensor) *mat.Dense {
	values := make([]float64, len(t.Data))
	for i, v := range t.Data {
		values[i] = float64(v)
	}
	return mat.NewDense(t.Shape[0], t.Shape[1], values)
}

// triangle returns the R of a matrix m = Q·R that is taller than wide; Q does not
// change singular values. Another matrix is returned as it is.
func triangle(m mat.Matrix) mat.Matrix {
	rows, cols := m.Dims()
	if rows <= cols {
		return m
	}
	var qr mat.QR
	qr.Factorize(m)
	var r mat.Dense
	qr.RTo(&r)
	return r.Slice(0, cols, 0, cols)
}

// natural compares names so that layer 2 comes before layer 10.
func natural(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		order := strings.Compare(as[i], bs[i])
		if errX == nil && errY == nil {
			order = cmp.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(as), len(bs))
}
