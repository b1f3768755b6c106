package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"gotune/internal/pages"
)

func fill(n int) []float32 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

var (
	began      = time.Now()
	threadTime func() time.Duration // nil: not known
)

func wallTime() time.Duration { return time.Since(began) }

func full(rows, cols int) Matrix { return Matrix{fill(rows * cols), rows, cols, cols} }

// measure times f with windows of the peak loop in between, so that both meet the
// same clock and the same neighbours, and reports medians: GFLOP/s, the share of
// the peak, or elements per nanosecond.
func measure(b *testing.B, t *Team, flops, elements float64, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := wallTime
	if t.Threads() == 1 && threadTime != nil {
		now = threadTime
	}
	f()
	var times, peaks []float64
	for b.Loop() {
		start := now()
		f()
		times = append(times, (now() - start).Seconds())
		if len(times)%max(1, int(2e-3/times[0])) == 0 && flops > 0 {
			start := now()
			done := t.multiplyAdds(100_000)
			peaks = append(peaks, done/(now()-start).Seconds())
		}
	}
	b.ReportMetric(0, "ns/op")
	slices.Sort(times)
	median := times[len(times)/2]
	b.ReportMetric(median*1e6, "µs")
	if elements > 0 {
		b.ReportMetric(elements/median/1e9, "elements/ns")
	}
	if flops > 0 && len(peaks) > 0 {
		slices.Sort(peaks)
		b.ReportMetric(flops/median/1e9, "GFLOP/s")
		b.ReportMetric(100*flops/median/peaks[len(peaks)/2], "%peak")
	}
}

func eachTeam(b *testing.B, f func(b *testing.B, t *Team)) {
	for _, threads := range []int{1, 2} {
		team := NewTeam(threads)
		b.Run(fmt.Sprintf("threads%d", threads), func(b *testing.B) { f(b, team) })
		team.Close()
	}
}

func BenchmarkMatMul(b *testing.B) {
	for _, s := range []struct{ m, n, k int }{
		{1024, 576, 576}, {1024, 1536, 576}, {1024, 576, 1536}, {128, 49152, 576},
		{2048, 128, 128}, {2048, 384, 128}, {2048, 128, 384}, {256, 1024, 128},
		{1024, 8, 576}, {1024, 576, 8}, {2048, 8, 128}, {2048, 128, 8}, {8, 576, 1024}, {576, 8, 1024},
		{1, 576, 576}, {1, 128, 128}, {12, 576, 576},
	} {
		c := full(s.m, s.n)
		for _, p := range []struct {
			name string
			f    func(t *Team, c, a, b Matrix, add bool)
			a, b Matrix
		}{
			{"NT", MatMulNT, full(s.m, s.k), full(s.n, s.k)},
			{"NN", MatMulNN, full(s.m, s.k), full(s.k, s.n)},
			{"TN", MatMulTN, full(s.k, s.m), full(s.k, s.n)},
		} {
			b.Run(fmt.Sprintf("%s/M%d/N%d/K%d", p.name, s.m, s.n, s.k), func(b *testing.B) {
				eachTeam(b, func(b *testing.B, t *Team) {
					measure(b, t, 2*float64(s.m*s.n*s.k), 0, func() { p.f(t, c, p.a, p.b, false) })
				})
			})
		}
	}
}

func BenchmarkElementwise(b *testing.B) {
	const n, c = 2048, 576
	x, y, z, w, v := fill(n*c), fill(n*c), fill(n*c), fill(n*c), fill(n*c)
	for i := range v {
		v[i] *= v[i]
	}
	row, inv, positions := fill(c), fill(n), make([]int32, n)
	for name, f := range map[string]func(t *Team){
		"Add":              func(t *Team) { Add(t, x, y, z) },
		"Scale":            func(t *Team) { Scale(t, x, y, 0.5, false) },
		"SumSquares":       func(t *Team) { SumSquares(t, y) },
		"RMSNorm":          func(t *Team) { RMSNorm(t, x, inv, y, row, n, c, 1e-5) },
		"RMSNormBackward":  func(t *Team) { RMSNormBackward(t, x, nil, y, z, row, inv, n, c, false, false, nil) },
		"RMSNormBackwardW": func(t *Team) { RMSNormBackward(t, x, row, y, z, row, inv, n, c, false, false, nil) },
		"RoPE":             func(t *Team) { RoPE(t, x, y, positions, row, row, n, 9, 64, 64, false, false) },
		"SwiGLU":           func(t *Team) { SwiGLU(t, x, y, z) },
		"SwiGLUBackward":   func(t *Team) { SwiGLUBackward(t, x, w, y, z, v, false, false) },
		"AdamW":            func(t *Team) { AdamW(t, x, y, z, v, 1e-9, 0.9, 0.999, 1e-8, 0, 0.1, 0.1, 1) },
		"Dropout":          func(t *Team) { Dropout(t, x, y, 77, 0.1, false) },
		"Exp":              func(*Team) { code.exp(x, y) },
	} {
		b.Run(name, func(b *testing.B) {
			eachTeam(b, func(b *testing.B, t *Team) { measure(b, t, 0, n*c, func() { f(t) }) })
		})
	}
}

func BenchmarkSoftmaxNLL(b *testing.B) {
	for _, s := range [][2]int{{128, 49152}, {1024, 1024}} {
		m, v := s[0], s[1]
		logits, nll, hit, targets := fill(m*v), fill(m), fill(m), make([]int32, m)
		b.Run(fmt.Sprintf("M%d/V%d", m, v), func(b *testing.B) {
			eachTeam(b, func(b *testing.B, t *Team) {
				measure(b, t, 0, float64(m*v), func() { SoftmaxNLL(t, logits, nll, hit, targets, m, v, 1) })
			})
		})
	}
}

