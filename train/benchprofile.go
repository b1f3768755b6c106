package train

import (
	"cmp"
	"slices"
	"time"

	"gotune/internal/exec"
	"gotune/internal/kernel"
)

// A BenchProfile says where the time of the fastest step went. The shares of
// products, attention and the rest sum to 1.
type BenchProfile struct {
	StepSeconds float64      `json:"step_seconds"`
	Products    float64      `json:"products_share"`  // products of matrices, wherever they are
	Attention   float64      `json:"attention_share"` // forward and backward
	Rest        float64      `json:"rest_share"`      // everything else
	Operators   []BenchUsage `json:"operators"`       // the dearest first
}

// A BenchUsage is a line of the profile: what one operator took in the step.
type BenchUsage struct {
	Name     string  `json:"name"`
	Pass     string  `json:"pass"` // forward, backward or step
	Calls    int64   `json:"calls"`
	Seconds  float64 `json:"seconds"`
	Products float64 `json:"products"` // the part of Seconds in products of matrices and attention
	GFLOPS   float64 `json:"gflops"`   // of that part; 0 without products
	GBs      float64 `json:"gb_s"`     // inputs and outputs, each once, over Seconds
	Share    float64 `json:"share"`    // of the step
}

// profile makes the table of a step that took so many seconds. What the graph
// does not do are the optimizer, clipping among it, and the rest of the step:
// gradients cleared and rows copied.
func (b *bench) profile(took float64) *BenchProfile {
	p := &BenchProfile{StepSeconds: took}
	var spent kernel.Spent
	rest := took - b.optimizer.took.Seconds()
	for _, u := range b.program.Profile() {
		spent.Products += u.Spent.Products
		spent.Attention += u.Spent.Attention
		rest -= u.Time.Seconds()
		p.Operators = append(p.Operators, benchUsage(u))
	}
	p.Products, p.Attention = spent.Products.Seconds()/took, spent.Attention.Seconds()/took
	p.Rest = 1 - p.Products - p.Attention
	// AdamW reads the gradient twice, once for the norm, and reads and writes
	// the parameter and its two averages.
	const adamwBytes = 4 * (2 + 2*3)
	p.Operators = append(p.Operators,
		BenchUsage{Name: "norm, clip, adamw", Pass: "step", Calls: 1, Seconds: b.optimizer.took.Seconds(),
			GBs: perSecond(adamwBytes*float64(b.trainable), b.optimizer.took)},
		BenchUsage{Name: "outside the graph", Pass: "step", Calls: 1, Seconds: rest})
	for i := range p.Operators {
		p.Operators[i].Share = p.Operators[i].Seconds / took
	}
	slices.SortStableFunc(p.Operators, func(a, b BenchUsage) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return p
}

func benchUsage(u exec.Usage) BenchUsage {
	inside := u.Spent.Products + u.Spent.Attention
	pass := "forward"
	if u.Backward {
		pass = "backward"
	}
	return BenchUsage{
		Name: u.Name, Pass: pass, Calls: u.Calls, Seconds: u.Time.Seconds(),
		Products: inside.Seconds(), GFLOPS: perSecond(u.Flops, inside), GBs: perSecond(u.Bytes, u.Time),
	}
}

// perSecond returns billions a second.
func perSecond(n float64, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return n / took.Seconds() / 1e9
}
