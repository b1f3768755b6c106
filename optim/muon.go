package optim

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gotune/internal/kernel"
)

// Muon makes the step of a matrix nearly orthogonal: it takes the momentum U·S·Vᵀ, as
// its singular value decomposition has it, to U·Vᵀ, so that all directions move alike
// (Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024,
// https://kellerjordan.github.io/posts/muon/). It is for the matrices of the blocks of
// a model that is trained in full; embeddings, head, norms and biases step as [AdamW]
// with the same rate and the settings Beta1, Beta2 and Epsilon. A step with learning rate
// η does, for a matrix [N, M] with gradient g, after clipping,
//
//	m ← μ·m + (1 − μ)·g
//	u = (1 − μ)·g + μ·m                    Nesterov's momentum
//	x ← u/‖u‖
//	x ← a·x + (b·G + c·G²)·x, G = x·xᵀ     NSSteps times, a = 3.4445, b = −4.775, c = 2.0315
//	p ← p·(1 − η·λ) − η·f·x
//
// with f = √max(1, N/M) for the AdjustLR "original", and 0.2·√max(N, M) for
// "match_rms_adamw", whose steps are about as large as those of AdamW, so that the same rate
// and decay serve both (Liu et al., Muon is Scalable for LLM Training, 2025,
// arXiv:2502.16982). It is torch.optim.Muon.
//
// Differs from torch.optim.Muon, which iterates in bfloat16: here the products are
// float32, whatever the precision of the model's. A matrix that is stored as [in, out],
// as those of GPT-2 are, has its N and M from there, as it has in PyTorch.
type Muon struct {
	adam
	momentum   float64
	iterations int
	matchRMS   bool
}

// The coefficients of the Newton–Schulz iteration, and the least norm that is divided by.
const (
	muonA, muonB, muonC = 3.4445, -4.7750, 2.0315
	muonEpsilon         = 1e-7
)

const matchRMSAdamW = "match_rms_adamw"

// AdjustLRs returns the names of the ways in which Muon's rate follows the shape of a
// matrix, which are those of torch.optim.Muon.
func AdjustLRs() []string { return []string{matchRMSAdamW, "original"} }

// orthogonalised reports whether Muon takes a parameter, or else AdamW.
func orthogonalised(p Parameter) bool {
	layer, ok := Layer(p.Name)
	return ok && layer >= 0 && len(p.Shape) == 2
}

func keepMuon(c Config, p Parameter) []part {
	if orthogonalised(p) {
		return []part{average(momentumSuffix, p)}
	}
	return keepAdamW(c, p)
}

// workOfMuon is room for the matrix at hand, the one that follows from it, and three
// square matrices of its shorter side.
func workOfMuon(params []Parameter) workspace {
	whole, square := 0, 0
	for _, p := range params {
		if orthogonalised(p) {
			short := min(p.Shape[0], p.Shape[1])
			whole, square = max(whole, size(p.Shape)), max(square, short*short)
		}
	}
	return workspace{whole, whole, square, square}
}

func makeMuon(t trained, c Config) (Optimizer, error) {
	a, err := newAdam(t, c)
	if err != nil {
		return nil, err
	}
	switch {
	case !(c.MuonMomentum >= 0 && c.MuonMomentum < 1):
		return nil, fmt.Errorf("muon momentum %v: it must be at least 0 and below 1", c.MuonMomentum)
	case c.NSSteps < 1 || c.NSSteps > 99:
		return nil, fmt.Errorf("muon has %d steps of the Newton–Schulz iteration: there must be 1 to 99", c.NSSteps)
	case !slices.Contains(AdjustLRs(), c.AdjustLR):
		return nil, fmt.Errorf("muon's adjustment of the rate is %q, which is not supported (supported: %s)", c.AdjustLR, strings.Join(AdjustLRs(), ", "))
	case !slices.ContainsFunc(t.params, orthogonalised):
		return nil, fmt.Errorf("muon is for matrices inside a model's blocks, and none is trained (%s is none); use adamw", t.params[0].Name)
	}
	return &Muon{adam: a, momentum: c.MuonMomentum, iterations: c.NSSteps, matchRMS: c.AdjustLR == matchRMSAdamW}, nil
}

// Step implements [Optimizer].
func (o *Muon) Step(rate float64) (norm float64, err error) {
	norm, scale, err := o.begin()
	if err != nil {
		return norm, err
	}
	for i, p := range o.params {
		s, k := o.settings[i], o.kept[i]
		if len(k) == 2 {
			o.update(i, rate, scale)
			continue
		}
		if len(p.Value) == 0 {
			continue
		}
		rate := rate * s.RateScale
		x := o.orthogonal(p, k[0].Data, scale)
		kernel.Scale(o.team, p.Value, p.Value, float32(1-float64(rate*s.WeightDecay)), false)
		kernel.Scale(o.team, p.Value, x, float32(-rate*o.adjust(p.Shape[0], p.Shape[1])), true)
	}
	return norm, nil
}

// adjust is the factor of the rate of a matrix.
func (o *Muon) adjust(rows, cols int) float64 {
	if o.matchRMS {
		return 0.2 * math.Sqrt(float64(max(rows, cols)))
	}
	return math.Sqrt(max(1, float64(rows)/float64(cols)))
}

// orthogonal updates the momentum of a matrix and returns its step. Of a matrix with more
// rows than columns the small square is xᵀ·x, which stands on the right: nothing is
// transposed.
func (o *Muon) orthogonal(p Parameter, momentum []float32, scale float64) []float32 {
	rows, cols := p.Shape[0], p.Shape[1]
	matrix := func(data []float32, rows, cols int) kernel.Matrix {
		return kernel.Matrix{Data: data, Rows: rows, Cols: cols, Stride: cols}
	}
	short := min(rows, cols)
	x, next := matrix(o.buffers[0][:rows*cols], rows, cols), matrix(o.buffers[1][:rows*cols], rows, cols)
	gram, update := matrix(o.buffers[2][:short*short], short, short), matrix(o.buffers[3][:short*short], short, short)
	kernel.Lookahead(o.team, x.Data, p.Grad, momentum, o.momentum, scale)
	norm := math.Sqrt(kernel.SumSquares(o.team, x.Data))
	kernel.Scale(o.team, x.Data, x.Data, float32(1/max(norm, muonEpsilon)), false)
	for range o.iterations {
		if rows > cols {
			kernel.MatMulTN(o.team, gram, x, x, false)
		} else {
			kernel.MatMulNT(o.team, gram, x, x, false)
		}
		// update = b·G + c·G², next = a·x + update·x
		kernel.MatMulNN(o.team, update, gram, gram, false)
		kernel.Scale(o.team, update.Data, update.Data, muonC, false)
		kernel.Scale(o.team, update.Data, gram.Data, muonB, true)
		if rows > cols {
			kernel.MatMulNN(o.team, next, x, update, false)
		} else {
			kernel.MatMulNN(o.team, next, update, x, false)
		}
		kernel.Scale(o.team, next.Data, x.Data, muonA, true)
		x, next = next, x
	}
	return x.Data
}