// BenchmarkAttention counts the products of the causal half only.
func BenchmarkAttention(b *testing.B) {
	for _, s := range []AttentionShape{
		{B: 4, T: 512, Heads: 9, KVHeads: 3, HeadDim: 64}, {B: 1, T: 2048, Heads: 9, KVHeads: 3, HeadDim: 64},
		{B: 1, T: 1024, Heads: 8, KVHeads: 4, HeadDim: 256}, {B: 1, T: 1024, Heads: 8, KVHeads: 4, HeadDim: 256, Cap: 50},
		{B: 32, T: 64, Heads: 4, KVHeads: 4, HeadDim: 32}, {B: 2, T: 64, Heads: 4, KVHeads: 4, HeadDim: 32}, {B: 16, T: 128, Heads: 4, KVHeads: 4, HeadDim: 32},
	} {
		s.Scale = float32(1 / math.Sqrt(float64(s.HeadDim)))
		n, wide, narrow := s.B*s.T, s.B*s.T*s.Heads*s.HeadDim, s.B*s.T*s.KVHeads*s.HeadDim
		q, o, do, dq := fill(wide), fill(wide), fill(wide), fill(wide)
		k, v, dk, dv := fill(narrow), fill(narrow), fill(narrow), fill(narrow)
		lse, positions := fill(n*s.Heads), make([]int32, n)
		for i := range positions {
			positions[i] = int32(i % s.T)
		}
		flops := 2 * float64(s.B*s.Heads*s.HeadDim) * float64(s.T*(s.T+1)/2)
		name := fmt.Sprintf("B%d/T%d/H%d/D%d", s.B, s.T, s.Heads, s.HeadDim)
		if s.Cap > 0 {
			name += "/capped"
		}
		b.Run("forward/"+name, func(b *testing.B) {
			eachTeam(b, func(b *testing.B, t *Team) {
				measure(b, t, 2*flops, 0, func() { Attention(t, o, lse, q, k, v, positions, s) })
			})
		})
		b.Run("backward/"+name, func(b *testing.B) {
			eachTeam(b, func(b *testing.B, t *Team) {
				measure(b, t, 5*flops, 0, func() {
					AttentionBackward(t, dq, dk, dv, do, o, lse, q, k, v, positions, s, nil)
				})
			})
		})
		rounded := make([]float32, AttentionRounded(s))
		b.Run("bf16/forward/"+name, func(b *testing.B) {
			eachTeam(b, func(b *testing.B, t *Team) {
				measure(b, t, 2*flops, 0, func() { AttentionBF16(t, o, lse, rounded, q, k, v, positions, s) })
			})
		})
		b.Run("bf16/backward/"+name, func(b *testing.B) {
			eachTeam(b, func(b *testing.B, t *Team) {
				measure(b, t, 5*flops, 0, func() { AttentionBackwardBF16(t, dq, dk, dv, do, lse, rounded, positions, s) })
			})
		})
	}
}

// BenchmarkProduct compares ways to store the right factor, and the two arithmetics.
func BenchmarkProduct(b *testing.B) {
	for _, s := range []struct{ m, n, k int }{{1024, 576, 576}, {1024, 1536, 576}, {1024, 576, 1536}, {128, 49152, 576}, {2048, 128, 128}} {
		w := fill(s.n * s.k)
		for _, how := range []Arithmetic{FP32, BF16} {
			for _, storage := range []Storage{Float32, BFloat16, Int8, NF4} {
				c, x, dy := full(s.m, s.n), full(s.m, s.k), full(s.m, s.n)
				weights, dx := Quantise(storage, w, s.n, s.k), full(s.m, s.k)
				name := fmt.Sprintf("%v/%v/M%d/N%d/K%d/", how, storage, s.m, s.n, s.k)
				flops := 2 * float64(s.m*s.n*s.k)
				b.Run(name+"forward", func(b *testing.B) {
					eachTeam(b, func(b *testing.B, t *Team) {
						measure(b, t, flops, 0, func() { ProductNT(t, how, c, x, weights, false) })
					})
				})
				b.Run(name+"backward", func(b *testing.B) {
					eachTeam(b, func(b *testing.B, t *Team) {
						measure(b, t, flops, 0, func() { ProductNN(t, how, dx, dy, weights, false) })
					})
				})
			}
		}
	}
}

// BenchmarkRow multiplies single rows by stored matrices which no cache holds, and reads
// memory in turn.
func BenchmarkRow(b *testing.B) {
	const n, k = 49152, 576
	data, x, c := pages.Make[float32](n*k), full(1, k), full(1, n)
	copy(data, fill(n*k)) // in large pages, as weights are
	for s := Float32; s <= NF4; s++ {
		w := Quantise(s, data, n, k)
		for _, layout := range []struct {
			name string
			Weights
		}{{"rows", w}, {"panels", w.InPanels(nil)}} {
			b.Run(s.String()+"/"+layout.name, func(b *testing.B) {
				eachTeam(b, func(b *testing.B, t *Team) {
					var row, read []float64
					for b.Loop() {
						start := time.Now()
						ProductNT(t, FP32, c, x, layout.Weights, false)
						row = append(row, float64(w.Bytes())/time.Since(start).Seconds()/1e9)
						start = time.Now()
						SumSquares(t, data)
						read = append(read, 4*n*k/time.Since(start).Seconds()/1e9)
					}
					slices.Sort(row)
					slices.Sort(read)
					b.ReportMetric(row[len(row)/2], "GB/s")
					b.ReportMetric(read[len(read)/2], "GB/s-read")
					b.ReportMetric(row[len(row)/2]/read[len(read)/2], "share")
					b.ReportMetric(0, "ns/op")
				})
			})
		}
	}
}
