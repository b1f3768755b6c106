package export

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gotune/internal/gguf"
	"gotune/internal/hf"
	"gotune/model"
)

// A Precision bounds the error that storing gives to a weight, as a part of it: the
// largest quotient of the norms of a matrix's error and of the matrix.
type Precision float64

// precisions of GGUF's types. A number of p significant bits is off by 2⁻ᵖ of itself at
// most. In a block of Q8_0 of 32 numbers with the largest magnitude a, each is off by
// a/254, the root of the mean square by a/127/√12 if errors are spread evenly, and a is
// √32 times the root of the mean square of the block at most.
var precisions = map[gguf.Type]Precision{
	gguf.F32: Exact, gguf.BF16: BFloat16, gguf.F16: Float16, gguf.Q8_0: Precision(math.Sqrt(32) / 127 / math.Sqrt(12)),
}

// The precisions of the other files.
const (
	// Exact is that of weights that are stored as they are. What is left is the order of
	// sums, where an adapter was merged.
	Exact    Precision = 0x1p-24
	Float16  Precision = 0x1p-11
	BFloat16 Precision = 0x1p-8
)

// Of returns the precision of a type of safetensors.
func Of(d hf.DType) Precision {
	return map[hf.DType]Precision{hf.F32: Exact, hf.F16: Float16, hf.BF16: BFloat16}[d]
}

// A View computes the logits of a model as it was trained, adapter and all, after fixed
// prompts.
type View struct {
	prompts [][]int32
	logits  [][]float32
	layers  int
	width   int
}

// texts are what the prompts are made of.
var texts = []string{
	"The quick brown fox jumps over the lazy dog.", "2 + 2 =", "Once upon a time, there was a little", "def add(a, b):\n    return", "¿Qué? 世界 🦙",
}

// NewView computes logits after the fixed prompts: some texts, which encode turns into
// ids, and 48 ids from all over the vocabulary.
func NewView(ctx context.Context, m *model.Model, team *model.Team, project model.ProjectFunc, encode func(text string) []int32) (*View, error) {
	v := &View{layers: m.Config.Layers, width: max(m.Config.HiddenSize, m.Config.IntermediateSize)}
	longest := min(m.Config.MaxPositions, 64)
	for _, text := range texts {
		if ids := encode(text); len(ids) > 0 {
			v.prompts = append(v.prompts, ids[:min(len(ids), longest)])
		}
	}
	var spread []int32
	for i := range min(48, longest) {
		spread = append(spread, int32(i*2654435761%m.Config.VocabSize))
	}
	v.prompts = append(v.prompts, spread)
	var err error
	v.logits, err = v.compute(ctx, m, team, project)
	return v, err
}

func (v *View) compute(ctx context.Context, m *model.Model, team *model.Team, project model.ProjectFunc) ([][]float32, error) {
	g := model.NewGenerator(m, team, project)
	var all [][]float32
	for _, ids := range v.prompts {
		logits, err := g.Logits(ctx, ids)
		if err != nil {
			return nil, err
		}
		all = append(all, append([]float32(nil), logits...))
	}
	return all, nil
}

// A Proof says how far the logits of what was read back are from those of the model as
// it was trained.
type Proof struct {
	Prompts int     `json:"prompts"`
	Largest float64 `json:"largest_difference"` // of a logit
	// Relative is the norm of the differences as a part of the norm of the logits, the
	// largest of any prompt; Tolerance is what it may be.
	Relative  float64 `json:"relative_difference"`
	Tolerance float64 `json:"tolerance"`
	// SameToken counts the prompts after which the most likely token is the same.
	SameToken int `json:"same_token"`
}

func (p Proof) String() string {
	return fmt.Sprintf("read back: logits after %d prompts differ by %.2g at most, %.2g of their norm (allowed: %.2g); the next token is the same after %d",
		p.Prompts, p.Largest, p.Relative, p.Tolerance, p.SameToken)
}

// ErrDiffers is an exported model whose logits are not those of the trained one.
var ErrDiffers = errors.New("its logits differ from the trained model's by more than its dtype explains")

// Tolerance is what the logits of a model with so many layers may differ by, as a part of
// their norm, if weights were stored with a precision p. Each of the seven products of a
// block and that of the head adds an error of the size p to what it makes, independent of
// the others, and what a block makes is a part of the residual stream at most, so that
// after n products the stream is off by p·√n. For weights that are stored as they are, the
// sums of width numbers are rounded instead, which makes p·√width of p.
func Tolerance(p Precision, layers, width int) float64 {
	e := float64(p)
	if p <= Exact {
		e = float64(Exact) * math.Sqrt(float64(width))
	}
	return e * math.Sqrt(float64(7*layers+1))
}

// Compare compares with a model that was read back, perhaps with an adapter.
func (v *View) Compare(ctx context.Context, m *model.Model, project model.ProjectFunc, p Precision) (Proof, error) {
	proof := Proof{Prompts: len(v.prompts), Tolerance: Tolerance(p, v.layers, v.width)}
	logits, err := v.compute(ctx, m, nil, project)
	if err != nil {
		return proof, err
	}
	for i, want := range v.logits {
		var differences, norm float64
		best, bestRead := 0, 0
		for j, w := range want {
			d := float64(logits[i][j]) - float64(w)
			proof.Largest = max(proof.Largest, math.Abs(d))
			differences, norm = differences+d*d, norm+float64(w)*float64(w)
			if w > want[best] {
				best = j
			}
			if logits[i][j] > logits[i][bestRead] {
				bestRead = j
			}
		}
		if best == bestRead {
			proof.SameToken++
		}
		if differences > 0 {
			proof.Relative = max(proof.Relative, math.Sqrt(differences/norm))
		}
	}
	if !(proof.Relative <= proof.Tolerance) {
		return proof, fmt.Errorf("%w (%v)", ErrDiffers, proof)
	}
	return proof, nil
}
